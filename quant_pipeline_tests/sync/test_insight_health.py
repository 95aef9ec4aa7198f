"""Health of sources: rates and times over the last calls, quota, circuit, priority; and which of them deserve an alert."""

from __future__ import annotations

from typing import Any

import pytest

from quant_pipeline.sources.policy import Policies, RatePolicy
from quant_pipeline.sync.insight.health import health_of, open_circuits, prune, troubles, unhealthy
from quant_pipeline.warehouse.database import Database

POLICIES: Policies = {"tushare": {"*": RatePolicy(per_minute=200), "slow": RatePolicy(per_minute=10, minute=600)}}
PRIORITIES = {"baostock": 2, "ths": 0, "tushare": 1}
_CALLS = """
INSERT INTO source_calls (source, api, started_at, finished_at, outcome, process, presence)
SELECT %(source)s, %(api)s, now() - make_interval(secs => %(ago)s + %(seconds)s),
       CASE WHEN %(outcome)s::text IS NOT NULL THEN now() - make_interval(secs => %(ago)s) END, %(outcome)s, 'host:1', 1
FROM generate_series(1, %(count)s)
"""


def calls(
    database: Database,
    count: int,
    outcome: str | None = "ok",
    *,
    api: str = "daily",
    seconds: float = 0.5,
    ago: float = 1.0,
    source: str = "tushare",
) -> None:
    values = {"source": source, "api": api, "ago": ago, "seconds": seconds, "outcome": outcome, "count": count}
    with database.connect() as connection:
        connection.execute("INSERT INTO source_state (source, api) VALUES (%s, %s) ON CONFLICT DO NOTHING", (source, api))
        connection.execute(_CALLS, values)


def execute(database: Database, statement: str) -> None:
    with database.connect() as connection:
        connection.execute(statement)  # type: ignore[call-overload]


def of(database: Database, api: str = "daily", source: str = "tushare") -> dict[str, Any]:
    health = health_of(database, POLICIES, PRIORITIES)
    (row,) = (row for row in health if (row["source"], row["api"]) == (source, api))
    return row


def test_every_source_is_there_before_its_first_call_in_order_of_priority(warehouse: Database) -> None:
    health = health_of(warehouse, POLICIES, PRIORITIES)
    names = ("source", "api", "priority", "circuit", "calls_day", "judged")
    assert [tuple(row[name] for name in names) for row in health] == [
        ("tushare", "*", 1, "closed", 0, 0),
        ("baostock", "*", 2, "closed", 0, 0),
        ("ths", "*", 0, "closed", 0, 0),
    ]
    assert troubles(health) == {}


def test_calls_are_counted_by_minute_hour_and_day_and_summed_for_the_source(warehouse: Database) -> None:
    calls(warehouse, 3)
    calls(warehouse, 4, None)
    calls(warehouse, 5, ago=600)
    calls(warehouse, 6, ago=7200)
    calls(warehouse, 7, ago=90_000)
    calls(warehouse, 20, api="slow", ago=300)
    row, slow, whole = of(warehouse), of(warehouse, "slow"), of(warehouse, "*")
    assert [row[f"calls_{span}"] for span in ("minute", "hour", "day")] == [7, 12, 18]
    assert (row["quota"], row["quota_used"]) == (200, pytest.approx(3.5))
    assert (slow["calls_minute"], slow["quota"], slow["quota_used"]) == (20, 10, 200.0), "its window is ten minutes long"
    assert [whole[f"calls_{span}"] for span in ("minute", "hour", "day")] == [27, 32, 38]
    execute(warehouse, "UPDATE source_state SET per_minute = 50")
    assert (of(warehouse)["quota"], of(warehouse, "slow")["quota"]) == (50, 10), "the source named a lower one"


def test_rate_and_times_are_those_of_the_last_fifty_calls_that_say_something_of_the_source(warehouse: Database) -> None:
    calls(warehouse, 30, "retryable", ago=100, seconds=9)
    calls(warehouse, 45, seconds=1, ago=50)
    calls(warehouse, 1, "empty", seconds=11, ago=40)
    calls(warehouse, 4, "permanent_api", seconds=2, ago=30)
    for outcome in ("rate_limited", "circuit_open", "died", "broken_off", None):
        calls(warehouse, 10, outcome, seconds=60, ago=20)
    row = of(warehouse)
    assert (row["judged"], row["success_rate"]) == (50, pytest.approx(90.0))
    assert row["seconds_avg"] == pytest.approx((45 * 1 + 11 + 4 * 2) / 50)
    assert row["seconds_p95"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("good", "bad", "seconds", "alarming"),
    [(45, 5, 0.5, False), (44, 6, 0.5, True), (0, 9, 0.5, False), (0, 10, 0.5, True), (10, 0, 4.9, False), (10, 0, 5.1, True)],
)
def test_an_alert_takes_ten_calls_and_a_rate_under_ninety_or_more_than_five_seconds(
    warehouse: Database, good: int, bad: int, seconds: float, alarming: bool
) -> None:
    calls(warehouse, good, seconds=seconds)
    calls(warehouse, bad, "retryable", seconds=seconds)
    found = unhealthy(health_of(warehouse, POLICIES, PRIORITIES))
    assert [(row["source"], row["api"]) for row in found] == ([("tushare", "daily")] if alarming else [])


