"""The outbox sensor: its tick sends what waits, and says what it did."""

from __future__ import annotations

import dagster as dg
import pytest

from quant_pipeline.notify.messages import Message
from quant_pipeline.notify.outbox import enqueue
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sensors.outbox import outbox
from quant_pipeline_tests.assets.platform import Platform


def tick() -> str:
    resource = NotifierResource(warehouse=WarehouseResource())
    with dg.build_sensor_context(resources={"notifier": resource}) as context:
        answer = outbox(context)
    assert isinstance(answer, dg.SkipReason)
    return str(answer.skip_message)


def put(platform: Platform, key: str) -> None:
    with platform.database.connect() as connection:
        assert enqueue(connection, key, Message(f"title {key}", f"content {key}"))


def test_what_waits_is_sent_by_the_tick_which_says_so(platform: Platform) -> None:
    put(platform, "one")
    before = platform.inbox()
    assert "已送达 delivered 1" in tick()
    assert platform.inbox() == before + 1
    assert platform.rows("SELECT status FROM messages WHERE dedupe_key = 'one'") == [("delivered",)]


def test_an_empty_outbox_is_a_quiet_tick(platform: Platform) -> None:
    before = platform.inbox()
    assert tick() == "没有待发消息 nothing to send"
    assert platform.inbox() == before


def test_without_a_token_waiting_messages_are_logged(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    put(platform, "two")
    monkeypatch.delenv("PUSHPLUS_TOKEN")
    assert tick() == "仅写日志 logged 1"
    assert platform.rows("SELECT status FROM messages WHERE dedupe_key = 'two'") == [("logged",)]
