"""What to sync: what is missing, and what was asked for, as runs."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest
from rich.console import Console

from quant_pipeline import settings
from quant_pipeline.console.choices import chosen_datasets
from quant_pipeline.console.commands import _lanes
from quant_pipeline.console.nothing_to_do import nothing_to_do
from quant_pipeline.console.tasks import FIRST_RUN_EXTRA_SESSIONS, Stage, asked_tasks, missing_tasks
from quant_pipeline.console.wanted import FIRST_RUN_SESSIONS
from quant_pipeline.console.windows import Window
from quant_pipeline.market.datasets import AUCTION, DIVIDENDS, SOURCED
from quant_pipeline.market.xshg import xshg
from quant_pipeline.selections import BY_SESSION, DAILY_LISTS
from quant_pipeline.settings import SettingsError
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.console.ledger import record

LATEST = dt.date(2026, 11, 20)
CALENDAR = xshg()
LAST_121 = CALENDAR.window(LATEST, 121)
SCREENED = ["suspensions", "daily_kline", "adj_factor", "daily_basic", "price_limits", "index_daily"]
EXTRAS = [name for name in BY_SESSION if name not in (*SCREENED, "dividends")]
WEEK_ENDS = CALENDAR.weeks(dt.date(2024, 1, 1), LATEST)
MONTH_ENDS = (*CALENDAR.months(dt.date(2024, 1, 1), dt.date(2026, 10, 31)), LATEST)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")


def test_no_job_has_what_is_switched_off() -> None:
    """In a process of its own: what jobs take is settled when it is imported."""
    script = "from quant_pipeline.selections import *; print(*LISTS, *DAILY_LISTS, *BY_SESSION)"
    environment = {**os.environ, "QUANT_WITHOUT": "auction,ths_members,bse_mapping"}
    told = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert set(told.stdout.split()).isdisjoint(("auction", "ths_members", "bse_mapping"))
    assert {"daily_kline", "ths_hot", "stock_list"} <= set(told.stdout.split())


def missing(warehouse: Database, end: dt.date = LATEST) -> dict[str, Window]:
    """What `run` would do: the first data set by session (or the period) of each run, and the window."""
    found = {}
    for task in missing_tasks(warehouse, CALENDAR, end):
        first = next((dataset.name for dataset in task.datasets if dataset.dated), task.datasets[0].name)
        found[first] = task.window
    return found


def complete(warehouse: Database, sessions: Sequence[dt.date] = LAST_121) -> None:
    record(warehouse, BY_SESSION, sessions)
    record(warehouse, [*DAILY_LISTS, "ths_concepts", "ths_industries"], [LATEST])
    record(warehouse, ["weekly_kline"], WEEK_ENDS)
    record(warehouse, ["monthly_kline", "index_weights"], MONTH_ENDS)


def test_the_first_run_takes_what_is_looked_at_for_121_sessions_and_the_rest_for_five(
    warehouse: Database,
) -> None:
    assert (FIRST_RUN_SESSIONS, FIRST_RUN_EXTRA_SESSIONS) == (121, 5)
    found = missing(warehouse)
    assert found["suspensions"] == Window(LAST_121[0], LATEST)
    assert found["dividends"] == Window(LAST_121[0], LATEST)
    assert found["auction"] == Window(LAST_121[-5], LATEST)
    assert found["weekly_kline"] == Window(CALENDAR.week_end(LAST_121[0]), LATEST)
    assert found["monthly_kline"] == Window(CALENDAR.month_end(LAST_121[0]), LATEST)


def test_nothing_is_missing_when_every_session_of_every_data_set_is_there(warehouse: Database) -> None:
    complete(warehouse)
    assert missing(warehouse) == {}


@pytest.mark.parametrize("dataset", SCREENED)
def test_one_session_of_what_is_looked_at_is_found_missing(warehouse: Database, dataset: str) -> None:
    complete(warehouse)
    record(warehouse, [dataset], [LAST_121[60]], status="failed")
    assert missing(warehouse) == {"suspensions": Window(LAST_121[60], LATEST)}


def test_dividends_that_lack_are_fetched_alone_and_nothing_is_screened_again_for_them(warehouse: Database) -> None:
    complete(warehouse)
    record(warehouse, ["dividends"], [LAST_121[60]], status="failed")
    (task,) = missing_tasks(warehouse, CALENDAR, LATEST)
    assert [dataset.name for dataset in task.datasets] == ["dividends"]
    assert (task.window, task.whole) == (Window(LAST_121[60], LATEST), False)


def test_what_is_judged_by_the_bars_comes_after_them_and_of_one_session_in_one_run(warehouse: Database) -> None:
    def stages() -> list[tuple[str, Stage]]:
        found = missing_tasks(warehouse, CALENDAR, LATEST)
        return [(next((each.name for each in task.datasets if each.dated), "lists"), task.stage) for task in found]

    assert stages() == [
        ("lists", Stage.FIRST),
        ("suspensions", Stage.MAIN),
        ("dividends", Stage.LAST),
        ("auction", Stage.LAST),
        ("weekly_kline", Stage.LAST),
        ("monthly_kline", Stage.LAST),
        ("lists", Stage.BESIDE),
    ]
    complete(warehouse)
    record(warehouse, BY_SESSION, [LATEST], status="failed")
    assert stages() == [("suspensions", Stage.MAIN), ("dividends", Stage.LAST)]


@pytest.mark.parametrize("dataset", EXTRAS)
def test_one_session_of_the_others_is_found_missing(warehouse: Database, dataset: str) -> None:
    complete(warehouse)
    record(warehouse, [dataset], [LAST_121[-2]], status="failed")
    assert missing(warehouse) == {"auction": Window(LAST_121[-2], LATEST)}


def test_a_week_and_a_month_have_watermarks_of_their_own(warehouse: Database) -> None:
    complete(warehouse)
    record(warehouse, ["weekly_kline"], [dt.date(2026, 11, 13)], status="failed")
    assert missing(warehouse) == {"weekly_kline": Window(dt.date(2026, 11, 13), LATEST)}
    record(warehouse, ["monthly_kline"], [LATEST], status="failed")
    assert missing(warehouse)["monthly_kline"] == Window(LATEST, LATEST)


def test_members_of_indexes_come_with_the_months_bars_and_alone_where_only_they_lack(warehouse: Database) -> None:
    (monthly,) = (task for task in missing_tasks(warehouse, CALENDAR, LATEST) if task.job == "monthly_sync")
    assert [dataset.name for dataset in monthly.datasets] == ["monthly_kline", "index_weights"]
    complete(warehouse)
    record(warehouse, ["index_weights"], [LATEST], status="failed")
    assert missing(warehouse) == {"index_weights": Window(LATEST, LATEST)}


@pytest.mark.parametrize("dataset", DAILY_LISTS)
def test_a_list_that_is_not_of_the_session_is_fetched_with_the_session_alone(warehouse: Database, dataset: str) -> None:
    complete(warehouse)
    record(warehouse, [dataset], [LATEST], status="failed")
    assert missing(warehouse) == {"suspensions": Window(LATEST, LATEST)}


def test_months_without_a_run_leave_no_hole(warehouse: Database) -> None:
    complete(warehouse, CALENDAR.window(dt.date(2025, 11, 28), 121))
    assert missing(warehouse)["suspensions"] == Window(dt.date(2025, 12, 1), LATEST)
    (later,) = (task for task in missing_tasks(warehouse, CALENDAR, LATEST) if AUCTION in task.datasets)
    assert (DIVIDENDS in later.datasets, later.window) == (True, Window(dt.date(2025, 12, 1), LATEST))


def test_a_backfill_of_old_years_does_not_stretch_the_window_once_the_gap_is_closed(warehouse: Database) -> None:
    complete(warehouse, CALENDAR.between(dt.date(2025, 12, 1), LATEST))
    record(warehouse, BY_SESSION, CALENDAR.between(dt.date(2020, 1, 1), dt.date(2020, 12, 31)))
    assert missing(warehouse) == {}


def test_it_ends_with_the_session_that_was_asked_for(warehouse: Database) -> None:
    end = dt.date(2026, 11, 13)
    assert missing(warehouse, end)["suspensions"] == Window(CALENDAR.window(end, 121)[0], end)


def test_an_earlier_session_that_is_there_is_not_missing_for_the_lists_sake(warehouse: Database) -> None:
    """`run --date D` would never find that there is nothing to do."""
    complete(warehouse)
    record(warehouse, BY_SESSION, CALENDAR.window(dt.date(2026, 11, 13), 121))
    assert missing(warehouse, dt.date(2026, 11, 13)) == {}


def test_what_is_asked_for_is_a_run_per_job(warehouse: Database) -> None:
    del warehouse
    window = Window(LAST_121[0], LATEST)
    tasks = asked_tasks(chosen_datasets([], []), dict.fromkeys(SOURCED, window))
    assert [task.job for task in tasks] == ["daily_sync", "reference_sync", "weekly_sync", "monthly_sync"]
    assert sorted(dataset.name for task in tasks for dataset in task.datasets) == sorted(SOURCED)
    assert {task.window for task in tasks} == {window}


def test_what_is_ready_before_the_open_is_a_run_of_its_own() -> None:
    """Price limits of today, bars of yesterday: no run asks for bars that do not exist yet."""
    before, today = Window(dt.date(2026, 11, 19), dt.date(2026, 11, 19)), Window(LATEST, LATEST)
    chosen = chosen_datasets(["daily_kline", "price_limits", "suspensions"], [])
    windows = {"daily_kline": before, "price_limits": today, "suspensions": today}
    tasks = asked_tasks(chosen, windows)
    assert [(task.job, [each.name for each in task.datasets], task.window) for task in tasks] == [
        ("daily_sync", ["suspensions", "price_limits"], today),
        ("daily_sync", ["daily_kline"], before),
    ]


def boards_of(warehouse: Database) -> list[str]:
    return [
        each.name
        for task in missing_tasks(warehouse, CALENDAR, LATEST)
        if task.job == "reference_sync"
        for each in task.datasets
    ]


def test_the_boards_of_ths_are_part_of_a_run_and_their_members_once_a_week(warehouse: Database) -> None:
    assert boards_of(warehouse) == ["ths_concepts", "ths_industries", "ths_members"], "a first run takes them all"
    complete(warehouse)
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO ths_concepts (ts_code, name, type, source)"
            " SELECT 8850 || lpad(n::text, 2, '0') || '.TI', 'x', 'N', 's' FROM generate_series(1, 10) AS n"
        )
    assert boards_of(warehouse) == ["ths_members"], "the lists are of today, the members were never asked for"

    def asked_for(day: str, boards: int) -> None:
        with warehouse.connect() as connection:
            connection.execute(
                "INSERT INTO sync_items (sync_run, dataset, unit, ts_code, status) SELECT (SELECT min(id) FROM sync_runs),"
                " 'ths_members', ts_code || ' ' || %s, ts_code, 'success' FROM ths_concepts ORDER BY ts_code LIMIT %s"
                " ON CONFLICT DO NOTHING",
                (day, boards),
            )

    asked_for("2026-11-13", 10)
    assert boards_of(warehouse) == ["ths_members"], "those of last week"
    asked_for("2026-11-17", 8)
    assert boards_of(warehouse) == ["ths_members"], "broken off in the middle"
    asked_for("2026-11-17", 9)
    assert boards_of(warehouse) == [], "since Tuesday of this week, but for one board that fails"


def test_a_session_of_long_ago_that_was_asked_for_alone_brings_no_years(warehouse: Database) -> None:
    complete(warehouse)
    for dataset in ("daily_kline", "etf_daily"):
        record(warehouse, [dataset], [dt.date(2012, 6, 15)])
    assert missing(warehouse) == {}
    half_a_year = CALENDAR.window(LAST_121[0], 120)[0]
    record(warehouse, ["daily_kline"], [half_a_year])
    assert missing(warehouse)["suspensions"].start == CALENDAR.between(half_a_year, LATEST)[0]


def test_a_priority_that_cannot_be_used_is_told_also_where_nothing_is_to_do(
    warehouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAOSTOCK_PRIORITY", "abc")
    with pytest.raises(SettingsError, match="BAOSTOCK_PRIORITY: it must be a whole number"):
        nothing_to_do(settings.load(), Console(), warehouse, CALENDAR, date=LATEST, began=0.0)


def test_weeks_and_months_which_ask_for_the_same_halts_follow_one_another(warehouse: Database) -> None:
    tasks = missing_tasks(warehouse, CALENDAR, LATEST)
    lanes = [[task.datasets[0].name for task in lane] for lane in _lanes(tasks, Stage.LAST)]
    assert lanes == [["dividends", EXTRAS[0]], ["weekly_kline", "monthly_kline"]]