def test_what_nobody_has_called_for_an_hour_tells_nothing_new(warehouse: Database) -> None:
    calls(warehouse, 20, "retryable", ago=3700)
    execute(warehouse, "UPDATE source_state SET circuit = 'open', retry_at = now() - interval '1 hour'")
    health = health_of(warehouse, POLICIES, PRIORITIES)
    assert (len(unhealthy(health)), len(open_circuits(health))) == (0, 0)
    calls(warehouse, 1, "retryable")
    health = health_of(warehouse, POLICIES, PRIORITIES)
    assert (len(unhealthy(health)), len(open_circuits(health))) == (1, 1)


def test_a_circuit_tells_since_when_until_when_and_why(warehouse: Database) -> None:
    calls(warehouse, 3, "banned")
    execute(
        warehouse,
        "INSERT INTO source_events (at, source, api, kind, reason) VALUES "
        "('2026-11-20 09:00+08', 'tushare', 'daily', 'circuit_opened', 'an earlier story'),"
        "('2026-11-20 09:30+08', 'tushare', 'daily', 'circuit_closed', 'a call went through'),"
        "('2026-11-20 10:00+08', 'tushare', 'daily', 'circuit_opened', 'x'),"
        "('2026-11-20 10:30+08', 'tushare', 'daily', 'circuit_opened', 'its probe failed')",
    )
    execute(
        warehouse,
        "UPDATE source_state SET circuit = 'open', failures = 3, reason = 'block page', retry_at = '2026-11-20 11:00+08'",
    )
    row = of(warehouse)
    assert (row["circuit"], row["reason"]) == ("open", "block page")
    assert f"{row['open_since']:%H:%M} {row['retry_at']:%H:%M}" == "10:00 11:00"
    words = troubles(health_of(warehouse, POLICIES, PRIORITIES))
    assert words == {"tushare.daily": "circuit open since 10:00:00, next try 11:00:00: block page"}
    execute(warehouse, "UPDATE source_state SET circuit = 'closed', retry_at = NULL")
    row = of(warehouse)
    assert (row["open_since"], row["retry_at"], row["reason"]) == (None, None, None), "an old reason is no news"


def test_a_source_that_asked_to_wait_and_one_put_back_say_so(warehouse: Database) -> None:
    calls(warehouse, 1)
    execute(warehouse, "UPDATE source_state SET blocked_until = now() + interval '1 minute', reason = '每分钟最多访问'")
    row = of(warehouse)
    assert row["reason"] == "每分钟最多访问"
    assert row["blocked_until"] is not None
    execute(warehouse, "UPDATE source_state SET blocked_until = now() - interval '1 minute', demoted_at = now()")
    execute(
        warehouse,
        "INSERT INTO source_events (source, api, kind, reason) VALUES ('tushare', 'daily', 'demoted', '3 of 20 succeeded')",
    )
    row = of(warehouse)
    assert (row["blocked_until"], row["reason"]) == (None, "3 of 20 succeeded")


def test_a_priority_of_the_api_goes_before_the_source_s_and_both_before_the_environment_s(warehouse: Database) -> None:
    calls(warehouse, 1)
    calls(warehouse, 1, api="weekly")
    assert [(of(warehouse, api)["priority"], of(warehouse, api)["set"]) for api in ("*", "daily")] == [(1, False), (1, False)]
    execute(warehouse, "INSERT INTO source_state (source, api, priority) VALUES ('tushare', '*', 5)")
    execute(warehouse, "UPDATE source_state SET priority = 0 WHERE api = 'weekly'")
    assert [(of(warehouse, api)["priority"], of(warehouse, api)["set"]) for api in ("*", "daily", "weekly")] == [
        (5, True),
        (5, False),
        (0, True),
    ]
    order = dict.fromkeys(row["source"] for row in health_of(warehouse, POLICIES, PRIORITIES))
    assert [*order] == ["baostock", "tushare", "ths"]


def test_what_is_no_source_of_data_is_left_out(warehouse: Database) -> None:
    calls(warehouse, 1, source="pushplus", api="send")
    assert "pushplus" not in {row["source"] for row in health_of(warehouse, POLICIES, PRIORITIES)}


def test_calls_older_than_seven_days_are_pruned(warehouse: Database) -> None:
    calls(warehouse, 2, ago=8 * 86_400)
    calls(warehouse, 3, ago=6 * 86_400)
    calls(warehouse, 4, None, ago=9 * 86_400)
    assert prune(warehouse) == 2
    with warehouse.connect() as connection:
        assert connection.execute("SELECT count(*) FROM source_calls").fetchone() == (7,), "one under way is not done"
