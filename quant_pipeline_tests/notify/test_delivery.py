"""Which way messages go: from channel to channel, by receiver and hour, folded where there are too many."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from quant_pipeline.market import clock
from quant_pipeline.notify import listing, outbox
from quant_pipeline.notify.channels.configured import Means, built
from quant_pipeline.notify.channels.contract import Accepted, Answer, Delivery, Limits, Refused
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.notify.messages import Message
from quant_pipeline.notify.outbox import Delivered
from quant_pipeline.notify.routing import Receiver, Routes
from quant_pipeline.notify.severity import Severity
from quant_pipeline.notify.trial import tried
from quant_pipeline_tests.notify.conftest import Bench
from quant_pipeline_tests.sources.loopback import serving

NOBODY = "http://127.0.0.1:9/pushplus"
TWO = {"receivers": {"me": {"channels": ["first", "second"]}}}


class Roomy(PushPlus):
    """An account without a limit of ours: the server's are lifted too."""

    limits = Limits()


@pytest.fixture
def second(bench: Bench) -> Iterator[PushPlus]:
    return PushPlus(bench.sandbox.pushplus_token, bench.sandbox.pushplus_url, bench.sandbox.pushplus_secret, name="second")


def tell(bench: Bench, key: str, severity: Severity = Severity.INFO, topic: str = "", kind: str = "other") -> None:
    assert bench.put(key, Message(f"title {key}", key, severity=severity, topic=topic, kind=kind))


def test_what_a_channel_refuses_for_good_goes_over_the_next(bench: Bench, second: PushPlus) -> None:
    tell(bench, "a")
    first = PushPlus("not-of-the-sandbox", bench.sandbox.pushplus_url, name="first")
    assert bench.deliver(first, second, routes=TWO) == Delivered(sent=1, delivered=1, passed_on=1)
    assert bench.deliveries("channel, state, error") == [
        ("first", "passed_on", "permanent: 903 无效的用户令牌"),
        ("second", "delivered", None),
    ]
    assert bench.rows("status, error") == [("delivered", None)]
    assert bench.inbox() == ["a"]


def test_wecom_refuses_inside_http_200_and_pushplus_delivers(bench: Bench) -> None:
    """Without a file of routes: WeCom first, PushPlus in its place, over the sandbox's own servers."""
    wecom = built("desk", {"kind": "wecom", **bench.sandbox.channels()["wecom"], "key": "revoked"}, Means())
    tell(bench, "disk", Severity.CRITICAL)
    assert bench.deliver(bench.client, wecom) == Delivered(sent=1, delivered=1, passed_on=1)
    ((channel, state, error), second) = bench.deliveries("channel, state, error")
    assert (channel, state) == ("desk", "passed_on")
    assert "93000" in error
    assert second == ("pushplus", "delivered", None)
    assert "disk" in bench.inbox()


def test_what_no_channel_takes_has_failed_with_the_last_reason(bench: Bench) -> None:
    tell(bench, "a")
    both = [PushPlus("not-of-the-sandbox", bench.sandbox.pushplus_url, name=name) for name in ("first", "second")]
    assert bench.deliver(*both, routes=TWO) == Delivered(passed_on=1, failed=1)
    assert bench.rows("status, error") == [("failed", "permanent: 903 无效的用户令牌")]


def test_a_channel_that_refuses_one_after_the_other_for_good_is_asked_no_more_for_a_while(bench: Bench) -> None:
    """A key that was revoked: what waits is not put to it one by one."""
    bench.sandbox.set_quota("send", None, server="pushplus")
    first = PushPlus("not-of-the-sandbox", bench.sandbox.pushplus_url, name="first")
    second = Roomy(bench.sandbox.pushplus_token, bench.sandbox.pushplus_url, bench.sandbox.pushplus_secret, name="second")
    keys = [f"k{number}" for number in range(10)]
    for key in keys:
        tell(bench, key)
    assert bench.deliver(first, second, routes=TWO) == Delivered(sent=10, delivered=10, passed_on=10)
    assert sorted(bench.inbox()) == keys
    assert bench.answers().count("token") == 3
    bench.pass_time("5 min")
    tell(bench, "later")
    bench.deliver(first, second, routes=TWO)
    assert bench.answers().count("token") == 4, "asked once more, in case it was mended"


