"""Status: first and last session, what lacks in between, what failed, how old the last good data are, what is going on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    AUCTION,
    DAILY_BASIC,
    DAILY_KLINE,
    MONTHLY_KLINE,
    SOURCED,
    STOCK_LIST,
    SUSPENSIONS,
    THS_MEMBERS,
    WEEKLY_KLINE,
)
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.insight.running import running
from quant_pipeline.sync.insight.status import DatasetStatus, Standing, status_of
from quant_pipeline.sync.ledger import Item, Ledger, item_of, record
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.sync.stored import CALENDAR, NOW, bars, execute, store

NOVEMBER = dt.date(2026, 11, 1)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", NOW)


@pytest.fixture
def ledger(warehouse: Database) -> Iterator[Ledger]:
    presence = Presence(warehouse.connect())
    ledger = Ledger(warehouse, presence)
    ledger.begin("run-1", "daily_sync", {})
    yield ledger
    presence.close()


def write(database: Database, dataset: Dataset, *items: Item, run: str = "run-1") -> None:
    with database.connect() as connection:
        record(connection, run, dataset, items)


def day(number: int) -> dt.date:
    return NOVEMBER.replace(day=number)


def done(*days: dt.date) -> list[Item]:
    return [item_of(Unit.session(each), source="tushare", rows=1) for each in days]


def failed(unit: Unit) -> Item:
    return item_of(unit, status="failed", error="cut off", error_class="retryable")


def of(database: Database, dataset: Dataset) -> DatasetStatus:
    (found,) = (each for each in status_of(database, CALENDAR).datasets if each.dataset == dataset.name)
    return found


def test_what_is_switched_off_is_never_stale(warehouse: Database) -> None:
    found = {each.dataset: each for each in status_of(warehouse, CALENDAR, off={"auction"}).datasets}
    assert found["daily_kline"].stale
    assert not found["auction"].stale
    assert found["auction"].words == "switched off (QUANT_WITHOUT); nothing is synced yet"


def test_before_the_first_sync_every_data_set_says_so(warehouse: Database) -> None:
    status = status_of(warehouse, CALENDAR)
    assert [each.dataset for each in status.datasets] == list(SOURCED)
    assert {(each.first, each.last, each.rows, each.behind, each.words) for each in status.datasets} == {
        (None, None, 0, None, "nothing is synced yet")
    }
    assert (status.latest, status.running) == (day(20), ())


@pytest.mark.usefixtures("ledger")
def test_holes_between_the_first_and_the_last_session_are_named_from_when_to_when(warehouse: Database) -> None:
    write(warehouse, DAILY_KLINE, *done(day(2), day(5), day(6), day(12)))
    write(warehouse, DAILY_KLINE, failed(Unit.session(day(10))), failed(Unit.session(day(18))))
    store(warehouse, DAILY_KLINE, bars(["600000.SH", "000001.SZ"], [day(12)]))
    store(warehouse, DAILY_KLINE, bars(["300001.SZ"], [day(12), day(6)]), source="baostock")
    found = of(warehouse, DAILY_KLINE)
    assert (found.zh, found.first, found.last) == ("日线行情", day(2), day(12))
    assert (found.missing, found.gaps) == (5, ((day(3), day(4)), (day(9), day(11))))
    assert (found.rows, found.sources) == (3, ("baostock", "tushare"))
    assert (found.failed, found.behind, found.stale) == (2, 6, True)
    assert found.words == "last good data of 2026-11-12, 6 sessions old: readers keep them"
    assert found.synced_at is not None
    assert found.synced_at.utcoffset() == dt.timedelta(hours=8)


@pytest.mark.usefixtures("ledger")
def test_factors_are_owed_from_the_first_session_that_has_bars(warehouse: Database) -> None:
    """A sync of older sessions that was broken off behind the bars leaves no hole between factors."""
    write(warehouse, DAILY_KLINE, *done(day(2), day(4), day(18), day(19), day(20)))
    write(warehouse, ADJ_FACTOR, *done(day(19), day(20)))
    write(warehouse, DAILY_BASIC, *done(day(19), day(20)))
    factors, basic = of(warehouse, ADJ_FACTOR), of(warehouse, DAILY_BASIC)
    assert (factors.first, factors.missing, factors.gaps) == (day(19), 3, ((day(2), day(18)),))
    assert factors.fill == "quant-pipeline sync --datasets adj_factor --start 2026-11-02 --end 2026-11-18"
    assert (basic.missing, basic.fill) == (0, ""), "bars can be read without it"
    assert not status_of(warehouse, CALENDAR).whole
    assert of(warehouse, ADJ_FACTOR) in status_of(warehouse, CALENDAR).with_gaps
    (off,) = (each for each in status_of(warehouse, CALENDAR, off={"adj_factor"}).datasets if each.dataset == "adj_factor")
    assert (off.missing, off.gaps) == (0, ()), "nobody would fill it"


def test_a_first_fill_is_no_lateness(warehouse: Database, ledger: Ledger) -> None:
    write(warehouse, STOCK_LIST, item_of(Unit.snapshot(day(20))))
    write(warehouse, DAILY_KLINE, *done(day(2)))
    ledger.begin("run-2", "quant-pipeline run", {})
    write(warehouse, SUSPENSIONS, *done(day(20)), run="run-2")
    write(warehouse, DAILY_KLINE, *done(day(3)), run="run-2")
    status = status_of(warehouse, CALENDAR)
    standing = {each.dataset: each.standing for each in status.datasets}
    assert standing[STOCK_LIST.name] is Standing.CURRENT
    assert standing[DAILY_KLINE.name] is Standing.FILLING, "old, and under way"
    assert standing[WEEKLY_KLINE.name] is Standing.AWAITED, "its turn comes"
    assert (status.late, status.whole) == ([], False)
    ledger.finish("run-1")
    ledger.finish("run-2")
    standing = {each.dataset: each.standing for each in status_of(warehouse, CALENDAR).datasets}
    assert (standing[DAILY_KLINE.name], standing[WEEKLY_KLINE.name]) == (Standing.STALE, Standing.NEVER)


@pytest.mark.usefixtures("ledger")
def test_each_period_has_a_watermark_of_its_own(warehouse: Database) -> None:
    """A fresh daily bar makes neither week nor month look current."""
    write(warehouse, DAILY_KLINE, *done(day(19), day(20)))
    write(warehouse, WEEKLY_KLINE, *done(dt.date(2026, 10, 23), day(6), day(18)))
    write(warehouse, MONTHLY_KLINE, *done(dt.date(2026, 8, 31)))
    daily, weekly, monthly = (of(warehouse, dataset) for dataset in (DAILY_KLINE, WEEKLY_KLINE, MONTHLY_KLINE))
    assert (daily.behind, daily.stale, daily.words) == (0, False, "synced up to 2026-11-20")
    assert (weekly.last, weekly.behind, weekly.missing) == (day(18), 1, 2)
    assert weekly.gaps == ((dt.date(2026, 10, 30), dt.date(2026, 10, 30)), (day(13), day(13)))
    assert weekly.words == "last good data of 2026-11-18, 1 week old: readers keep them"
    assert monthly.words == "last good data of 2026-08-31, 2 months old: readers keep them"


@pytest.mark.usefixtures("ledger")
def test_a_session_that_still_runs_makes_nothing_stale_and_a_complete_one_does(
    warehouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for dataset in (DAILY_KLINE, AUCTION):
        write(warehouse, dataset, *done(day(19)))
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T12:00")
    assert (of(warehouse, AUCTION).behind, of(warehouse, DAILY_KLINE).behind) == (0, 0)
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T17:30")
    assert (of(warehouse, AUCTION).behind, of(warehouse, DAILY_KLINE).behind) == (1, 1)


@pytest.mark.usefixtures("ledger")
def test_a_list_is_stale_after_a_week_and_a_later_answer_makes_good_a_failure(warehouse: Database) -> None:
    write(warehouse, STOCK_LIST, failed(Unit.snapshot(day(11))), item_of(Unit.snapshot(day(13))))
    write(warehouse, THS_MEMBERS, item_of(Unit.members("885001.TI", day(12))), failed(Unit.members("885002.TI", day(12))))
    store(warehouse, STOCK_LIST, [{"ts_code": "600000.SH", "list_status": "L", "list_date": day(2)}])
    stocks, members = of(warehouse, STOCK_LIST), of(warehouse, THS_MEMBERS)
    assert (stocks.last, stocks.failed, stocks.rows, stocks.missing) == (day(13), 0, 1, 0)
    assert (stocks.behind, stocks.stale, stocks.words) == (5, False, "last good data of 2026-11-13, 5 sessions old")
    assert (members.last, members.failed, members.behind, members.stale) == (day(12), 1, 6, True)


@pytest.mark.usefixtures("ledger")
def test_a_failure_that_a_later_run_made_good_is_none(warehouse: Database, ledger: Ledger) -> None:
    write(warehouse, SUSPENSIONS, failed(Unit.session(day(19))))
    assert of(warehouse, SUSPENSIONS).failed == 1
    ledger.begin("run-2", "retry", {})
    write(warehouse, SUSPENSIONS, *done(day(19)), run="run-2")
    assert (of(warehouse, SUSPENSIONS).failed, of(warehouse, SUSPENSIONS).last) == (0, day(19))


@pytest.mark.usefixtures("ledger")
def test_single_codes_are_no_watermark(warehouse: Database) -> None:
    write(warehouse, DAILY_KLINE, item_of(Unit.code("600000.SH", day(2), day(20)), rows=15))
    found = of(warehouse, DAILY_KLINE)
    assert (found.last, found.missing, found.words) == (None, 0, "only single codes are synced")
    assert found.synced_at is None
    write(warehouse, DAILY_KLINE, *done(day(19)))
    before = of(warehouse, DAILY_KLINE).synced_at
    write(warehouse, DAILY_KLINE, item_of(Unit.code("000001.SZ", day(2), day(20)), rows=15))
    assert of(warehouse, DAILY_KLINE).synced_at == before, "the whole market's"


@pytest.mark.usefixtures("ledger")
def test_a_list_has_no_first_session(warehouse: Database) -> None:
    """Every sync replaces it: a calendar of one day was read in its place."""
    write(warehouse, STOCK_LIST, item_of(Unit.snapshot(day(19))), item_of(Unit.snapshot(day(20))))
    found = of(warehouse, STOCK_LIST)
    assert (found.first, found.last) == (None, day(20))


@pytest.mark.usefixtures("ledger")
def test_past_the_calendar_s_end_it_still_answers(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    write(warehouse, DAILY_KLINE, *done(day(20)))
    monkeypatch.setenv("QUANT_NOW", f"{CALENDAR.last.year + 1}-01-05T18:00")
    status, found = status_of(warehouse, CALENDAR), of(warehouse, DAILY_KLINE)
    assert status.latest is None
    assert (found.behind, found.stale) == (None, True)
    assert found.words.startswith("last good data of 2026-11-20; the calendar knows 1990-12-19 to ")


def test_a_running_sync_tells_how_far_it_is(warehouse: Database, ledger: Ledger) -> None:
    ledger.plan("run-1", planned=10, skipped=2)
    (begun,) = running(warehouse)
    assert (begun.done, begun.share, begun.seconds_left, begun.dataset) == (2, 0.2, None, None)
    write(warehouse, SUSPENSIONS, *done(day(18)))
    write(warehouse, DAILY_KLINE, *done(day(18), day(19)), failed(Unit.session(day(20))))
    execute(warehouse, "UPDATE sync_runs SET started_at = clock_timestamp() - interval '100 seconds'")
    (sync,) = running(warehouse)
    assert (sync.run, sync.trigger, sync.dataset) == ("run-1", "daily_sync", "daily_kline")
    assert (sync.planned, sync.skipped, sync.fetched, sync.done, sync.failed, sync.rows) == (10, 2, 4, 6, 1, 3)
    assert sync.share == pytest.approx(0.6)
    assert sync.rows_per_second == pytest.approx(0.03, rel=0.05)
    assert sync.seconds_left == pytest.approx(100, rel=0.05), "four units took 100 s, four are left"
    ledger.finish("run-1")
    assert running(warehouse) == []


def test_more_units_than_planned_are_no_more_than_all(warehouse: Database, ledger: Ledger) -> None:
    """What fills gaps is recorded, and was not planned."""
    ledger.plan("run-1", planned=1, skipped=0)
    write(warehouse, DAILY_KLINE, *done(day(20)), item_of(Unit.code("600000.SH", day(20), day(20))))
    (sync,) = running(warehouse)
    assert (sync.done, sync.share, sync.seconds_left) == (1, 1.0, 0.0)


@pytest.mark.usefixtures("ledger")
def test_a_sync_whose_process_is_dead_is_not_running(warehouse: Database) -> None:
    assert [sync.run for sync in running(warehouse)] == ["run-1"]
    execute(warehouse, "UPDATE sync_runs SET presence = 0")  # nobody lives under it
    assert running(warehouse) == []
