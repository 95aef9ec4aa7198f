"""What counts as done, what is asked for again, and what a run comes to: the last attempt decides, of each unit by itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, STOCK_LIST, THS_MEMBERS
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.ledger import (
    DIED,
    INTERRUPTED,
    UNKNOWN_CODE,
    Item,
    ItemStatus,
    Ledger,
    Shortfall,
    close_dead,
    close_interrupted,
    item_of,
    record,
    units_of,
)
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

MON, TUE, WED = (dt.date(2026, 11, day) for day in (16, 17, 18))
OK, PARTIAL, FAILED = ItemStatus


@pytest.fixture
def ledger(warehouse: Database) -> Iterator[Ledger]:
    presence = Presence(warehouse.connect())
    ledger = Ledger(warehouse, presence)
    for run in ("first", "second"):
        ledger.begin(run, "test", {})
    yield ledger
    presence.close()


def write(database: Database, run: str, *items: Item) -> None:
    with database.connect() as connection:
        record(connection, run, DAILY_KLINE, items)


def item(unit: Unit, status: ItemStatus = OK, error_class: str | None = None, **fields: object) -> Item:
    return item_of(unit, status=status, error_class=error_class, **fields)


def done(ledger: Ledger, *units: Unit) -> list[Unit]:
    found = ledger.done(DAILY_KLINE, units)
    return [unit for unit in units if str(unit) in found]


def test_an_item_names_its_session_or_its_code() -> None:
    session, code = item(Unit.session(MON)), item(Unit.code("600000.SH", MON, TUE))
    assert (session.trade_date, session.ts_code, session.failed) == (MON, None, False)
    assert (code.trade_date, code.ts_code, code.unit) == (None, "600000.SH", "600000.SH 2026-11-16..2026-11-17")
    assert item(Unit.session(MON), FAILED).failed
    assert not item(Unit.session(MON), PARTIAL).failed
    counts = ("rows", "inserted", "updated", "unchanged", "rejected", "missing", "attempts", "calls", "seconds")
    assert [getattr(session, name) for name in counts] == [0] * len(counts)


@pytest.mark.parametrize(
    ("status", "error_class", "is_done", "again"),
    [
        (OK, None, True, False),
        (PARTIAL, Shortfall.UNSERVED, True, False),
        (PARTIAL, Shortfall.REFUSED, False, True),
        (PARTIAL, Shortfall.IMPLAUSIBLE, False, True),
        (FAILED, Shortfall.UNSERVED, False, True),
        (FAILED, "empty", False, True),
        (FAILED, None, False, True),
        (FAILED, UNKNOWN_CODE, False, False),
    ],
)
def test_what_is_done_and_what_is_asked_for_again(
    warehouse: Database, ledger: Ledger, status: ItemStatus, error_class: str | None, is_done: bool, again: bool
) -> None:
    unit = Unit.session(MON)
    write(warehouse, "first", item(unit, status, error_class))
    assert done(ledger, unit, Unit.session(TUE)) == ([unit] if is_done else [])
    assert ledger.failed(DAILY_KLINE) == ([unit] if again else [])
    assert (ledger.failed(ADJ_FACTOR), ledger.done(ADJ_FACTOR, [unit])) == ([], {}), "another data set's is its own"


def test_the_last_attempt_decides_what_is_asked_again_and_a_success_is_kept(warehouse: Database, ledger: Ledger) -> None:
    units = [Unit.session(MON), Unit.session(TUE), Unit.code("600000.SH", MON, TUE)]
    write(warehouse, "first", item(units[0], FAILED), item(units[1], rows=5), item(units[2], PARTIAL, Shortfall.REFUSED))
    write(warehouse, "second", item(units[0], rows=7), item(units[1], FAILED), item(units[2], FAILED))
    assert ledger.failed(DAILY_KLINE) == [units[1], units[2]]
    found = ledger.done(DAILY_KLINE, units)
    assert {name: each.rows for name, each in found.items()} == {"2026-11-16": 7, "2026-11-17": 5}
    write(warehouse, "first", item(units[1], rows=6))
    assert ledger.failed(DAILY_KLINE) == [units[2]]
    assert ledger.done(DAILY_KLINE, units)["2026-11-17"].rows == 6, "the last of two successes"


def test_a_list_is_one_thing_whatever_day_it_was_asked_for_and_so_is_each_board(warehouse: Database, ledger: Ledger) -> None:
    boards = [Unit.members("885001.TI", MON), Unit.members("885002.TI", MON)]
    with warehouse.connect() as connection:
        record(connection, "first", STOCK_LIST, [item(Unit.snapshot(MON), FAILED)])
        record(connection, "first", THS_MEMBERS, [item(board, FAILED) for board in boards])
    assert ledger.failed(STOCK_LIST) == [Unit.snapshot(MON)]
    with warehouse.connect() as connection:
        record(connection, "second", STOCK_LIST, [item(Unit.snapshot(TUE))])
        record(connection, "second", THS_MEMBERS, [item(Unit.members("885001.TI", TUE))])
    assert ledger.failed(STOCK_LIST) == []
    assert ledger.failed(THS_MEMBERS) == boards[1:]


def status_of(ledger: Ledger, run: str = "first") -> tuple[object, ...]:
    row = ledger.run(run)
    assert row is not None
    return tuple(row[name] for name in ("status", "units_done", "units_failed", "error"))


@pytest.mark.parametrize(
    ("statuses", "skipped", "status"),
    [
        ([], 0, "success"),
        ([OK, OK], 0, "success"),
        ([OK, PARTIAL], 0, "success_with_errors"),
        ([PARTIAL], 0, "success_with_errors"),
        ([OK, FAILED], 0, "success_with_errors"),
        ([FAILED], 1, "success_with_errors"),
        ([FAILED], 0, "failed"),
        ([FAILED, FAILED], 0, "failed"),
    ],
)
def test_a_run_is_what_its_items_are(
    warehouse: Database, ledger: Ledger, statuses: list[ItemStatus], skipped: int, status: str
) -> None:
    units = [Unit.session(MON), Unit.session(TUE)]
    ledger.plan("first", len(statuses) + skipped, skipped)
    write(warehouse, "first", *(item(unit, each) for unit, each in zip(units, statuses, strict=False)))
    write(warehouse, "second", item(Unit.session(WED), FAILED))
    ledger.finish("first")
    failed = statuses.count(FAILED)
    assert status_of(ledger) == (status, len(statuses) - failed, failed, None)


def test_an_error_fails_the_run_whatever_was_stored(warehouse: Database, ledger: Ledger) -> None:
    write(warehouse, "first", item(Unit.session(MON)))
    ledger.finish("first", "the disk is full")
    assert status_of(ledger) == ("failed", 1, 0, "the disk is full")
    ledger.begin("first", "test", {})
    assert status_of(ledger)[0] == "running", "a later step of the same run goes on with it"


def test_the_books_add_up_by_source(warehouse: Database, ledger: Ledger) -> None:
    cost = {"rows": 10, "inserted": 5, "updated": 3, "unchanged": 2, "rejected": 1, "calls": 2, "attempts": 1, "seconds": 0.25}
    write(
        warehouse,
        "first",
        item(Unit.session(MON), source="tushare", **cost),
        item(Unit.session(TUE), PARTIAL, source="tushare", **cost),
        item(Unit.session(WED), FAILED, source="baostock", calls=4),
    )
    ledger.plan("first", 3, 1)
    ledger.plan("first", 2, 1)
    ledger.finish("first")
    row = ledger.run("first")
    assert row is not None
    counted = ("units_planned", "units_skipped", "calls", "rows_inserted", "rows_updated", "rows_unchanged", "rows_rejected")
    assert [row[name] for name in counted] == [5, 2, 8, 10, 6, 4, 2]
    assert row["by_source"] == {
        "tushare": {"units": 2, "failed": 0, "partial": 1, "rows": 20, "calls": 4, "seconds": 0.5},
        "baostock": {"units": 1, "failed": 1, "partial": 0, "rows": 0, "calls": 4, "seconds": 0},
    }


def test_rows_count_for_the_source_that_was_asked_for_them(warehouse: Database, ledger: Ledger) -> None:
    write(
        warehouse,
        "first",
        item(Unit.session(MON), source="tushare", rows=10, calls=1, attempts=1, seconds=0.004),
        item(Unit.session(TUE), source="tushare", rows=7, attempts=1, seconds=0.004),
        item(Unit.session(WED), source="derived", rows=5),
    )
    ledger.finish("first")
    row = ledger.run("first")
    assert row is not None
    found = {name: (of["units"], of["rows"], of["seconds"]) for name, of in row["by_source"].items()}
    assert found == {"tushare": (2, 17, 0.01), "derived": (1, 0, 0)}


def test_a_run_that_did_nothing_comes_to_nought(ledger: Ledger) -> None:
    ledger.finish("first")
    row = ledger.run("first")
    assert row is not None
    counted = ("units_done", "units_failed", "calls", "rows_inserted", "rows_updated", "rows_unchanged", "rows_rejected")
    assert [row[name] for name in counted] == [0] * 7
    assert row["by_source"] == {}
    assert row["finished_at"] >= row["started_at"]


def test_what_a_run_recorded_is_its_own_and_says_what_was_stored(warehouse: Database, ledger: Ledger) -> None:
    units = [Unit.session(MON), Unit.session(TUE), Unit.code("600000.SH", MON, TUE)]
    assert done(ledger, *units) == []
    write(warehouse, "first", item(units[0]), item(units[1], FAILED), item(units[2], PARTIAL))
    write(warehouse, "second", item(Unit.session(WED)))
    with warehouse.connect() as connection:
        record(connection, "first", STOCK_LIST, [item(Unit.snapshot(WED))])
        assert units_of(connection, "first", DAILY_KLINE) == {units[0]: True, units[1]: False, units[2]: True}
        assert units_of(connection, "first", STOCK_LIST) == {Unit.snapshot(WED): True}


def test_a_record_is_undone_with_the_transaction_that_it_stands_in(warehouse: Database, ledger: Ledger) -> None:
    unit = Unit.session(MON)
    with warehouse.connect() as connection, connection.transaction(force_rollback=True):
        record(connection, "first", DAILY_KLINE, [item(unit)])
        assert units_of(connection, "first", DAILY_KLINE) == {unit: True}
    assert done(ledger, unit) == []


def test_runs_whose_process_died_are_closed_and_no_others(warehouse: Database, ledger: Ledger) -> None:
    other = Presence(warehouse.connect())
    Ledger(warehouse, other).begin("theirs", "test", {})
    with warehouse.connect() as connection:
        close_dead(connection)
    assert status_of(ledger, "theirs")[0] == "running"
    other.close()
    with warehouse.connect() as connection:
        close_dead(connection)
        close_interrupted(connection, "second")
        close_interrupted(connection, "of no such name")
    assert status_of(ledger, "theirs") == ("failed", 0, 0, DIED)
    assert status_of(ledger, "second") == ("failed", 0, 0, INTERRUPTED)
    assert status_of(ledger, "first")[0] == "running"
    assert ledger.run("of no such name") is None
