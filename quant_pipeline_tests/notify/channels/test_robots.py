"""Each channel over a real socket: what arrives, each refusal inside HTTP 200 with its class, limits by its own count."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import html
import importlib
import json
import logging
import re
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from quant_pipeline.market import clock
from quant_pipeline.notify.channels import dingtalk, feishu
from quant_pipeline.notify.channels.configured import Means, built
from quant_pipeline.notify.channels.contract import Accepted, Channel, DeliveryState, Refused, Unknown
from quant_pipeline.notify.messages import Message
from quant_pipeline_tests.notify.channels.conftest import MESSAGE, ROBOTS, SMS, Robots, sent
from quant_pipeline_tests.sources.loopback import send_json, serving

LONG = Message("选股", "\n".join(f"- 60{number:04d}.SH 平安银行 +1.2 % 换手率 2.4 %" for number in range(400)))
NOBODY = "http://127.0.0.1:9"


def refused(channel: Channel, message: Message = MESSAGE) -> Refused:
    answer = sent(channel, message)[0]
    assert isinstance(answer, Refused), answer
    return answer


def test_dingtalk_s_signature_is_the_known_answer_and_encoded_once() -> None:
    signed = dingtalk.sign("SECabc", "1700000000000")
    asked = requests.Request("POST", "https://oapi.dingtalk.com/robot/send", params={"sign": signed}).prepare().url
    assert asked == "https://oapi.dingtalk.com/robot/send?sign=jcUpW0QmtKduN03n4JqQ0PBosVjqnM8gU7fIIvsDmCM%3D"


def test_feishu_s_signature_is_the_known_answer() -> None:
    assert feishu.sign("SECabc", "1700000000") == "XprR1de+0SSBnwWyU/4k6x2TL+Q2SJlM5NNEdAv7MWg="


@pytest.mark.parametrize("kind", ROBOTS + SMS)
def test_a_message_arrives_and_the_inbox_shows_it(robots: Robots, kind: str) -> None:
    assert all(isinstance(answer, Accepted) for answer in sent(robots.channel(kind)))
    assert robots.answers(kind) == ["ok"]
    page = requests.get(robots.sandbox.inbox_url, timeout=10).text
    assert "双均线 选股" in html.unescape(page)


@pytest.mark.parametrize(
    ("kind", "lines", "code"),
    [
        ("wecom", {"key": "another"}, "93000"),
        ("dingtalk", {"token": "another"}, "300005"),
        ("dingtalk", {"secret": "SECanother"}, "310000"),
        ("dingtalk", {"token": "sandbox-keyword"}, "310000"),
        ("feishu", {"token": "another"}, "19001"),
        ("feishu", {"secret": "SECanother"}, "19021"),
        ("feishu", {"token": "sandbox-keyword"}, "19024"),
        ("serverchan", {"key": "another"}, "40001"),
        ("bark", {"key": "another"}, "400"),
        ("telegram", {"token": "another"}, "401"),
        ("telegram", {"chat": "another"}, "400"),
        ("webhook", {"secret": "another"}, "401"),
        ("tencent_sms", {"secret_key": "another"}, "AuthFailure.SignatureFailure"),
        ("tencent_sms", {"secret_id": "another"}, "AuthFailure.SecretIdNotFound"),
        ("tencent_sms", {"template": "another"}, "FailedOperation.TemplateIncorrectOrUnapproved"),
        ("aliyun_sms", {"key_secret": "another"}, "SignatureDoesNotMatch"),
        ("aliyun_sms", {"key_id": "another"}, "InvalidAccessKeyId.NotFound"),
        ("aliyun_sms", {"template": "another"}, "isv.SMS_TEMPLATE_ILLEGAL"),
    ],
)
def test_a_wrong_access_is_refused_for_good_though_http_says_200(
    robots: Robots, kind: str, lines: dict[str, Any], code: str
) -> None:
    answer = refused(robots.channel(kind, **lines))
    assert (answer.code, answer.retryable, answer.unfamiliar) == (code, False, False)
    assert not re.search("SECanother|(key|secret) another", answer.text)


@pytest.mark.parametrize(
    ("kind", "code", "seconds"),
    [
        ("wecom", "45009", 60),
        ("dingtalk", "130101", 600),
        ("feishu", "11232", 60),
        ("bark", "500", 60),
        ("telegram", "429", 7),
    ],
)
def test_too_fast_waits_as_long_as_the_service_asks(robots: Robots, kind: str, code: str, seconds: int) -> None:
    robots.sandbox.order_fault("quota", server="robots", api=kind)
    answer = refused(robots.channel(kind))
    assert (answer.code, answer.retryable, answer.unfamiliar) == (code, True, False)
    assert answer.retry_after == dt.timedelta(seconds=seconds)


def test_a_used_up_day_of_serverchan_ends_the_day(robots: Robots) -> None:
    robots.sandbox.order_fault("quota", server="robots", api="serverchan")
    answer = refused(robots.channel("serverchan"))
    assert (answer.for_the_day, answer.retryable) == (True, True)
    assert answer.retry_after == dt.timedelta(hours=6)  # from 18:00


@pytest.mark.parametrize("kind", SMS)
def test_a_second_sms_within_a_minute_is_told_to_wait(robots: Robots, kind: str) -> None:
    channel = robots.channel(kind)
    sent(channel)
    answer = refused(channel)
    assert answer.retryable
    assert answer.retry_after


@pytest.mark.parametrize("kind", SMS)
def test_an_sms_is_queued_then_sent_or_failed_with_the_operator_s_word(robots: Robots, kind: str) -> None:
    (answer,) = sent(robots.channel(kind))
    assert isinstance(answer, Accepted)
    assert answer.receipt
    channel = robots.channel(kind)
    states = [channel.poll(answer.receipt).state for _ in range(2)]
    assert states == [DeliveryState.SENDING, DeliveryState.DELIVERED]
    robots.sandbox.order_fault("undelivered", server="robots", api=kind)
    (answer,) = sent(robots.channel(kind, phones=["13900000000"]))
    assert isinstance(answer, Accepted)
    assert answer.receipt
    channel.poll(answer.receipt)
    failed = channel.poll(answer.receipt)
    assert failed.state is DeliveryState.FAILED
    assert failed.reason


def test_serverchan_tells_deliveries(robots: Robots) -> None:
    channel = robots.channel("serverchan")
    robots.sandbox.order_fault("undelivered", server="robots", api="serverchan", after=1)
    receipts = [answer.receipt for answer in sent(channel) + sent(channel) if isinstance(answer, Accepted)]
    found = [channel.poll(str(receipt)) for receipt in receipts]
    assert [each.state for each in found] == [DeliveryState.DELIVERED, DeliveryState.FAILED]
    assert "40037" in found[1].reason
    assert channel.poll("nonsense:x").state is DeliveryState.UNKNOWN


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (kind, fault)
        for kind in ROBOTS + SMS
        for fault in ("disconnect", "html", "status")
        if (kind, fault) != ("webhook", "html")  # which tells by the status alone
    ],
)
def test_what_was_not_answered_may_have_arrived(robots: Robots, kind: str, fault: str) -> None:
    robots.sandbox.order_fault(fault, server="robots", api=kind)
    assert isinstance(sent(robots.channel(kind))[0], Unknown)
    assert len(robots.sandbox.calls(kind, server="robots")) == 1, "it is not sent again by itself"


@pytest.mark.parametrize("kind", ROBOTS + SMS)
def test_what_never_reached_the_service_is_known_to_be_unsent(robots: Robots, kind: str) -> None:
    answer = refused(robots.channel(kind, url=NOBODY))
    assert (answer.code, answer.retryable) == ("unreachable", True)


@pytest.mark.parametrize("kind", ROBOTS)
def test_a_long_text_goes_in_numbered_parts_below_the_limit_at_line_ends(robots: Robots, kind: str) -> None:
    channel = robots.channel(kind)
    parts = channel.parts(LONG)
    limits = channel.limits
    texts = [channel.dressed(part.title, part.content) for part in parts]  # type: ignore[attr-defined]
    if limits.longest_bytes:
        assert max(len(text.encode()) for text in texts) <= limits.longest_bytes
    if limits.longest_characters:
        assert max(map(len, texts)) <= limits.longest_characters
    if len(parts) > 1:
        assert [part.title for part in parts] == [f"选股 ({n}/{len(parts)})" for n in range(1, len(parts) + 1)]
    lines = [line for part in parts for line in part.content.splitlines()]
    codes = [code for line in lines for code in re.findall(r"60\d{4}\.SH", line)]
    assert codes == [f"60{number:04d}.SH" for number in range(400)]
    assert all("换手率 2.4 %" in line for line in lines if line), "no line is cut"
    first = [channel.send(part) for part in parts[: 1 if kind == "serverchan" else 5]]
    assert all(isinstance(answer, Accepted) for answer in first)


def test_the_server_counts_bytes_and_a_byte_more_is_refused(robots: Robots) -> None:
    channel = robots.channel("wecom")
    title = "题"
    room = 4_096 - len(f"### {title}\n".encode())
    fits = "文" * (room // 3)
    assert isinstance(channel.send(Message(title, fits, "markdown")), Accepted)
    answer = channel.send(Message(title, fits + "文", "markdown"))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.retryable) == ("40058", False)


def test_an_unknown_code_is_passing_and_told_as_unknown() -> None:
    def respond(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        send_json(handler, {"errcode": 777777, "errmsg": "维护中 key-of-mine", "code": 777777, "msg": "维护中"})

    with serving(respond) as url:
        answer = refused(built("mine", {"kind": "wecom", "key": "key-of-mine", "url": url}, Means()))
    assert (answer.code, answer.retryable, answer.unfamiliar) == ("777777", True, True)
    assert answer.text == "777777 维护中 ***"


@pytest.mark.parametrize(
    ("status", "body", "retryable"),
    [
        (401, {"ok": False, "error_code": 401, "description": "Unauthorized"}, False),
        (429, {"ok": False, "error_code": 429, "description": "x", "parameters": {"retry_after": 3}}, True),
        (502, {"ok": False, "error_code": 502, "description": "Bad Gateway"}, True),
    ],
)
def test_telegram_s_words_are_read_with_any_status(status: int, body: dict[str, Any], retryable: bool) -> None:
    def respond(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)

    with serving(respond) as url:
        answer = refused(built("mine", {"kind": "telegram", "token": "t" * 9, "chat": "1", "url": url}, Means()))
    assert (answer.code, answer.retryable, answer.unfamiliar) == (str(status), retryable, False)


def test_a_webhook_follows_no_redirect_and_goes_to_no_private_address(robots: Robots) -> None:
    robots.sandbox.order_fault("redirect", server="robots", api="webhook")
    answer = refused(robots.channel("webhook"))
    assert (answer.code, answer.retryable) == ("redirected", True)
    assert robots.sandbox.calls(server="elsewhere") == []
    private = refused(robots.channel("webhook", allow_private=False))
    assert (private.code, private.retryable) == ("private_address", False)
    by_name = robots.sandbox.channels()["webhook"]["url"].replace("127.0.0.1", "localhost")
    assert refused(robots.channel("webhook", url=by_name, allow_private=False)).code == "private_address"
    assert robots.answers("webhook") == ["redirect"], "nothing was sent to the private address"


def test_a_webhook_s_signature_and_body_are_those_of_the_documents() -> None:
    got: dict[str, Any] = {}

    def respond(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        got.update(body=body, headers=dict(handler.headers))
        send_json(handler, {})

    body = {"text": "{title}: {text}", "n": [1, {"markdown": "{content}"}]}
    with serving(respond) as url:
        lines = {"kind": "webhook", "url": url, "secret": "s" * 8, "token": "bearer-1", "allow_private": True, "body": body}
        assert sent(built("mine", lines, Means()), Message("{text}", "**a** {title}")) == [Accepted(None)]
    assert got["body"] == {"text": "{text}: a {title}", "n": [1, {"markdown": "**a** {title}"}]}, "filled in once"
    assert got["headers"]["Authorization"] == "Bearer bearer-1"
    moment, _, found = got["headers"]["X-Signature"].removeprefix("t=").partition(",v1=")
    raw = b'{"text": "{text}: a {title}", "n": [1, {"markdown": "**a** {title}"}]}'
    assert found == hmac.new(b"s" * 8, f"{moment}.".encode() + raw, hashlib.sha256).hexdigest()


def test_what_a_webhook_s_address_holds_is_shown_by_nobody_even_where_the_service_repeats_it() -> None:
    def respond(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        send_json(handler, {"error": f"Cannot POST {handler.path} auth {handler.headers['Authorization']}"}, status=404)

    with serving(respond) as url:
        address = url.replace("://", "://bob:pw%2Fecho@") + "/hooks/path-echo?key=query%20echo"
        channel = built("mine", {"kind": "webhook", "url": address, "allow_private": True}, Means())
        (answer,) = sent(channel, Message("a", "b"))
    assert isinstance(answer, Refused)
    encoded = base64.b64encode(b"bob:pw/echo").decode()
    for secret in ("pw%2Fecho", "pw/echo", "path-echo", "query%20echo", "query echo", encoded):
        assert secret not in answer.text
        assert secret not in repr(channel.settings)


def test_no_secret_of_any_channel_is_logged_or_shown(robots: Robots, caplog: pytest.LogCaptureFixture) -> None:
    secret = "-".join(("hush", "hush", "hush"))
    lines: dict[str, dict[str, Any]] = {
        "wecom": {"key": secret},
        "dingtalk": {"token": secret, "secret": f"SEC{secret}"},
        "feishu": {"token": secret, "secret": f"SEC{secret}"},
        "serverchan": {"key": secret},
        "bark": {"key": secret},
        "telegram": {"token": secret},
        "webhook": {"secret": secret, "token": secret},
        "tencent_sms": {"secret_id": secret, "secret_key": secret},
        "aliyun_sms": {"key_id": secret, "key_secret": secret},
    }
    with caplog.at_level(logging.DEBUG):
        for kind, own in lines.items():
            for url in ({}, {"url": NOBODY}):
                channel = robots.channel(kind, **own, **url)
                told = repr([*sent(channel), channel.poll("x:y"), channel, vars(channel), vars(channel.settings)])  # type: ignore[attr-defined]
                assert secret not in told, kind
    assert secret not in caplog.text


@pytest.mark.parametrize(("kind", "code"), [("dingtalk", "310000"), ("feishu", "19021"), ("webhook", "401")])
def test_a_signature_of_another_hour_is_refused(robots: Robots, monkeypatch: pytest.MonkeyPatch, kind: str, code: str) -> None:
    module = importlib.import_module(f"quant_pipeline.notify.channels.{kind}")
    late = SimpleNamespace(now=lambda: clock.now() - dt.timedelta(hours=2))
    monkeypatch.setattr(module, "clock", late)
    assert refused(robots.channel(kind)).code == code
