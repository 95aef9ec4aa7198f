"""The outbox: told once, within the limits, never lost, its delivery known."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from quant_pipeline.market import clock
from quant_pipeline.notify import outbox
from quant_pipeline.notify.channels.contract import Answer
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.notify.messages import Message
from quant_pipeline.notify.outbox import Delivered
from quant_pipeline_tests.notify.conftest import Bench
from quant_pipeline_tests.sources.loopback import send_json, serving

MESSAGE = Message("选股 Screen", "# 金叉")
_RESTS = "SELECT extract(epoch FROM retry_at - changed_at) / 60 FROM channel_state"
NOBODY = "http://127.0.0.1:9/pushplus"


def test_a_message_is_sent_once_and_its_delivery_known_at_once(bench: Bench) -> None:
    bench.enqueue("a")
    assert bench.deliver() == Delivered(sent=1, delivered=1)
    assert bench.rows("status, error") == [("delivered", None)]
    shown = "receiver, channel, state, attempts, cardinality(receipts), sent_at IS NOT NULL"
    assert bench.deliveries(shown) == [("me", "pushplus", "delivered", 1, 1, True)]
    assert bench.deliver() == Delivered()
    assert bench.answers() == ["ok"]


def test_an_event_is_told_once(bench: Bench) -> None:
    assert bench.put("a", MESSAGE)
    assert not bench.put("a", Message("another", "text"))
    assert bench.rows("title, content, template, status") == [("选股 Screen", "# 金叉", "markdown", "pending")]
    bench.deliver()
    assert not bench.put("a", MESSAGE)


def test_a_message_shares_the_fate_of_its_event(bench: Bench) -> None:
    with bench.database.connect() as connection:
        outbox.enqueue(connection, "a", MESSAGE)
        connection.rollback()
    assert bench.rows("id") == []


def test_without_a_token_messages_are_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.put("a", MESSAGE)
    bench.put("b", MESSAGE)
    with caplog.at_level(logging.INFO):
        assert outbox.deliver(bench.database, []) == Delivered(logged=2)
    assert caplog.text.count("# 金叉") == 2
    assert bench.rows("status") == [("logged",), ("logged",)]
    assert outbox.deliver(bench.database, []) == Delivered()
    assert bench.deliver() == Delivered()
    assert bench.answers() == []


@pytest.mark.parametrize("fault", [{"kind": "disconnect"}, {"kind": "status", "status": 502}, {"kind": "html"}])
def test_what_did_not_get_through_is_tried_again_later(bench: Bench, fault: dict[str, object]) -> None:
    bench.sandbox.order_fault(**fault, server="pushplus", api="send")  # type: ignore[arg-type]
    bench.enqueue("a")
    assert bench.deliver() == Delivered(waiting=1)
    assert bench.rows("status, error LIKE 'unknown: %'") == [("pending", True)]
    assert bench.deliver() == Delivered(waiting=1)
    assert len(bench.answers()) == 1
    bench.pass_time("61 s")
    assert bench.deliver() == Delivered(sent=1, delivered=1)
    assert bench.rows("status, error") == [("delivered", None)]
    assert bench.deliveries("attempts") == [(2,)]


def test_when_one_does_not_get_through_the_others_wait_behind_it(bench: Bench) -> None:
    bench.sandbox.order_fault("disconnect", server="pushplus", api="send")
    bench.enqueue("a", "b")
    assert bench.deliver() == Delivered(waiting=2)
    assert bench.deliveries("attempts") == [(1,), (0,)]
    assert bench.deliver() == Delivered(waiting=2)
    bench.pass_time("61 s")
    assert bench.deliver() == Delivered(sent=2, delivered=2)
    assert bench.inbox() == ["a", "b"], "in their order"


def test_the_wait_doubles_and_stays_within_an_hour(bench: Bench) -> None:
    bench.enqueue("a")
    waits = []
    for _ in range(9):
        bench.deliver(PushPlus("sandbox-token", NOBODY))
        waits += [round(minutes) for (minutes,) in bench.execute(_RESTS)]
        bench.pass_time("61 min")
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert bench.deliver() == Delivered(sent=1, delivered=1)


def test_code_900_stops_everything_for_the_day(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.sandbox.order_fault("quota", server="pushplus", api="send")
    bench.enqueue("a", "b")
    assert bench.deliver() == Delivered(waiting=2)
    assert bench.rows("error")[0] == ("limited_for_the_day: 900 用户账号使用受限",)
    [(minutes,)] = bench.execute("SELECT extract(epoch FROM day_until - clock_timestamp()) / 60 FROM channel_state")
    assert round(minutes) == 6 * 60 + 5  # from 18:00 to 00:05
    bench.enqueue("c")
    bench.pass_time("6 h")
    assert bench.deliver() == Delivered(waiting=3)
    assert len(bench.answers()) == 1
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-21T00:06")
    bench.pass_time("6 min")
    assert bench.deliver() == Delivered(sent=3, delivered=3)


def test_a_refusal_for_good_is_recorded_and_does_not_hold_up_others(bench: Bench) -> None:
    bench.put("a", Message("标题", "内容", template="nonsense"))
    bench.enqueue("b")
    assert bench.deliver() == Delivered(sent=1, delivered=1, failed=1)
    assert bench.rows("status, error") == [("failed", "permanent: 999 服务端验证错误：模板不存在"), ("delivered", None)]
    bench.pass_time("1 day")
    assert bench.deliver() == Delivered()


def test_an_undelivered_message_is_known_with_its_reason(bench: Bench) -> None:
    bench.sandbox.order_fault("undelivered", server="pushplus", api="send")
    bench.enqueue("a")
    assert bench.deliver() == Delivered(sent=1, failed=1)
    assert bench.rows("status, error") == [("failed", "微信渠道发送失败")]


def test_what_cannot_be_asked_at_once_is_asked_later(bench: Bench) -> None:
    bench.sandbox.order_fault("disconnect", server="pushplus", api="sendMessageResult")
    bench.enqueue("a", "b")
    assert bench.deliver() == Delivered(sent=2)
    assert {(status, "connection failed" in error) for status, error in bench.rows("status, error")} == {("accepted", True)}
    assert bench.deliver() == Delivered()
    assert len(bench.answers("sendMessageResult")) == 1, "not asked again at once"
    bench.pass_time("11 s")
    assert bench.deliver() == Delivered()
    bench.pass_time("1 min")
    assert bench.deliver() == Delivered(delivered=2)
    assert bench.rows("status, error") == [("delivered", None)] * 2
    assert bench.answers() == ["ok", "ok"]


def test_without_a_secret_key_accepted_is_the_last_word(bench: Bench, mute: PushPlus) -> None:
    bench.enqueue("a")
    assert bench.deliver(mute) == Delivered(sent=1)
    assert bench.deliver(mute) == Delivered()
    assert bench.rows("status, error") == [("accepted", None)]
    assert bench.answers("getAccessKey") == []


def test_a_receipt_that_pushplus_has_forgotten_holds_up_no_other(bench: Bench, mute: PushPlus) -> None:
    bench.enqueue("a", "b")
    bench.deliver(mute)
    bench.execute("UPDATE deliveries SET receipts = '{nonsense}' WHERE message = 1 RETURNING id")
    bench.deliver()
    bench.pass_time("1 h")
    assert bench.deliver() == Delivered(delivered=1)
    assert bench.rows("status, error") == [("accepted", "600 数据异常，操作失败"), ("delivered", None)]
    asked = len(bench.answers("sendMessageResult"))
    bench.pass_time("1 day")
    assert bench.deliver() == Delivered()
    assert len(bench.answers("sendMessageResult")) == asked, "not asked for ever"


def test_five_a_minute_in_their_order(bench: Bench) -> None:
    bench.enqueue(*"abcdefg")
    assert bench.deliver() == Delivered(sent=5, delivered=5, waiting=2)
    assert bench.deliver() == Delivered(waiting=2)
    assert bench.deliveries("attempts") == [(1,)] * 5 + [(0,)] * 2
    bench.sandbox.set_quota("send", None, server="pushplus")  # the server's own minute has not gone by
    bench.pass_time("66 s")
    assert bench.deliver() == Delivered(sent=2, delivered=2)
    assert bench.answers() == ["ok"] * 7


def test_two_hundred_a_day(bench: Bench) -> None:
    bench.enqueue("old")
    bench.deliver()
    bench.execute(
        "INSERT INTO delivery_attempts (delivery, account, started_at, finished_at) SELECT id, 'pushplus', moment, moment "
        "FROM deliveries, generate_series(1, 198), (SELECT clock_timestamp() - interval '2 h') AS ago (moment) RETURNING 1"
    )
    bench.enqueue("a", "b")
    assert bench.deliver() == Delivered(sent=1, delivered=1, waiting=1)
    bench.pass_time("15 h")
    assert bench.deliver() == Delivered(waiting=1), "the day began 18 hours ago, the first messages went 17 hours ago"
    bench.pass_time("2 h")
    assert bench.deliver() == Delivered(sent=1, delivered=1)


def test_too_fast_for_pushplus_is_no_refusal_for_good(bench: Bench) -> None:
    bench.sandbox.set_quota("send", 1, server="pushplus")
    bench.enqueue("a", "b")
    assert bench.deliver() == Delivered(sent=1, delivered=1, waiting=1)
    assert bench.rows("status")[1] == ("pending",)


def test_deliverers_at_once_send_once_and_keep_the_limit(bench: Bench) -> None:
    bench.sandbox.set_quota("send", None, server="pushplus")
    bench.sandbox.order_fault("slow", server="pushplus", api="send", seconds=0.1, times=None)
    bench.enqueue(*"abcdefgh")
    gate = threading.Barrier(4)

    def deliverer() -> Delivered:
        gate.wait(timeout=30)
        return bench.deliver(PushPlus(bench.sandbox.pushplus_token, bench.sandbox.pushplus_url))

    with ThreadPoolExecutor(4) as pool:
        done = [job.result() for job in [pool.submit(deliverer) for _ in range(4)]]
    assert sum(each.sent for each in done) == PushPlus.limits.a_minute
    assert [state for (state,) in bench.deliveries("state")].count("waiting") == 3
    assert bench.inbox() == list("abcde"), "in their order"
    assert len(bench.answers()) == PushPlus.limits.a_minute


def test_a_process_that_dies_while_sending_loses_nothing(bench: Bench) -> None:
    class Killed(BaseException):
        pass

    class Dying(PushPlus):
        def send(self, message: Message) -> Answer:
            super().send(message)
            raise Killed

    bench.enqueue("a", "b")
    with pytest.raises(Killed):
        bench.deliver(Dying(bench.sandbox.pushplus_token, bench.sandbox.pushplus_url))
    assert bench.deliver() == Delivered(sent=2, delivered=2)
    assert bench.inbox() == ["a", "a", "b"], "the one that it was sending goes twice, and the order is kept"


def test_secrets_reach_neither_table_nor_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.enqueue("a", "b")
    with caplog.at_level(logging.DEBUG):
        bench.deliver(PushPlus("hush-token", NOBODY, "hush-secret"))
        bench.pass_time("61 s")
        assert bench.deliver(PushPlus("hush-token", bench.sandbox.pushplus_url, "hush-secret")).failed == 2
        bench.enqueue("c")
        bench.pass_time("10 min")  # three failures in a row: the account rests
        bench.deliver(PushPlus(bench.sandbox.pushplus_token, bench.sandbox.pushplus_url, "hush-secret"))
    assert "903" in caplog.text
    assert "cannot be asked" in caplog.text
    tables = ("messages", "deliveries", "delivery_attempts", "channel_state")
    stored = str([bench.execute(f"SELECT {table}::text FROM {table}") for table in tables])
    for secret in ("hush-token", "hush-secret", bench.sandbox.pushplus_token):
        assert secret not in caplog.text
        assert secret not in stored


def test_what_was_done_reads_well() -> None:
    assert str(Delivered()) == "没有待发消息 nothing to send"
    assert str(Delivered(sent=2, waiting=1)) == "已发送 sent 2 · 待发 waiting 1"


def test_a_refusal_that_nobody_knows_is_recorded_once_and_tried_again(bench: Bench) -> None:
    def respond(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        send_json(handler, {"code": 777, "msg": "维护中 token-of-mine", "data": None})

    bench.enqueue("a", "b")
    with serving(respond) as url:
        for _ in range(2):
            assert bench.deliver(PushPlus("token-of-mine", url)).sent == 0
            bench.pass_time("61 s")
    with bench.database.connect() as connection:
        events = connection.execute("SELECT source, api, kind, reason FROM source_events").fetchall()
    assert events == [("pushplus", "send", "unknown_refusal", "777 维护中 ***")]
    assert bench.rows("status") == [("pending",), ("pending",)]
