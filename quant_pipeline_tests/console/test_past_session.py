"""`run --date` for a session of the past says what it fetches for it, and what it does not."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from quant_pipeline.console.launch import Launched
from quant_pipeline.console.past_session import past_session, without_the_newest
from quant_pipeline.console.tasks import missing_tasks
from quant_pipeline.language import speaking
from quant_pipeline.market.xshg import xshg
from quant_pipeline.selections import BY_SESSION, DAILY_LISTS
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.console.ledger import record

CALENDAR = xshg()
LATEST, FAR = dt.date(2026, 11, 20), dt.date(2012, 6, 15)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")


def test_the_newest_session_needs_no_word(warehouse: Database) -> None:
    assert past_session(CALENDAR, LATEST, missing_tasks(warehouse, CALENDAR, LATEST)) == []


def test_a_far_session_s_spans_are_told_and_what_is_not_of_that_day(warehouse: Database) -> None:
    record(warehouse, [*DAILY_LISTS, "ths_concepts", "ths_industries"], [LATEST])
    fetched, kept = past_session(CALENDAR, FAR, missing_tasks(warehouse, CALENDAR, FAR))
    count = len(CALENDAR.between(FAR, LATEST)) - 1
    assert fetched.startswith(f"2012-06-15 lies {count:,} sessions before the newest, 2026-11-20. Fetched, where missing: ")
    looked_at = "suspensions, daily_kline, adj_factor, daily_basic, price_limits, index_daily"
    for what in (looked_at, "dividends"):
        assert f"{what} from {CALENDAR.window(FAR, 121)[0]} on" in fetched
    assert f"from {CALENDAR.window(FAR, 5)[0]} on; " in fetched
    assert "weekly_kline from " in fetched
    assert fetched.endswith("What lies after it is not fetched (`sync --start` is)")
    assert "stock_list" not in fetched
    assert "those of today, not of 2012-06-15" in kept
    with speaking("zh"):
        assert "不发送消息" in past_session(CALENDAR, FAR, missing_tasks(warehouse, CALENDAR, FAR))[1]


def test_where_only_lists_lack_no_session_is_said_to_be_fetched(warehouse: Database) -> None:
    record(warehouse, BY_SESSION, CALENDAR.window(FAR, 121))
    lists = [task for task in missing_tasks(warehouse, CALENDAR, FAR) if not any(each.dated for each in task.datasets)]
    assert "No session's data are missing" in past_session(CALENDAR, FAR, lists)[0]


def test_that_the_newest_session_is_not_there_is_no_finding_where_nobody_asked_for_it() -> None:
    names = ("fresh", "row_count")
    checks = [dg.AssetCheckEvaluation(dg.AssetKey("daily_kline"), name, False, {}) for name in names]  # type: ignore[arg-type]
    launched = Launched("run", True, (), tuple(checks))

    def found(session: dt.date) -> list[str]:
        return [check.check_name for check in without_the_newest(CALENDAR, session, launched).checks_failed]

    assert found(FAR) == ["row_count"]
    assert found(LATEST) == ["fresh", "row_count"]
