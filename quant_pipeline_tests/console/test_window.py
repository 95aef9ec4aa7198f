"""Which sessions a command is about: what is missing, and what was asked for."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from quant_pipeline.console.window import (
    FIRST_RUN_EXTRA_SESSIONS,
    FIRST_RUN_SESSIONS,
    Window,
    asked_tasks,
    asked_window,
    chosen_datasets,
    missing_tasks,
    stored_window,
)
from quant_pipeline.jobs import BY_SESSION, DAILY_LISTS
from quant_pipeline.market.datasets import SOURCED
from quant_pipeline.market.xshg import xshg
from quant_pipeline.settings import SettingsError
from quant_pipeline.warehouse.database import Database

LATEST = dt.date(2026, 11, 20)
CALENDAR = xshg()
LAST_121 = CALENDAR.window(LATEST, 121)
SCREENED = ["suspensions", "daily_kline", "adj_factor", "daily_basic", "price_limits"]
EXTRAS = [name for name in BY_SESSION if name not in SCREENED]
WEEK_ENDS = CALENDAR.weeks(dt.date(2024, 1, 1), LATEST)
MONTH_ENDS = (*CALENDAR.months(dt.date(2024, 1, 1), dt.date(2026, 10, 31)), LATEST)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")


def test_what_is_switched_off_is_neither_fetched_by_default_nor_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_WITHOUT", "auction, ths_hot")
    assert [dataset.name for dataset in chosen_datasets([], [])] == [
        name for name in SOURCED if name not in ("auction", "ths_hot")
    ]
    with pytest.raises(ValueError, match=r"switched off: auction .*QUANT_WITHOUT"):
        chosen_datasets(["auction", "stock_list"], [])


def test_a_typing_mistake_in_what_is_switched_off_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_WITHOUT", "acution")
    with pytest.raises(SettingsError, match="QUANT_WITHOUT: unknown data set: acution"):
        chosen_datasets([], [])


def test_no_job_has_what_is_switched_off() -> None:
    """In a process of its own: jobs are made when they are imported."""
    script = "from quant_pipeline import jobs; print(*jobs.LISTS, *jobs.DAILY_LISTS, *jobs.BY_SESSION)"
    environment = {**os.environ, "QUANT_WITHOUT": "auction,ths_members,bse_mapping"}
    told = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert set(told.stdout.split()).isdisjoint(("auction", "ths_members", "bse_mapping"))
    assert {"daily_kline", "ths_hot", "stock_list"} <= set(told.stdout.split())


def record(warehouse: Database, datasets: Sequence[str], sessions: Sequence[dt.date], status: str = "success") -> None:
    """The ledger says that the data sets were synced for the sessions."""
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO sync_runs (id, trigger, status, process, presence) VALUES ('before', 'test', 'success', 'p', 1)"
            " ON CONFLICT DO NOTHING"
        )
        connection.execute(
            "INSERT INTO sync_items (sync_run, dataset, unit, trade_date, status)"
            " SELECT 'before', dataset, day::text, day, %s FROM unnest(%s::text[]) AS dataset, unnest(%s::date[]) AS day"
            " ON CONFLICT (sync_run, dataset, unit) DO UPDATE SET status = excluded.status",
            (status, list(datasets), list(sessions)),
        )


def missing(warehouse: Database, end: dt.date = LATEST) -> dict[str, Window]:
    """What `run` would do: the first data set by session (or the period) of each run, and the window."""
    found = {}
    for task in missing_tasks(warehouse, CALENDAR, end):
        first = next(dataset.name for dataset in task.datasets if dataset.dated)
        found[first] = task.window
    return found


def complete(warehouse: Database, sessions: Sequence[dt.date] = LAST_121) -> None:
    record(warehouse, BY_SESSION, sessions)
    record(warehouse, DAILY_LISTS, [LATEST])
    record(warehouse, ["weekly_kline"], WEEK_ENDS)
    record(warehouse, ["monthly_kline"], MONTH_ENDS)


def test_the_first_run_takes_what_screens_need_for_121_sessions_and_the_rest_for_five(warehouse: Database) -> None:
    assert (FIRST_RUN_SESSIONS, FIRST_RUN_EXTRA_SESSIONS) == (121, 5)
    found = missing(warehouse)
    assert found["suspensions"] == Window(LAST_121[0], LATEST)
    assert found["auction"] == Window(LAST_121[-5], LATEST)
    assert found["weekly_kline"] == Window(CALENDAR.week_end(LAST_121[0]), LATEST)
    assert found["monthly_kline"] == Window(CALENDAR.month_end(LAST_121[0]), LATEST)


def test_nothing_is_missing_when_every_session_of_every_data_set_is_there(warehouse: Database) -> None:
    complete(warehouse)
    assert missing(warehouse) == {}


@pytest.mark.parametrize("dataset", SCREENED)
def test_one_session_of_what_screens_need_is_found_missing(warehouse: Database, dataset: str) -> None:
    complete(warehouse)
    record(warehouse, [dataset], [LAST_121[60]], status="failed")
    assert missing(warehouse) == {"suspensions": Window(LAST_121[60], LATEST)}


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


@pytest.mark.parametrize("dataset", DAILY_LISTS)
def test_a_list_that_is_not_of_the_session_is_fetched_with_the_session_alone(warehouse: Database, dataset: str) -> None:
    complete(warehouse)
    record(warehouse, [dataset], [LATEST], status="failed")
    assert missing(warehouse) == {"suspensions": Window(LATEST, LATEST)}


def test_months_without_a_run_leave_no_hole(warehouse: Database) -> None:
    complete(warehouse, CALENDAR.window(dt.date(2025, 11, 28), 121))
    assert missing(warehouse)["suspensions"] == Window(dt.date(2025, 12, 1), LATEST)
    assert missing(warehouse)["auction"] == Window(dt.date(2025, 12, 1), LATEST)


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
    tasks = asked_tasks(chosen_datasets([], []), window)
    assert [task.job for task in tasks] == ["daily_sync", "reference_sync", "weekly_sync", "monthly_sync"]
    assert sorted(dataset.name for task in tasks for dataset in task.datasets) == sorted(SOURCED)
    assert {task.window for task in tasks} == {window}


def test_what_there_is_to_repair_begins_with_the_first_session_that_was_asked_for(warehouse: Database) -> None:
    assert stored_window(warehouse, CALENDAR) == Window(LATEST, LATEST)
    record(warehouse, ["daily_kline"], [dt.date(2019, 5, 6)], status="failed")
    assert stored_window(warehouse, CALENDAR) == Window(dt.date(2019, 5, 6), LATEST)


def asked(**options: object) -> Window:
    given = {"start": None, "end": None, "days_back": None, "all_history": False} | options
    return asked_window(CALENDAR, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "start", "end"),
    [
        ({}, "2026-11-20", "2026-11-20"),
        ({"days_back": 3}, "2026-11-18", "2026-11-20"),
        ({"start": dt.date(2026, 10, 1)}, "2026-10-08", "2026-11-20"),
        ({"start": dt.date(2026, 9, 30), "end": dt.date(2026, 10, 7)}, "2026-09-30", "2026-09-30"),
        ({"end": dt.date(2026, 11, 15)}, "2026-11-13", "2026-11-13"),
        ({"all_history": True}, "1990-12-19", "2026-11-20"),
    ],
)
def test_the_options_become_sessions(options: dict[str, object], start: str, end: str) -> None:
    assert asked(**options) == Window(dt.date.fromisoformat(start), dt.date.fromisoformat(end))


def test_days_to_come_and_spans_of_closed_days_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="2026-11-23 lies after the latest complete session, 2026-11-20"):
        asked(end=dt.date(2026, 11, 23))
    with pytest.raises(ValueError, match="closed on every day"):
        asked(start=dt.date(2026, 10, 1), end=dt.date(2026, 10, 7))
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T10:00")
    with pytest.raises(ValueError, match="latest complete session, 2026-11-19"):
        asked(end=LATEST)


def test_data_sets_are_chosen_by_name_and_period_in_the_order_of_a_sync() -> None:
    assert [dataset.name for dataset in chosen_datasets([], [])] == list(SOURCED)
    assert [dataset.name for dataset in chosen_datasets(["adj_factor", "stock_list"], [])] == ["stock_list", "adj_factor"]
    assert [dataset.name for dataset in chosen_datasets([], ["daily"])] == ["daily_kline", "adj_factor"]
    assert [dataset.name for dataset in chosen_datasets(["stock_list"], ["daily"])] == [
        "stock_list",
        "daily_kline",
        "adj_factor",
    ]


@pytest.mark.parametrize(
    ("names", "periods", "told"),
    [(["daily_klin"], [], "unknown data set: daily_klin. Known: trade_calendar"), ([], ["weekley"], "unknown period: weekley")],
)
def test_unknown_names_are_told_with_the_known_ones(names: list[str], periods: list[str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        chosen_datasets(names, periods)
