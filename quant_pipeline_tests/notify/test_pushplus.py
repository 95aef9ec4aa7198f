"""The client against a PushPlus over a real socket: receipts, deliveries, and the class of every failure."""

from __future__ import annotations

import socket
import traceback

import pytest
import requests

from quant_pipeline.notify.pushplus import (
    LONGEST_CONTENT,
    BadToken,
    Invalid,
    Limited,
    PushPlus,
    PushPlusError,
    Rejected,
    Retryable,
    State,
)
from quant_pipeline.sandbox.rehearsal import Rehearsal


def test_a_message_is_accepted_and_then_delivered(client: PushPlus, sandbox: Rehearsal) -> None:
    receipt = client.send("双均线", "<b>金叉</b>", "html")
    assert [client.delivery(receipt).state for _ in range(2)] == [State.SENDING, State.SENT]
    assert "双均线" in requests.get(sandbox.inbox_url, timeout=10).text


def test_a_delivery_that_failed_says_why(client: PushPlus, sandbox: Rehearsal) -> None:
    sandbox.order_fault("undelivered", server="pushplus")
    receipt = client.send("标题", "内容", "txt")
    client.delivery(receipt)
    lost = client.delivery(receipt)
    assert lost.state is State.FAILED
    assert lost.error


def test_one_access_key_serves_many_questions(client: PushPlus, sandbox: Rehearsal) -> None:
    receipt = client.send("标题", "内容", "txt")
    for _ in range(3):
        client.delivery(receipt)
    assert len(sandbox.calls("getAccessKey", server="pushplus")) == 1


def test_a_key_that_pushplus_has_forgotten_is_renewed_once(client: PushPlus, sandbox: Rehearsal) -> None:
    receipt = client.send("标题", "内容", "txt")
    client._access_key, client._access_key_ends = "ended by another process", float("inf")
    assert client.delivery(receipt).state is State.SENDING
    assert len(sandbox.calls("getAccessKey", server="pushplus")) == 1


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        ({"kind": "disconnect"}, Retryable),
        ({"kind": "status", "status": 502}, Retryable),
        ({"kind": "html"}, Retryable),
        ({"kind": "quota"}, Limited),
        ({"kind": "token"}, BadToken),
    ],
)
def test_every_fault_has_its_class(
    client: PushPlus, sandbox: Rehearsal, fault: dict[str, object], raised: type[PushPlusError]
) -> None:
    kind = str(fault.pop("kind"))
    sandbox.order_fault(kind, server="pushplus", api="send", **fault)
    with pytest.raises(raised) as failure:
        client.send("标题", "内容", "txt")
    assert type(failure.value) is raised
    assert client.send("标题", "内容", "txt"), "the fault was for one call"


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(Retryable, match="cannot be reached"):
        PushPlus("a-token", f"http://127.0.0.1:{port}").send("标题", "内容", "txt")


def test_an_empty_message_is_invalid_and_a_wrong_token_is_named(client: PushPlus, sandbox: Rehearsal) -> None:
    with pytest.raises(Invalid, match="999"):
        client.send("标题", "", "txt")
    with pytest.raises(BadToken, match="903"):
        PushPlus("somebody", sandbox.pushplus_url).send("标题", "内容", "txt")


def test_a_receipt_that_pushplus_does_not_know_is_rejected(client: PushPlus) -> None:
    with pytest.raises(Rejected, match="600"):
        client.delivery("nonsense")


def test_too_fast_is_no_fault_of_the_message(client: PushPlus) -> None:
    for number in range(5):
        client.send("标题", f"内容{number}", "txt")
    with pytest.raises(Retryable, match="999"):
        client.send("标题", "内容", "txt")


def test_what_is_too_long_is_cut_and_says_so(client: PushPlus, sandbox: Rehearsal) -> None:
    client.send("题" * 500, "文" * (2 * LONGEST_CONTENT), "txt")
    shown = requests.get(sandbox.inbox_url, timeout=10).text
    assert "已截断" in shown
    assert shown.count("题") < 500
    client.send("整", "文" * LONGEST_CONTENT, "txt")
    assert requests.get(sandbox.inbox_url, timeout=10).text.count("已截断") == 1, "what just fits is left whole"


def test_no_error_tells_a_secret(sandbox: Rehearsal) -> None:
    token, secret = "-".join("my token".split()), "-".join("my secret".split())
    with pytest.raises(Retryable) as unreachable:
        PushPlus(token, f"http://127.0.0.1:1/{token}").send("标题", "内容", "txt")
    with pytest.raises(BadToken) as refused:
        PushPlus(sandbox.pushplus_token, sandbox.pushplus_url, secret_key=secret).delivery("x")
    for error in (unreachable.value, refused.value):
        told = "".join(traceback.format_exception(error))
        assert token not in told
        assert secret not in told
    assert "***" in str(unreachable.value)


def test_without_a_secret_key_deliveries_are_not_told(sandbox: Rehearsal) -> None:
    client = PushPlus(sandbox.pushplus_token, sandbox.pushplus_url)
    assert not client.tells_delivery
    with pytest.raises(BadToken, match="PUSHPLUS_SECRET_KEY"):
        client.delivery(client.send("标题", "内容", "txt"))
