"""The watch over the rules: each alert is told once while it lasts, all that is new in one message, and its end once."""

from __future__ import annotations

import dagster as dg
import pytest

from quant_pipeline.alerts import book
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sensors.alerts import alerts
from quant_pipeline.sources.refusals import record_unknown
from quant_pipeline.warehouse.database import Database

_CALLS = """
INSERT INTO source_calls (source, api, started_at, finished_at, outcome, process, presence)
SELECT %(source)s, %(api)s, now() - interval '1 second' * %(seconds)s, now(), %(outcome)s, 'host:1', 1
FROM generate_series(1, %(count)s)
"""
_STATE = "INSERT INTO source_state (source, api) VALUES (%(source)s, %(api)s) ON CONFLICT DO NOTHING"


@pytest.fixture(autouse=True)
def _installed(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform without a PushPlus token: what would be sent is logged."""
    monkeypatch.setenv("QUANT_DATABASE_URL", warehouse.url)
    monkeypatch.setenv("PUSHPLUS_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:05")
    book.change_rule(warehouse, "disk_low", by="test", enabled=False)  # the machine's own disk


def called(database: Database, source: str, api: str, outcome: str, *, count: int = 12, seconds: float = 1.0) -> None:
    values = {"source": source, "api": api, "outcome": outcome, "count": count, "seconds": seconds}
    with database.connect() as connection:
        connection.execute(_STATE, values)
        connection.execute(_CALLS, values)


def tick() -> str:
    warehouse = WarehouseResource()
    resources = {"warehouse": warehouse, "notifier": NotifierResource(warehouse=warehouse)}
    with dg.build_sensor_context(resources=resources) as context:
        answer = alerts(context)
    assert isinstance(answer, dg.SkipReason)
    return str(answer.skip_message)


def told(database: Database) -> list[tuple[str, str, str]]:
    with database.connect() as connection:
        return connection.execute("SELECT severity, title, content FROM messages ORDER BY id").fetchall()


def standing(database: Database) -> list[tuple[str, str, str]]:
    return book.alerts(database, everything=True).sort("id").select("rule", "subject", "state").rows()


def test_healthy_sources_are_a_quiet_tick(warehouse: Database) -> None:
    called(warehouse, "tushare", "daily", "ok")
    assert tick() == "未恢复 open 0 · 新告警 told now 0 · 已恢复 over 0"
    assert told(warehouse) == []


def test_all_that_is_new_stands_in_one_message_with_what_to_do(warehouse: Database) -> None:
    called(warehouse, "tushare", "daily", "retryable")
    called(warehouse, "wecom", "send", "ok", seconds=6.0)  # a service that is no source
    called(warehouse, "akshare", "eastmoney", "ok")
    with warehouse.connect() as connection:
        connection.execute("UPDATE source_state SET circuit = 'open', reason = 'block page | 滑块' WHERE source = 'akshare'")
        connection.execute(
            "INSERT INTO source_events (source, api, kind, reason) VALUES ('akshare', 'eastmoney', 'circuit_opened', 'x')"
        )
    assert tick() == "未恢复 open 3 · 新告警 told now 3 · 已恢复 over 0"
    ((severity, title, content),) = told(warehouse)
    assert severity == "warning", "the gravest of them"
    assert title == "【沙盒 SANDBOX】告警 Alert：成功率低，tushare.daily 等 3 项"
    assert "最近 12 次调用成功率 0 %" in content
    assert r"block page \| 滑块" in content, "foreign text does not break the table"
    assert "| 响应慢 | wecom.send | 平均每次调用 6.0 秒（阈值 5 s） |" in content
    assert "quant-pipeline alerts ack" in content
    assert "/alerts)" in content


def test_ten_calls_make_a_rate_and_nine_do_not(warehouse: Database) -> None:
    called(warehouse, "tushare", "daily", "retryable", count=9)
    assert tick().startswith("未恢复 open 0")
    called(warehouse, "tushare", "daily", "retryable", count=1)
    assert tick().startswith("未恢复 open 1")


def test_a_state_that_lasts_is_told_once_and_again_after_a_day(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    called(warehouse, "tushare", "daily", "retryable")
    tick()
    assert "told now 0" in tick()
    called(warehouse, "baostock", "query_stock_basic", "empty")
    assert "told now 1" in tick()
    for moment, count in (("2026-11-20T19:00", 0), ("2026-11-21T18:00", 0), ("2026-11-21T18:05", 2)):
        monkeypatch.setenv("QUANT_NOW", moment)
        assert f"told now {count}" in tick(), moment
    assert len(told(warehouse)) == 3


def test_what_somebody_knows_of_is_not_told_again(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    called(warehouse, "tushare", "daily", "retryable")
    tick()
    book.acknowledge(warehouse, [1], "li")
    monkeypatch.setenv("QUANT_NOW", "2026-11-22T18:05")
    assert "told now 0" in tick()
    assert standing(warehouse) == [("success_rate", "tushare.daily", "acknowledged")]


def test_what_is_over_ends_by_itself_and_is_told_once(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    called(warehouse, "tushare", "daily", "retryable")
    tick()
    called(warehouse, "tushare", "daily", "ok", count=50)
    assert tick() == "未恢复 open 0 · 新告警 told now 0 · 已恢复 over 1"
    tick()
    severity, title, content = told(warehouse)[-1]
    assert (severity, title) == ("info", "【沙盒 SANDBOX】已恢复 Recovered：成功率低，tushare.daily")
    assert "11-20 18:05" in content, "since when"
    assert len(told(warehouse)) == 2
    called(warehouse, "tushare", "daily", "retryable", count=50)
    assert "told now 0" in tick(), "what comes and goes is told once an hour"
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T19:05")
    assert "told now 1" in tick()
    assert standing(warehouse) == [("success_rate", "tushare.daily", "resolved"), ("success_rate", "tushare.daily", "open")]


def test_a_rule_s_threshold_and_switch_are_the_user_s(warehouse: Database) -> None:
    called(warehouse, "tushare", "daily", "ok", seconds=3.0)
    assert tick().startswith("未恢复 open 0")
    book.change_rule(warehouse, "slow", by="li", threshold=2.5)
    assert tick().startswith("未恢复 open 1")
    book.change_rule(warehouse, "slow", by="li", enabled=False)
    assert tick() == "未恢复 open 0 · 新告警 told now 0 · 已恢复 over 0", "its end is no news"
    assert [title for _, title, _ in told(warehouse)] == ["【沙盒 SANDBOX】告警 Alert：响应慢，tushare.daily"]
    assert "（阈值 2.5 s）" in told(warehouse)[0][2]


def test_a_rule_that_cannot_look_leaves_its_alerts_and_stops_no_other(
    warehouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    called(warehouse, "tushare", "daily", "retryable")
    tick()
    monkeypatch.setenv("QUANT_RATE_LIMITS", "no-such-file.toml")
    answer = tick()
    assert answer.startswith("未恢复 open 1")
    assert "could not look: success_rate, slow, circuit_open" in answer
    assert standing(warehouse) == [("success_rate", "tushare.daily", "open")]


def test_a_full_disk_and_messages_that_wait_are_alerts(warehouse: Database) -> None:
    book.change_rule(warehouse, "disk_low", by="li", enabled=True, threshold=1e9)
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO messages (dedupe_key, title, content, template, status, routed_at) "
            "VALUES ('m', '', '', '', 'pending', now())"
        )
        connection.execute(
            "INSERT INTO deliveries (message, receiver, channel, urgency, state, not_before, created_at, error) VALUES "
            "(1, 'me', 'wecom', 1, 'waiting', now() - interval '61 min', now() - interval '61 min', 'unknown: no answer')"
        )
    tick()
    severity, _, content = told(warehouse)[-1]
    assert severity == "critical"
    assert "| 磁盘将满 |" in content
    assert "| 消息积压 | wecom | 1 条待发，最早的已等 61 分钟：unknown: no answer（阈值 60 min） |" in content


def test_it_watches_without_being_switched_on() -> None:
    assert alerts.default_status is dg.DefaultSensorStatus.RUNNING
    assert alerts.minimum_interval_seconds == 120


def test_words_that_nobody_knows_are_told_once_each_with_their_text(warehouse: Database) -> None:
    def refused(source: str, text: str) -> None:
        with warehouse.connect() as connection:
            record_unknown(connection, source, "daily", text)

    refused("tushare", "抱歉，第 3 次 | 维护中")
    tick()
    tick()
    ((_, title, content),) = told(warehouse)
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
