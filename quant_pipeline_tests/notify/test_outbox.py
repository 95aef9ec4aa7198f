"""The outbox over a real PostgreSQL and a real socket: nothing is lost, nothing is told twice, no limit is broken."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from typing import Any

import pytest

from quant_pipeline.notify import outbox
from quant_pipeline.notify.messages import Message
from quant_pipeline.notify.pushplus import PushPlus
from quant_pipeline.sandbox.rehearsal import Rehearsal
from quant_pipeline.warehouse.database import Database


class Mail:
    """Puts messages into a database's outbox and looks at what became of them."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def put(self, *keys: str) -> None:
        with self.database.connect() as connection:
            for key in keys:
                assert outbox.enqueue(connection, key, Message(f"标题 {key}", f"内容 {key}"))

    def pass_time(self, interval: str) -> None:
        """As if so much time had passed since everything that happened."""
        with self.database.connect() as connection:
            for statement in (
                "UPDATE messages SET sent_at = sent_at - %(by)s::interval",
                "UPDATE messages SET next_attempt_at = next_attempt_at - %(by)s::interval",
                "UPDATE source_state SET blocked_until = blocked_until - %(by)s::interval",
            ):
                connection.execute(statement, {"by": interval})

    def column(self, name: str) -> list[Any]:
        with self.database.connect() as connection:
            return [row[0] for row in connection.execute(f"SELECT {name} FROM messages ORDER BY id").fetchall()]


@pytest.fixture
def mail(warehouse: Database) -> Mail:
    return Mail(warehouse)


def _sent(sandbox: Rehearsal) -> list[str]:
    return [call["params"]["title"] for call in sandbox.calls("send", server="pushplus")]


def test_an_event_is_told_once(mail: Mail, client: PushPlus, sandbox: Rehearsal) -> None:
    message = Message("标题", "内容")
    with mail.database.connect() as connection:
        assert outbox.enqueue(connection, "run-failed:1", message)
        assert not outbox.enqueue(connection, "run-failed:1", message)
    assert outbox.deliver(mail.database, client).accepted == 1
    with mail.database.connect() as connection:
        assert not outbox.enqueue(connection, "run-failed:1", message)
    assert outbox.deliver(mail.database, client).accepted == 0
    assert len(_sent(sandbox)) == 1


def test_a_message_shares_the_fate_of_its_event(mail: Mail) -> None:
    with mail.database.connect() as connection:
        outbox.enqueue(connection, "screen:1", Message("标题", "内容"))
        connection.rollback()
    assert mail.column("id") == []


def test_accepted_then_delivered(mail: Mail, client: PushPlus) -> None:
    mail.put("a")
    first = outbox.deliver(mail.database, client)
    assert (first.accepted, first.delivered, first.waiting) == (1, 0, 0)
    assert mail.column("status") == ["accepted"]
    mail.pass_time("2 seconds")
    assert outbox.deliver(mail.database, client).delivered == 1
    assert mail.column("status") == ["delivered"]
    mail.pass_time("1 hour")
    assert str(outbox.deliver(mail.database, client)) == "nothing to send"


def test_a_delivery_that_failed_is_seen(mail: Mail, client: PushPlus, sandbox: Rehearsal) -> None:
    sandbox.order_fault("undelivered", server="pushplus", api="send")
    mail.put("a")
    outbox.deliver(mail.database, client)
    mail.pass_time("2 seconds")
    assert outbox.deliver(mail.database, client).failed == 1
    assert mail.column("status") == ["failed"]
    assert "失败" in mail.column("error")[0]


def test_pushplus_is_not_asked_again_at_once(mail: Mail, client: PushPlus, sandbox: Rehearsal) -> None:
    mail.put("a")
    for _ in range(3):
        outbox.deliver(mail.database, client)
    assert len(sandbox.calls("sendMessageResult", server="pushplus")) == 1


def test_without_a_secret_key_accepted_is_the_last_word(mail: Mail, sandbox: Rehearsal) -> None:
    client = PushPlus(sandbox.pushplus_token, sandbox.pushplus_url)
    mail.put("a")
    outbox.deliver(mail.database, client)
    mail.pass_time("1 minute")
    assert outbox.deliver(mail.database, client).delivered == 0
    assert mail.column("status") == ["accepted"]


def test_no_token_logs_the_message_and_fails_nothing(mail: Mail, caplog: pytest.LogCaptureFixture) -> None:
    mail.put("a", "b")
    with caplog.at_level(logging.INFO):
        assert outbox.deliver(mail.database, None).logged == 2
    assert mail.column("status") == ["logged", "logged"]
    assert "标题 a" in caplog.text
    assert "内容 b" in caplog.text
    assert outbox.deliver(mail.database, None).logged == 0