def test_a_channel_limited_for_the_day_passes_on_what_waits_and_what_comes(bench: Bench, second: PushPlus) -> None:
    first = PushPlus("sandbox-first", bench.sandbox.pushplus_url, name="first")
    bench.sandbox.order_fault("quota", server="pushplus", api="send")
    tell(bench, "a")
    tell(bench, "b")
    assert bench.deliver(first, second, routes=TWO) == Delivered(sent=2, delivered=2, passed_on=2)
    tell(bench, "c")
    bench.deliver(first, second, routes=TWO)
    assert bench.inbox() == ["a", "b", "c"]
    assert bench.answers().count("quota") == 1, "the first one is left alone for the day"


def test_an_open_circuit_passes_on_and_a_channel_that_is_well_again_is_taken_again(bench: Bench, second: PushPlus) -> None:
    dead, well = PushPlus("t", NOBODY, name="first"), PushPlus("sandbox-first", bench.sandbox.pushplus_url, name="first")
    tell(bench, "a")
    for _ in range(2):
        assert bench.deliver(dead, second, routes=TWO) == Delivered(waiting=1), "it may be well in a moment"
        bench.pass_time("5 min")
    assert bench.deliver(dead, second, routes=TWO) == Delivered(sent=1, delivered=1, passed_on=1)
    tell(bench, "b")
    bench.deliver(dead, second, routes=TWO)
    bench.pass_time("5 min")
    tell(bench, "c")
    bench.deliver(well, second, routes=TWO)
    assert bench.deliveries("message, channel, state, attempts") == [
        (1, "first", "passed_on", 3),
        (1, "second", "delivered", 1),
        (2, "first", "passed_on", 0),
        (2, "second", "delivered", 1),
        (3, "first", "accepted", 1),
    ]


def test_what_is_critical_does_not_wait_for_a_channel_that_failed_once(bench: Bench, second: PushPlus) -> None:
    dead = PushPlus("t", NOBODY, name="first")
    tell(bench, "a", Severity.WARNING)
    tell(bench, "b", Severity.CRITICAL)
    assert bench.deliver(dead, second, routes=TWO) == Delivered(sent=1, delivered=1, passed_on=1, waiting=1)
    assert bench.inbox() == ["b"]


def test_what_a_channel_accepted_and_could_not_deliver_goes_over_the_next(bench: Bench, second: PushPlus) -> None:
    first = PushPlus("sandbox-first", bench.sandbox.pushplus_url, bench.sandbox.pushplus_secret, name="first")
    bench.sandbox.order_fault("undelivered", server="pushplus", api="send")
    tell(bench, "a")
    assert bench.deliver(first, second, routes=TWO) == Delivered(sent=1, passed_on=1, waiting=1)
    assert bench.deliver(first, second, routes=TWO) == Delivered(sent=1, delivered=1)


def test_a_channel_that_was_taken_out_leaves_nothing_behind(bench: Bench, second: PushPlus) -> None:
    tell(bench, "a")
    bench.deliver(PushPlus("t", NOBODY, name="first"), second, routes=TWO)
    assert bench.deliver(second) == Delivered(sent=1, delivered=1, passed_on=1)


def test_every_receiver_has_deliveries_of_his_own(bench: Bench, second: PushPlus) -> None:
    first = PushPlus("not-of-the-sandbox", bench.sandbox.pushplus_url, name="first")
    people = {"receivers": {"me": {"channels": ["first"]}, "you": {"channels": ["second"]}}}
    tell(bench, "a")
    assert bench.deliver(first, second, routes=people) == Delivered(sent=1, delivered=1, failed=1)
    assert sorted(bench.deliveries("receiver, channel, state")) == [("me", "first", "failed"), ("you", "second", "delivered")]
    assert bench.rows("status") == [("failed",)], "it is not with everybody"


