"""The client against a PushPlus over a real socket: receipts, deliveries, and the class of every failure."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest
import requests
from pydantic import SecretStr

from quant_pipeline.notify.channels import pushplus
from quant_pipeline.notify.channels.contract import Accepted, Answer, Delivery, DeliveryState, Refused, Unknown
from quant_pipeline.notify.channels.pushplus import LONGEST_CONTENT, PushPlus
from quant_pipeline.notify.messages import Message
from quant_pipeline.sandbox.rehearsal import Rehearsal
from quant_pipeline_tests.sources.loopback import serving

MESSAGE = Message("双均线", "**金叉**")


class Answers(BaseHTTPRequestHandler):
    """A server that echoes the token with the code it is told in the path: what the sandbox has no fault for."""

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        token = orjson.loads(self.rfile.read(length))["token"]
        code = int(self.path.split("/")[1])
        redirect = code == 307
        body = orjson.dumps({"code": code, "msg": f"code of\x00 {token}", "data": None})
        self.send_response(307 if redirect else 200)
        if redirect:
            self.send_header("Location", "/200/send")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def answers() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def _sent(client: PushPlus, message: Message = MESSAGE) -> Answer:
    return client.send(client.parts(message)[0])


def _receipt(client: PushPlus) -> str:
    answer = _sent(client)
    assert isinstance(answer, Accepted)
    assert answer.receipt
    return answer.receipt


def _refusal(client: PushPlus, message: Message = MESSAGE) -> Refused:
    answer = _sent(client, message)
    assert isinstance(answer, Refused)
    return answer


def test_a_message_is_accepted_and_then_delivered(client: PushPlus, sandbox: Rehearsal) -> None:
    receipt = _receipt(client)
    states = [client.poll(receipt).state for _ in range(3)]
    assert states == [DeliveryState.SENDING, DeliveryState.DELIVERED, DeliveryState.DELIVERED]
    assert "双均线" in requests.get(sandbox.inbox_url, timeout=10).text
    assert len(sandbox.calls("getAccessKey", server="pushplus")) == 1


def test_a_delivery_that_failed_says_why(client: PushPlus, sandbox: Rehearsal) -> None:
    sandbox.order_fault("undelivered", server="pushplus")
    receipt = _receipt(client)
    client.poll(receipt)
    assert client.poll(receipt) == Delivery(DeliveryState.FAILED, "微信渠道发送失败")


def test_a_receipt_that_is_not_known(client: PushPlus) -> None:
    assert client.poll("nonsense") == Delivery(DeliveryState.UNKNOWN, "600 数据异常，操作失败")


def test_a_service_that_cannot_be_asked_is_told_from_one_that_does_not_know() -> None:
    asked = PushPlus("sandbox-token", "http://127.0.0.1:9", "sandbox-secret").poll("x")
    assert (asked.state, asked.reached) == (DeliveryState.UNKNOWN, False)


def test_an_access_key_that_ended_is_renewed_once(client: PushPlus, sandbox: Rehearsal) -> None:
    receipt = _receipt(client)
    client._access_key = "ended"
    assert client.poll(receipt).state is DeliveryState.SENDING
    assert len(sandbox.calls("getAccessKey", server="pushplus")) == 1


@pytest.mark.parametrize("fault", [{"kind": "disconnect"}, {"kind": "status", "status": 502}, {"kind": "html"}])
def test_what_was_not_answered_may_have_arrived(client: PushPlus, sandbox: Rehearsal, fault: dict[str, object]) -> None:
    sandbox.order_fault(**fault, server="pushplus", api="send")  # type: ignore[arg-type]
    assert isinstance(_sent(client), Unknown)
    assert _receipt(client), "the fault was for one call"


@pytest.mark.parametrize("code", [302, 401, 403, 600, 805, 888, 903, 905, 999])
def test_what_would_be_refused_again_is_permanent(answers: str, code: int) -> None:
    refusal = _refusal(PushPlus("t", f"{answers}/{code}"))
    assert (refusal.code, refusal.retryable, refusal.unfamiliar) == (str(code), False, False)


@pytest.mark.parametrize(("code", "for_the_day"), [(500, False), (1234, False), (900, True)])
def test_what_may_pass_is_not(answers: str, code: int, for_the_day: bool) -> None:
    refusal = _refusal(PushPlus("t", f"{answers}/{code}"))
    assert (refusal.retryable, refusal.for_the_day, refusal.unfamiliar) == (True, for_the_day, code == 1234)


def test_the_token_follows_no_redirect(answers: str) -> None:
    refusal = _refusal(PushPlus("hush", f"{answers}/307"))
    assert (refusal.code, refusal.retryable) == ("redirected", True)
    assert "307" in refusal.text


def test_nobody_listens() -> None:
    refusal = _refusal(PushPlus("t", "http://127.0.0.1:9"))
    assert (refusal.code, refusal.retryable) == ("unreachable", True)


def test_an_empty_message_and_a_wrong_token(client: PushPlus, sandbox: Rehearsal) -> None:
    assert _refusal(client, Message("标题", "")).code == "999"
    assert _refusal(PushPlus("somebody", sandbox.pushplus_url)).code == "903"


def test_too_fast_is_no_fault_of_the_message(client: PushPlus) -> None:
    for number in range(5):
        _sent(client, Message("标题", f"内容{number}"))
    refusal = _refusal(client)
    assert (refusal.retryable, refusal.code, refusal.retry_after) == (True, "999", dt.timedelta(minutes=1))


def test_the_same_content_too_often_waits_an_hour_and_holds_up_no_other(client: PushPlus) -> None:
    for _ in range(3):
        _sent(client)
    refusal = _refusal(client)
    assert (refusal.retryable, refusal.retry_after, refusal.unfamiliar) == (True, None, False)
    assert isinstance(_sent(client, Message("标题", "另一条")), Accepted)


def test_what_is_too_long_goes_in_numbered_parts_with_the_table_s_head(client: PushPlus) -> None:
    rows = "\n".join(f"| 60{number:04d}.SH | 平安银行 |" for number in range(1_200))
    message = Message("题" * 500, f"| 代码 | 名称 |\n|---|---|\n{rows}\n\n尾")
    parts = client.parts(message)
    assert [part.title[-5:] for part in parts] == ["(1/2)", "(2/2)"]
    assert all(part.content.startswith("| 代码 | 名称 |\n|---|---|\n| 60") for part in parts)
    assert all(isinstance(client.send(part), Accepted) for part in parts)
    whole = Message("整", "文" * LONGEST_CONTENT)
    assert client.parts(whole) == [whole], "what just fits is left whole"


def test_no_answer_tells_a_secret_and_any_can_be_stored(answers: str, sandbox: Rehearsal) -> None:
    token, secret = "-".join(("hush", "token")), "-".join(("hush", "secret"))
    assert _refusal(PushPlus(token, f"{answers}/903")).text == "903 code of ***"
    unreached = PushPlus(token, f"http://127.0.0.1:9/{token}", secret)
    wrong = PushPlus(sandbox.pushplus_token, sandbox.pushplus_url, secret)
    assert "401" in wrong.poll("x").reason
    told = repr([_sent(unreached), unreached.poll("x"), wrong.poll("x"), unreached])
    assert token not in told
    assert secret not in told


def test_only_with_the_secret_key_can_be_asked(client: PushPlus, mute: PushPlus) -> None:
    assert client.polls
    assert not mute.polls


def test_an_answer_that_drips_or_never_ends_is_given_up() -> None:
    given_up = PushPlus("token", settings=pushplus.Settings(token=SecretStr("token"), timeout=0.3))
    over = threading.Event()

    def drip(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not over.wait(0.01):
            handler.wfile.write(b" ")

    def endless(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b" " * 2**16)

    for respond in (drip, endless):
        with serving(respond) as url:
            given_up.client.address = url
            assert isinstance(_sent(given_up), Unknown)
            over.set()
        given_up = PushPlus("token", settings=pushplus.Settings(token=SecretStr("token"), timeout=60.0))