@pytest.mark.parametrize("fault", ["disconnect", "status", "html"])
def test_a_passing_fault_is_tried_again_with_growing_waits(
    mail: Mail, client: PushPlus, sandbox: Rehearsal, fault: str
) -> None:
    sandbox.order_fault(fault, server="pushplus", api="send", times=2)
    mail.put("a")
    assert outbox.deliver(mail.database, client).waiting == 1
    assert mail.column("error")[0].startswith("PushPlus")
    assert outbox.deliver(mail.database, client).accepted == 0, "not at once"
    mail.pass_time("61 seconds")
    outbox.deliver(mail.database, client)
    mail.pass_time("61 seconds")
    assert outbox.deliver(mail.database, client).accepted == 0, "the second wait is longer"
    mail.pass_time("60 seconds")
    assert outbox.deliver(mail.database, client).accepted == 1
    assert mail.column("error") == [None]
    assert mail.column("attempts") == [3]


def test_a_net_that_stays_away_is_given_up_in_the_end_with_its_reason(mail: Mail) -> None:
    nowhere = PushPlus("a-token", "http://127.0.0.1:1")
    mail.put("a")
    failed = 0
    for _ in range(20):
        failed += outbox.deliver(mail.database, nowhere).failed
        mail.pass_time("7 hours")
    assert failed == 1
    assert mail.column("status") == ["failed"]
    assert mail.column("attempts") == [12]
    assert "cannot be reached" in mail.column("error")[0]


def test_one_message_that_is_refused_does_not_stop_the_next(mail: Mail, client: PushPlus) -> None:
    with mail.database.connect() as connection:
        outbox.enqueue(connection, "bad", Message("标题", "", "html"))
    mail.put("good")
    done = outbox.deliver(mail.database, client)
    assert (done.accepted, done.failed) == (1, 1)
    assert mail.column("status") == ["failed", "accepted"]
    assert "999" in mail.column("error")[0]


def test_five_a_minute(mail: Mail, client: PushPlus, sandbox: Rehearsal) -> None:
    mail.put(*"abcdefg")
    first = outbox.deliver(mail.database, client)
    assert (first.accepted, first.waiting) == (5, 2)
    assert outbox.deliver(mail.database, client).accepted == 0
    sandbox.set_quota("send", None, server="pushplus")
    mail.pass_time("66 seconds")
    assert outbox.deliver(mail.database, client).accepted == 2
    assert _sent(sandbox) == [f"标题 {key}" for key in "abcdefg"], "in their order"


def test_two_hundred_a_day(mail: Mail, client: PushPlus) -> None:
    mail.put("a", "b", "c")
    with mail.database.connect() as connection:
        connection.execute("""
            INSERT INTO messages (dedupe_key, title, content, template, status, attempts, sent_at)
            SELECT 'earlier ' || n, 't', 'c', 'txt', 'delivered', 99, date_trunc('day', clock_timestamp(), 'Asia/Shanghai')
            FROM generate_series(1, 2) AS n""")
    today = outbox.deliver(mail.database, client)
    assert (today.accepted, today.waiting) == (2, 1)
    mail.pass_time("1 day")
    assert outbox.deliver(mail.database, client).accepted == 1


def test_limited_stops_the_day_for_every_message(mail: Mail, client: PushPlus, sandbox: Rehearsal) -> None:
    sandbox.order_fault("quota", server="pushplus", api="send")
    mail.put("a", "b")
    assert outbox.deliver(mail.database, client).waiting == 2
    mail.put("c")
    outbox.deliver(mail.database, client)
    assert len(_sent(sandbox)) == 1, "PushPlus makes the ban longer for those who go on"
    assert "900" in mail.column("error")[0]
    mail.pass_time("1 day")
    assert outbox.deliver(mail.database, client).accepted == 3


_DELIVER = """
import sys
from quant_pipeline.notify import outbox
from quant_pipeline.notify.pushplus import PushPlus
from quant_pipeline.settings import Mode
from quant_pipeline.warehouse.database import Database
outbox.deliver(Database(sys.argv[1], Mode.SANDBOX), PushPlus(sys.argv[2], sys.argv[3]))
"""


def test_a_process_killed_in_the_call_neither_loses_its_message_nor_has_it_repeated_at_once(
    mail: Mail, client: PushPlus, sandbox: Rehearsal
) -> None:
    sandbox.order_fault("hang", server="pushplus", api="send")
    mail.put("a")
    arguments = [mail.database.url, sandbox.pushplus_token, sandbox.pushplus_url]
    with subprocess.Popen([sys.executable, "-c", _DELIVER, *arguments]) as process:
        while not _sent(sandbox):
            assert process.poll() is None
        process.kill()
    assert (mail.column("status"), mail.column("attempts")) == (["pending"], [1])
    assert outbox.deliver(mail.database, client).accepted == 0
    mail.pass_time("61 seconds")
    assert outbox.deliver(mail.database, client).accepted == 1


def test_many_at_once_send_each_message_once_and_keep_the_limit(mail: Mail, sandbox: Rehearsal) -> None:
    sandbox.set_quota("send", None, server="pushplus")
    sandbox.order_fault("slow", server="pushplus", api="send", seconds=0.05, times=None)
    mail.put(*(f"{number}" for number in range(8)))
    gate = threading.Barrier(4)

    def work() -> None:
        client = PushPlus(sandbox.pushplus_token, sandbox.pushplus_url)
        gate.wait(timeout=10)
        outbox.deliver(mail.database, client)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    titles = _sent(sandbox)
    assert len(titles) == len(set(titles)) == outbox.A_MINUTE
