"""History: the last syncs page by page, with true counts also of one that is going on or died, and one run's units."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator

import pytest

from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.insight import history
from quant_pipeline.sync.ledger import Ledger, item_of, record
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.sync.stored import execute

DAYS = [dt.date(2026, 11, day) for day in (18, 19, 20)]
COUNTS = {"rows": 10, "inserted": 6, "updated": 3, "unchanged": 1, "rejected": 2, "calls": 2, "seconds": 0.5}


@pytest.fixture
def presence(warehouse: Database) -> Iterator[Presence]:
    mine = Presence(warehouse.connect())
    yield mine
    mine.close()


@pytest.fixture
def ledger(warehouse: Database, presence: Presence) -> Ledger:
    return Ledger(warehouse, presence)


def sync(database: Database, ledger: Ledger, run: str, *, ended: bool = True, error: str | None = None) -> None:
    """A run of two units done, one of them before, and one failed."""
    ledger.begin(run, "sync", {})
    ledger.plan(run, planned=4, skipped=1)
    good = [item_of(Unit.session(day), source="tushare", **COUNTS) for day in DAYS[:2]]
    bad = item_of(Unit.session(DAYS[2]), source="akshare", status="failed", error_class="banned", error="block page", calls=3)
    with database.connect() as connection:
        record(connection, run, DAILY_KLINE, good)
        record(connection, run, ADJ_FACTOR, [bad])
    if ended:
        ledger.finish(run, error)


def test_a_run_is_told_with_what_it_did_wrote_and_cost(warehouse: Database, ledger: Ledger) -> None:
    sync(warehouse, ledger, "run-1")
    execute(warehouse, "UPDATE sync_runs SET started_at = finished_at - interval '90 seconds'")
    (row,) = history.runs(warehouse).rows
    assert (row["run"], row["trigger"], row["status"], row["seconds"]) == ("run-1", "sync", "success_with_errors", 90.0)
    assert [row[f"units_{name}"] for name in ("planned", "skipped", "done", "failed")] == [4, 1, 2, 1]
    assert [row[f"rows_{name}"] for name in ("inserted", "updated", "unchanged", "rejected")] == [12, 6, 2, 4]
    assert (row["calls"], row["error"]) == (7, None)
    by_source = json.loads(row["by_source"])
    assert by_source["tushare"] == {"units": 2, "failed": 0, "partial": 0, "rows": 20, "calls": 4, "seconds": 1.0}
    assert by_source["akshare"]["failed"] == 1
    assert row["started_at"].utcoffset() == dt.timedelta(hours=8)


def test_a_run_that_is_going_on_or_died_has_the_counts_of_what_it_committed(warehouse: Database, ledger: Ledger) -> None:
    sync(warehouse, ledger, "run-1", ended=False)
    for status in ("running", "died"):
        (row,) = history.runs(warehouse).rows
        assert (row["status"], row["finished_at"]) == (status, None)
        assert [row[name] for name in ("units_done", "units_failed", "rows_inserted", "calls")] == [2, 1, 12, 7]
        execute(warehouse, "UPDATE sync_runs SET presence = 0")  # nobody lives under it


def test_pages_go_from_the_latest_back_and_none_is_told_twice(warehouse: Database, ledger: Ledger) -> None:
    for number in range(7):
        ledger.begin(f"run-{number}", "sync", {})
        ledger.finish(f"run-{number}")
    pages = [history.runs(warehouse, page=page, per_page=3) for page in (1, 2, 3, 4)]
    assert [[row["run"] for row in page.rows] for page in pages] == [
        ["run-6", "run-5", "run-4"],
        ["run-3", "run-2", "run-1"],
        ["run-0"],
        [],
    ]
    assert {(page.total, page.pages) for page in pages} == {(7, 3)}
    assert history.runs(warehouse, per_page=7).pages == 1


def test_before_the_first_sync_there_is_one_empty_page(warehouse: Database) -> None:
    page = history.runs(warehouse)
    assert (len(page.rows), page.total, page.pages) == (0, 0, 1)


def test_the_units_of_a_run_are_told_with_the_failed_ones_first(warehouse: Database, ledger: Ledger) -> None:
    sync(warehouse, ledger, "run-1")
    sync(warehouse, ledger, "run-2")
    page = history.items(warehouse, ["run-1"])
    assert page.total == 3
    assert [(row["dataset"], row["unit"], row["status"]) for row in page.rows] == [
        ("adj_factor", "2026-11-20", "failed"),
        ("daily_kline", "2026-11-18", "success"),
        ("daily_kline", "2026-11-19", "success"),
    ]
    failed = page.rows[0]
    assert (failed["error_class"], failed["error"], failed["calls"]) == ("banned", "block page", 3)
    second = history.items(warehouse, ["run-1"], page=2, per_page=2)
    assert ([row["unit"] for row in second.rows], second.pages) == (["2026-11-19"], 2)


def test_a_run_is_found_by_the_beginning_of_its_id(warehouse: Database, ledger: Ledger) -> None:
    for run in ("3f2a91c0-1", "3f2b", "3f2b-again"):
        ledger.begin(run, "sync", {})
    assert history.run_of(warehouse, "3f2a").runs == ["3f2a91c0-1"]
    assert history.run_of(warehouse, "3f2b").runs == ["3f2b"], "a whole id is meant as it stands"
    with pytest.raises(ValueError, match=r"several runs begin with '3f2': 3f2b-again, 3f2b, 3f2a91c0-1"):
        history.run_of(warehouse, "3f2")
    with pytest.raises(ValueError, match=r"no run begins with '%'. The latest runs: 3f2b-aga, 3f2b, 3f2a91c0"):
        history.run_of(warehouse, "%")
