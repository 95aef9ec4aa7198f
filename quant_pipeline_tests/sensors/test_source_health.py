"""The watch over the sources: each API in trouble is told once while that lasts, all that is new in one message."""

from __future__ import annotations

import dagster as dg
import pytest

from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sensors.source_health import source_health
from quant_pipeline.sources.refusals import record_unknown
from quant_pipeline.warehouse.database import Database

_CALLS = """
INSERT INTO source_calls (source, api, started_at, finished_at, outcome, process, presence)
SELECT %(source)s, %(api)s, now() - interval '1 second', now(), %(outcome)s, 'host:1', 1 FROM generate_series(1, 12)
"""
_STATE = "INSERT INTO source_state (source, api) VALUES (%(source)s, %(api)s) ON CONFLICT DO NOTHING"


CURSOR: list[str | None] = []
"""What Dagster keeps of the sensor from tick to tick."""


@pytest.fixture(autouse=True)
def _installed(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform without a PushPlus token: what would be sent is logged."""
    monkeypatch.setenv("QUANT_DATABASE_URL", warehouse.url)
    monkeypatch.setenv("PUSHPLUS_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:05")
    CURSOR.clear()


def called(database: Database, source: str, api: str, outcome: str) -> None:
    values = {"source": source, "api": api, "outcome": outcome}
    with database.connect() as connection:
        connection.execute(_STATE, values)
        connection.execute(_CALLS, values)


def tick() -> str:
    warehouse = WarehouseResource()
    resources = {"warehouse": warehouse, "notifier": NotifierResource(warehouse=warehouse)}
    with dg.build_sensor_context(resources=resources, cursor=CURSOR[-1] if CURSOR else None) as context:
        answer = source_health(context)
        CURSOR.append(context.cursor)
    assert isinstance(answer, dg.SkipReason)
    return str(answer.skip_message)


def told(database: Database) -> list[tuple[str, str, str]]:
    with database.connect() as connection:
        return connection.execute("SELECT dedupe_key, title, content FROM messages ORDER BY id").fetchall()


def test_healthy_sources_are_a_quiet_tick(warehouse: Database) -> None:
    called(warehouse, "tushare", "daily", "ok")
    assert tick() == "数据源正常 all healthy"
    assert told(warehouse) == []


def test_all_that_is_in_trouble_stands_in_one_message_with_what_to_do(warehouse: Database) -> None:
    called(warehouse, "tushare", "daily", "retryable")
    called(warehouse, "akshare", "eastmoney", "ok")
    with warehouse.connect() as connection:
        connection.execute("UPDATE source_state SET circuit = 'open', reason = 'block page | 滑块' WHERE source = 'akshare'")
        connection.execute(
            "INSERT INTO source_events (source, api, kind, reason) VALUES ('akshare', 'eastmoney', 'circuit_opened', 'x')"
        )
    assert tick() == "异常 in trouble: akshare.eastmoney, tushare.daily; 新告警 told now 2"
    ((key, title, content),) = told(warehouse)
    assert key == "sources-unhealthy:2026-11-20T18:05:akshare.eastmoney,tushare.daily"
    assert title == "【沙盒 SANDBOX】数据源异常 Source unhealthy：akshare.eastmoney 等 2 项"
    assert "最近 12 次调用成功率 0 %" in content
    assert r"block page \| 滑块" in content, "foreign text does not break the table"
    assert "quant-pipeline sources --reset" in content


def test_a_state_that_lasts_is_told_once_and_again_after_a_day(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    called(warehouse, "tushare", "daily", "retryable")
    tick()
    assert tick().endswith("told now 0")
    called(warehouse, "baostock", "query_stock_basic", "empty")
    assert tick().endswith("told now 1")
    for moment, count in (("2026-11-20T19:00", 0), ("2026-11-21T18:00", 0), ("2026-11-21T18:05", 2)):
        monkeypatch.setenv("QUANT_NOW", moment)
        assert tick().endswith(f"told now {count}"), moment
    assert [key.partition(":")[2] for key, _, _ in told(warehouse)] == [
        "2026-11-20T18:05:tushare.daily",
        "2026-11-20T18:05:baostock.query_stock_basic",
        "2026-11-21T18:05:tushare.daily,baostock.query_stock_basic",
    ]


def test_what_was_well_in_between_is_told_again_an_hour_later(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    called(warehouse, "tushare", "daily", "retryable")
    tick()
    for _ in range(5):
        called(warehouse, "tushare", "daily", "ok")
    assert tick() == "数据源正常 all healthy"
    for _ in range(5):
        called(warehouse, "tushare", "daily", "retryable")
    assert tick().endswith("told now 0")
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T19:05")
    assert tick().endswith("told now 1")


def test_it_watches_every_five_minutes_without_being_switched_on() -> None:
    assert source_health.default_status is dg.DefaultSensorStatus.RUNNING
    assert source_health.minimum_interval_seconds == 300


def test_words_that_nobody_knows_are_told_once_each_with_their_text(warehouse: Database) -> None:
    def refused(source: str, text: str) -> None:
        with warehouse.connect() as connection:
            record_unknown(connection, source, "daily", text)

    refused("tushare", "抱歉，第 3 次 | 维护中")
    tick()
    tick()
    ((key, title, content),) = told(warehouse)
    assert key.startswith("unknown-refusal:tushare:")
    assert title == "【沙盒 SANDBOX】数据源的陌生拒绝 Unknown refusal：tushare.daily"
    assert "抱歉，第 3 次" in content
    with warehouse.connect() as connection:
        connection.execute("DELETE FROM source_events")
    refused("tushare", "抱歉，第 17 次 | 维护中")  # the same words, with another number
    tick()
    assert len(told(warehouse)) == 1
    refused("tushare", "the account is being moved")
    refused("baostock", "抱歉，第 3 次 | 维护中")
    tick()
    tick()
    assert [title.rpartition("：")[2] for _, title, _ in told(warehouse)] == [
        "tushare.daily",
        "tushare.daily",
        "baostock.daily",
    ]
