"""The client against a PushPlus over a real socket: receipts, deliveries, and the class of every failure."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest
import requests

from quant_pipeline.notify import pushplus
from quant_pipeline.notify.messages import Message
from quant_pipeline.notify.pushplus import LONGEST_CONTENT, Delivery, DeliveryState, PushPlus, PushPlusError, SendFailure
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


def _refusal(client: PushPlus, message: Message = MESSAGE) -> PushPlusError:
    with pytest.raises(PushPlusError) as caught:
        client.send(message)
    return caught.value


def test_a_message_is_accepted_and_then_delivered(client: PushPlus, sandbox: Rehearsal) -> None:
    receipt = client.send(MESSAGE)
    assert [client.result(receipt).delivery for _ in range(3)] == [Delivery.SENDING, Delivery.DELIVERED, Delivery.DELIVERED]
    assert "双均线" in requests.get(sandbox.inbox_url, timeout=10).text
    assert len(sandbox.calls("getAccessKey", server="pushplus")) == 1


def test_a_delivery_that_failed_says_why(client: PushPlus, sandbox: Rehearsal) -> None:
    sandbox.order_fault("undelivered", server="pushplus")
    receipt = client.send(MESSAGE)
    client.result(receipt)
    assert client.result(receipt) == DeliveryState(Delivery.FAILED, "微信渠道发送失败")


def test_a_receipt_that_is_not_known(client: PushPlus) -> None:
    assert client.result("nonsense") == DeliveryState(Delivery.UNKNOWN, "600 数据异常，操作失败")


def test_an_access_key_that_ended_is_renewed_once(client: PushPlus, sandbox: Rehearsal) -> None:
    receipt = client.send(MESSAGE)
    client._access_key = "ended"
    assert client.result(receipt).delivery is Delivery.SENDING
    assert len(sandbox.calls("getAccessKey", server="pushplus")) == 1


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ({"kind": "disconnect"}, SendFailure.RETRYABLE),
        ({"kind": "status", "status": 502}, SendFailure.RETRYABLE),
        ({"kind": "html"}, SendFailure.RETRYABLE),
        ({"kind": "quota"}, SendFailure.LIMITED_FOR_THE_DAY),
        ({"kind": "token"}, SendFailure.PERMANENT),
    ],
)
def test_every_fault_has_its_class(
    client: PushPlus, sandbox: Rehearsal, fault: dict[str, object], failure: SendFailure
) -> None:
    sandbox.order_fault(**fault, server="pushplus", api="send")  # type: ignore[arg-type]
    assert _refusal(client).failure is failure
    assert client.send(MESSAGE), "the fault was for one call"


@pytest.mark.parametrize("code", [302, 401, 403, 600, 805, 888, 903, 905, 999])
def test_what_would_be_refused_again_is_permanent(answers: str, code: int) -> None:
    error = _refusal(PushPlus("t", f"{answers}/{code}"))
    assert (error.failure, error.code) == (SendFailure.PERMANENT, code)


@pytest.mark.parametrize(("code", "failure"), [(500, "retryable"), (1234, "retryable"), (900, "limited_for_the_day")])
def test_what_may_pass_is_not(answers: str, code: int, failure: str) -> None:
    assert _refusal(PushPlus("t", f"{answers}/{code}")).failure == failure


def test_the_token_follows_no_redirect(answers: str) -> None:
    assert "307" in str(_refusal(PushPlus("t", f"{answers}/307")))


def test_nobody_listens() -> None:
    error = _refusal(PushPlus("t", "http://127.0.0.1:9"))
    assert (error.failure, error.code) == (SendFailure.RETRYABLE, None)


def test_an_empty_message_and_a_wrong_token(client: PushPlus, sandbox: Rehearsal) -> None:
    assert _refusal(client, Message("标题", "")).code == 999
    assert _refusal(PushPlus("somebody", sandbox.pushplus_url)).code == 903


def test_too_fast_is_no_fault_of_the_message(client: PushPlus) -> None:
    for number in range(5):
        client.send(Message("标题", f"内容{number}"))
    error = _refusal(client)
    assert (error.failure, error.code) == (SendFailure.RETRYABLE, 999)


def test_what_is_too_long_is_cut_and_says_so(client: PushPlus, sandbox: Rehearsal) -> None:
    client.send(Message("题" * 500, "文" * (2 * LONGEST_CONTENT)))
    assert requests.get(sandbox.inbox_url, timeout=10).text.count("已截断") == 1
    client.send(Message("整", "文" * LONGEST_CONTENT))
    assert requests.get(sandbox.inbox_url, timeout=10).text.count("已截断") == 1, "what just fits is left whole"


def test_no_error_tells_a_secret_and_any_can_be_stored(answers: str, sandbox: Rehearsal) -> None:
    token, secret = "-".join(("hush", "token")), "-".join(("hush", "secret"))
    echoed = _refusal(PushPlus(token, f"{answers}/903"))
    assert str(echoed) == "903 code of ***"
    for error in (echoed, _refusal(PushPlus(token, f"http://127.0.0.1:9/{token}"))):
        assert token not in "".join(traceback.format_exception(error))
    wrong = PushPlus(sandbox.pushplus_token, sandbox.pushplus_url, secret)
    with pytest.raises(PushPlusError, match="401") as caught:
        wrong.result("x")
    assert secret not in "".join(traceback.format_exception(caught.value))


def test_only_with_the_secret_key_can_be_asked(client: PushPlus, mute: PushPlus) -> None:
    assert client.can_ask
    assert not mute.can_ask


def test_an_answer_that_drips_or_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushplus, "_TIMEOUT", 0.3)
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
            assert _refusal(PushPlus("token", url)).failure is SendFailure.RETRYABLE
            over.set()
        monkeypatch.setattr(pushplus, "_TIMEOUT", 60.0)