def test_what_no_route_takes_is_only_logged(bench: Bench, second: PushPlus) -> None:
    tell(bench, "a")
    assert bench.deliver(second, routes={"receivers": {"me": {"severities": ["critical"]}}}) == Delivered()
    assert bench.rows("status, error") == [("logged", "no route takes it: nobody is told")]


def test_quiet_hours_end_and_what_waited_goes_in_its_order(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = {"receivers": {"me": {"quiet": "22:30-07:30"}}}
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T23:30")
    tell(bench, "a")
    tell(bench, "b", Severity.WARNING)
    tell(bench, "c", Severity.CRITICAL)
    tell(bench, "d")
    assert bench.deliver(routes=quiet) == Delivered(sent=1, delivered=1, waiting=3)
    bench.pass_time("7 h 59 min")
    assert bench.deliver(routes=quiet) == Delivered(waiting=3)
    bench.pass_time("2 min")
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-21T07:31")
    assert bench.deliver(routes=quiet) == Delivered(sent=3, delivered=3)
    assert bench.inbox() == ["c", "b", "a", "d"], "the most urgent first, each severity in its order"


def test_the_same_alert_is_told_three_times_an_hour_and_then_in_a_digest(bench: Bench) -> None:
    bench.sandbox.set_quota("send", None, server="pushplus")
    client = Roomy(bench.sandbox.pushplus_token, bench.sandbox.pushplus_url, bench.sandbox.pushplus_secret)
    for number in range(10):
        tell(bench, f"same {number}", Severity.WARNING, topic="disk")
    tell(bench, "another", Severity.WARNING, topic="outbox")
    assert bench.deliver(client) == Delivered(sent=4, delivered=4, waiting=1)
    assert bench.inbox() == ["same 0", "same 1", "same 2", "another"]
    tell(bench, "same 10", Severity.WARNING, topic="disk")
    bench.deliver(client)
    assert [status for (status,) in bench.rows("status")].count("folded") == 8
    bench.pass_time("61 min")
    assert bench.deliver(client) == Delivered(sent=1, delivered=1)
    ((title, content, severity),) = bench.execute("SELECT title, content, severity FROM messages WHERE kind = 'digest'")
    assert title == "消息摘要 Digest：共 8 条"
    assert "| title same 10 | 8 |" in content
    assert severity == "warning"
    tell(bench, "same 11", Severity.WARNING, topic="disk")
    assert bench.deliver(client) == Delivered(sent=1, delivered=1), "the hour is over"


def test_a_backlog_is_told_in_one_message_after_the_first_and_nothing_of_it_is_lost(bench: Bench) -> None:
    for number in range(55):
        tell(bench, f"m{number:02}", Severity.WARNING)
    tell(bench, "first", Severity.CRITICAL)
    assert bench.deliver() == Delivered(sent=5, delivered=5, waiting=2)
    bench.sandbox.set_quota("send", None, server="pushplus")
    bench.pass_time("61 s")
    assert bench.deliver() == Delivered(sent=2, delivered=2)
    assert bench.inbox()[:6] == ["first", "m00", "m01", "m02", "m03", "m04"]
    ((folded,),) = bench.execute("SELECT count(*) FROM deliveries WHERE state = 'folded'")
    assert folded == 50
    ((content,),) = bench.execute("SELECT content FROM messages WHERE kind = 'digest'")
    assert content.index("title m05") < content.index("title m54")


def test_the_screens_of_a_day_are_no_flood(bench: Bench) -> None:
    for number in range(20):
        tell(bench, f"screen {number}", kind="screen")
    assert bench.deliver() == Delivered(sent=5, delivered=5, waiting=15)


def test_accounts_are_sent_over_beside_one_another_and_each_by_one_process_at_a_time(bench: Bench) -> None:
    """A channel that hangs holds up no other: the second one delivers while the first one's call is under way."""
    bench.sandbox.set_quota("send", None, server="pushplus")
    arrived, released = threading.Event(), threading.Event()

    class Hanging(Roomy):
        def send(self, message: Message):  # type: ignore[no-untyped-def]
            arrived.set()
            assert released.wait(30)
            return super().send(message)

    class Well(Roomy):
        def send(self, message: Message):  # type: ignore[no-untyped-def]
            assert arrived.wait(30)
            try:
                return super().send(message)
            finally:
                released.set()

    hanging, well = (
        kind(bench.sandbox.pushplus_token, bench.sandbox.pushplus_url, name=name)
        for kind, name in ((Hanging, "first"), (Well, "second"))
    )
    people = {"receivers": {"me": {"channels": ["first"]}, "you": {"channels": ["second"]}}}
    tell(bench, "a")
    assert bench.deliver(hanging, well, routes=people).sent == 2


def test_processes_at_once_keep_the_order_and_send_each_message_once(bench: Bench) -> None:
    bench.sandbox.set_quota("send", None, server="pushplus")
    keys = [f"k{number:02}" for number in range(30)]
    for key in keys:
        tell(bench, key)
    gate = threading.Barrier(4)

    def process() -> int:
        client = Roomy(bench.sandbox.pushplus_token, bench.sandbox.pushplus_url)
        gate.wait(timeout=30)
        return bench.deliver(client).sent

    with ThreadPoolExecutor(4) as pool:
        sent = [job.result() for job in [pool.submit(process) for _ in range(4)]]
    assert sum(sent) == len(keys)
    assert bench.inbox() == keys


def test_a_message_that_its_channel_cannot_stand_lets_the_others_go_first(bench: Bench) -> None:
    """It fails each time, while all else goes through: after three times it is tried last."""

    class Choking(PushPlus):
        def send(self, message: Message):  # type: ignore[no-untyped-def]
            return PushPlus("t", NOBODY).send(message) if message.content == "poison" else super().send(message)

    client = Choking(bench.sandbox.pushplus_token, bench.sandbox.pushplus_url, bench.sandbox.pushplus_secret)
    tell(bench, "poison")
    tell(bench, "a")
    for _ in range(3):
        assert bench.deliver(client).sent == 0
        bench.pass_time("10 min")
    assert bench.deliver(client) == Delivered(sent=1, delivered=1, waiting=1)


def test_a_second_and_a_minute_are_kept_by_parts_too(bench: Bench) -> None:
    """What is split counts as often as the service counts it, and what broke off goes on where it stopped."""

    class InParts(PushPlus):
        limits = Limits(a_minute=5)

        def parts(self, message: Message) -> list[Message]:
            return [Message(f"{message.title} {part}", f"{message.content}{part}") for part in (1, 2, 3)]

    client = InParts(bench.sandbox.pushplus_token, bench.sandbox.pushplus_url, bench.sandbox.pushplus_secret)
    tell(bench, "a")
    tell(bench, "b")
    assert bench.deliver(client) == Delivered(sent=1, delivered=1, waiting=1)
    assert bench.inbox() == ["a1", "a2", "a3", "b1", "b2"]
    bench.sandbox.set_quota("send", None, server="pushplus")
    bench.pass_time("61 s")
    assert bench.deliver(client) == Delivered(sent=1, delivered=1)
    assert bench.inbox() == ["a1", "a2", "a3", "b1", "b2", "b3"]


@pytest.mark.parametrize("after", ['"1e400"', "-1e308", "1e400", '"later"', "[7]", "9" * 400])
def test_no_wait_that_a_service_names_stops_the_outbox(after: str, bench: Bench, second: PushPlus) -> None:
    said = f'{{"ok": false, "error_code": 429, "description": "slow", "parameters": {{"retry_after": {after}}}}}'.encode()

    def busy(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        handler.send_response(429)
        handler.send_header("Content-Length", str(len(said)))
        handler.end_headers()
        handler.wfile.write(said)

    tell(bench, "a")
    routes = {"receivers": {"me": {"channels": ["chat"]}, "she": {"channels": ["second"]}}}
    with serving(busy) as url:
        chat = built("chat", {"kind": "telegram", "token": "1:bot", "chat": "7", "url": url}, Means())
        done = bench.deliver(chat, second, routes=routes)
        assert "429" in tried(chat, sandbox=True).words()
    assert done == Delivered(sent=1, delivered=1, waiting=1)
    assert bench.deliveries("channel, state") == [("chat", "waiting"), ("second", "delivered")]
    assert bench.execute("SELECT count(*) FROM delivery_attempts WHERE finished_at IS NULL") == [(0,)]
    assert bench.execute("SELECT retry_at > clock_timestamp() FROM channel_state WHERE account = 'chat'") == [(True,)]


class Faulty(PushPlus):
    """A plug-in whose own code fails: in `parts`, in `send`, or by an answer that no table can hold."""

    def __init__(self, bench: Bench, fault: str) -> None:
        super().__init__(bench.sandbox.pushplus_token, bench.sandbox.pushplus_url, name="first")
        self.fault, self.polls = fault, fault == "poll"

    def parts(self, message: Message) -> Sequence[Message]:
        return [] if self.fault == "parts" else super().parts(message)

    def send(self, _message: Message) -> Answer:
        if self.fault == "send":
            raise RuntimeError("its secret: s3cret")
        if self.fault == "words":
            return Refused("7", "a\x00\ud800b", retryable=True, retry_after=dt.timedelta.max)
        if self.fault == "none":
            return None  # type: ignore[return-value]
        return Accepted("a\x00b")

    def poll(self, _receipt: str) -> Delivery:
        raise RuntimeError("its secret: s3cret")


@pytest.mark.parametrize("fault", ["parts", "send", "words", "none", "receipt", "poll"])
def test_a_channel_whose_own_code_fails_stops_no_other(
    fault: str, bench: Bench, second: PushPlus, caplog: pytest.LogCaptureFixture
) -> None:
    tell(bench, "a")
    routes = {"receivers": {"me": {"channels": ["first"]}, "she": {"channels": ["second"]}}}
    bench.deliver(Faulty(bench, fault), second, routes=routes)
    ((mine, why, calls), hers) = bench.deliveries("state, error, attempts")
    taken = fault in ("receipt", "poll")
    assert (mine, calls, hers[0]) == ("accepted" if taken else "waiting", 1, "delivered")
    assert bench.execute("SELECT count(*) FROM delivery_attempts WHERE finished_at IS NULL") == [(0,)]
    assert "s3cret" not in f"{why} {caplog.text}"


class Astray(Routes):
    """Nothing can be found out about one of its receivers."""

    def waits(self, receiver: str, severity: Severity) -> dt.timedelta:
        if receiver == "me":
            raise TypeError
        return super().waits(receiver, severity)


def test_a_receiver_whose_routing_fails_is_told_at_once_and_stops_nobody_else(bench: Bench) -> None:
    tell(bench, "a")
    people = {name: Receiver(channels=("pushplus",)) for name in ("me", "she")}
    assert outbox.deliver(bench.database, [bench.client], Astray(people)) == Delivered(sent=2, delivered=2)


@pytest.mark.parametrize(("seconds", "moves"), [(315_360_000, True), (601, True), (600, False)])
def test_a_service_that_wants_to_be_left_alone_for_long_passes_on(
    seconds: int, moves: bool, bench: Bench, second: PushPlus
) -> None:
    def busy(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        handler.send_response(429)
        handler.send_header("Retry-After", str(seconds))
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    tell(bench, "a")
    with serving(busy) as url:
        hook = built("first", {"kind": "webhook", "url": url, "allow_private": True}, Means())
        bench.deliver(hook, second, routes=TWO)
    assert bench.deliveries("channel, state")[1:] == ([("second", "delivered")] if moves else [])
    rest = "SELECT retry_at < clock_timestamp() + interval '1 day' FROM channel_state WHERE account = 'first'"
    assert bench.execute(rest) == [(True,)]


def test_what_waits_into_another_year_says_the_year(bench: Bench) -> None:
    tell(bench, "a")
    bench.deliver(PushPlus(bench.sandbox.pushplus_token, NOBODY))
    bench.execute("UPDATE channel_state SET retry_at = '2036-11-25T08:00+08:00' RETURNING 1")
    ((way,),) = [each["ways"] for each in listing.messages(bench.database, status="pending", limit=1)]
    assert "2036-11-25 08:00" in way["why"]
