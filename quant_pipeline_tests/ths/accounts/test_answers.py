"""What the servers may answer, word by word, over real sockets: each answer's class, and what is never taken for an expiry."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from quant_pipeline.ths import qr, sms
from quant_pipeline.ths.errors import Failure, ThsError
from quant_pipeline.ths.hosts import Hosts
from quant_pipeline.ths.line import Line
from quant_pipeline.ths.probe import who
from quant_pipeline.ths.sealing import verified


class Scripted(ThreadingHTTPServer):
    """Answers each call with the next of what it was given (the last one again and again): (status, body)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: deque[tuple[int, str]] = deque()
        self.asked: list[tuple[str, str | None]] = []
        """Path and Cookie header of each call."""

    def will(self, *bodies: Any, status: int = 200) -> None:
        self.answers.extend((status, each if isinstance(each, str) else json.dumps(each)) for each in bodies)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Scripted

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.path, self.headers.get("Cookie")))
        status, body = self.server.answers.popleft() if len(self.server.answers) > 1 else self.server.answers[0]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as scripted:
        thread = threading.Thread(target=scripted.serve_forever, args=(0.01,))
        thread.start()
        yield scripted
        scripted.shutdown()
        thread.join()


@pytest.fixture
def line(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setattr(qr, "POLL", 0.001)
    return Line(Hosts(server.url, server.url, server.url, server.url), {"userid": "7", "ticket": "sandbox-ticket-0815"})


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (401, "", Failure.EXPIRED),
        (200, {"status_code": 401, "status_msg": "未登录"}, Failure.EXPIRED),
        (200, {"status_code": -1, "status_msg": "登录已失效", "data": None}, Failure.EXPIRED),
        (200, {"errorCode": -1, "errorMsg": "请先登录"}, Failure.EXPIRED),
        (200, {"status_code": 0, "data": {}}, Failure.UNREADABLE),
        (200, {"status_code": 0, "data": []}, Failure.UNREADABLE),
        (200, {}, Failure.UNREADABLE),
        (200, [], Failure.UNREADABLE),
        (200, "<html>滑块</html>", Failure.UNREADABLE),
        (403, "", Failure.UNREACHABLE),
        (502, "<html>", Failure.UNREACHABLE),
    ],
)
def test_a_probe_s_answer_is_expired_only_where_it_says_so(
    server: Scripted, line: Line, status: int, body: Any, failure: Failure
) -> None:
    server.will(body, status=status)
    with pytest.raises(ThsError) as raised:
        who(line)
    assert raised.value.failure is failure
    assert "sandbox-ticket-0815" not in str(raised.value)


def test_a_server_that_repeats_the_cookie_does_not_bring_it_into_the_text(server: Scripted, line: Line) -> None:
    server.will({"status_code": -1, "status_msg": "ticket sandbox-ticket-0815 失效"})
    with pytest.raises(ThsError, match=r"ticket \*\*\* 失效"):
        who(line)


def test_who_it_is_is_found_under_the_names_that_it_may_have(server: Scripted, line: Line) -> None:
    server.will({"status_code": 0, "data": {"userid": 12, "nick_name": "老王"}})
    assert vars(who(line)) == {"user_id": "12", "nickname": "老王"}
    assert server.asked[-1] == (
        "/user_center/open/api/user/v1/simple_info",
        "userid=7; ticket=sandbox-ticket-0815",
    )


CODE = {"qrid": "usk_1", "errorCode": 0}
DONE = {"status": 3, "redirect": ""}


def test_a_waiting_code_whose_time_runs_out_is_made_anew(server: Scripted, line: Line) -> None:
    """One of the public programs reads it so: it has time, then `expired` is 0. With 0 from the start it waits."""
    news: list[qr.Shown | str] = []
    server.will(CODE, {"status": 1, "expired": 60}, {"status": 1, "expired": 0}, CODE | {"qrid": "usk_2"}, DONE)
    qr.log_in(line, "device", news.append)
    assert [each.address[-5:] if isinstance(each, qr.Shown) else each for each in news] == ["usk_1", "expired", "usk_2"]
    news.clear()
    server.answers.clear()
    server.will(CODE, {"status": 1, "expired": 0}, {"status": 1, "expired": 0}, {"status": 2}, DONE)
    qr.log_in(line, "device", news.append)
    assert [each for each in news if isinstance(each, str)] == ["scanned"]


@pytest.mark.parametrize("made", [{"errorCode": -1, "qrid": "usk_1"}, {"errorCode": 0}, [], "x"])
def test_a_code_that_is_none_ends_the_login(server: Scripted, line: Line, made: Any) -> None:
    server.will(made)
    with pytest.raises(ThsError) as raised:
        qr.log_in(line, "device", lambda _: None)
    assert raised.value.failure is Failure.UNREADABLE


@pytest.mark.parametrize("polled", [{"status": 9}, {"status": "x"}, {}])
def test_a_state_that_nobody_knows_ends_the_login(server: Scripted, line: Line, polled: Any) -> None:
    server.will(CODE, polled)
    with pytest.raises(ThsError) as raised:
        qr.log_in(line, "device", lambda _: None)
    assert raised.value.failure is Failure.UNREADABLE


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (-11400, Failure.SLIDER),
        (-10510, Failure.ANOTHER_WAY),
        (-11032, Failure.ANOTHER_WAY),
        (-11043, Failure.ANOTHER_WAY),
        (-10500, Failure.CODE),
        (-99, Failure.REFUSED),
    ],
)
def test_each_code_of_an_sms_login_is_told_with_what_to_do(
    server: Scripted, line: Line, code: int, failure: Failure, public_key: str
) -> None:
    key = f'<r><ret code="0" msg=""/><item pubkey="{public_key}" rsa_version="default_5"/></r>'
    server.will(key, {"errorcode": code, "errormsg": "13912345678 异常"})
    with pytest.raises(ThsError) as raised:
        sms.send(line, "13912345678")
    assert raised.value.failure is failure
    assert str(code) in str(raised.value)
    assert "13912345678" not in str(raised.value)
    assert failure is Failure.REFUSED or "quant-pipeline ths login" in str(raised.value)
    assert "13912345678" not in str(server.asked)


@pytest.mark.parametrize("answer", ["", "<r/>", "no xml", '<r><ret code="0"/><item pubkey="x"/></r>'])
def test_a_key_that_is_none_ends_the_login(server: Scripted, line: Line, answer: str) -> None:
    server.will(answer)
    with pytest.raises(ThsError) as raised:
        sms.send(line, "13912345678")
    assert raised.value.failure is Failure.UNREADABLE


def test_a_refusal_of_the_client_s_login_is_in_its_own_words(server: Scripted, line: Line) -> None:
    line.hide("Geheim-4711")
    server.will('<r><ret code="-5" msg="密码 Geheim-4711 错误"/></r>')
    with pytest.raises(ThsError, match=r"密码 \*\*\* 错误 \(-5\)") as raised:
        verified(line, reqtype="unified_login")
    assert raised.value.failure is Failure.REFUSED


@pytest.fixture(scope="session")
def public_key() -> str:
    from quant_pipeline.sandbox.servers.ths_rsa import KeyPair

    return KeyPair().public
