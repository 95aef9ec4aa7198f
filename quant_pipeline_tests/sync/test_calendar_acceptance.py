"""A published calendar that lies is refused, the next source is asked, and no stored one stops anything."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import polars as pl
import pytest

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.datasets import DAILY_KLINE, TRADE_CALENDAR
from quant_pipeline.market.validation import Checked
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.rehearsal import running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket
from quant_pipeline.sources.baostock import BaostockSource
from quant_pipeline.sources.failures import Incomplete
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.router import Router
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sync.calendar_acceptance import demand_believable, new_closures, stored_calendar
from quant_pipeline.sync.checks import checks_of
from quant_pipeline.sync.engine import Engine
from quant_pipeline.sync.plan import plan_list
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.conftest import QUICK, Bench
from quant_pipeline_tests.sync.stored import bars, judged, store

TODAY = dt.date(2026, 11, 20)
SESSION = dt.date(2026, 11, 12)
CALENDAR = xshg()


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")


def published(*changes: tuple[dt.date, bool], last: dt.date = CALENDAR.last) -> dict[dt.date, bool]:
    days = (CALENDAR.first + dt.timedelta(days=n) for n in range((last - CALENDAR.first).days + 1))
    return {day: CALENDAR.is_session(day) for day in days} | dict(changes)


def judge(
    days: Mapping[dt.date, bool], *, traded: set[dt.date] | None = None, closed: set[dt.date] | None = None
) -> list[dt.date]:
    return new_closures(days, CALENDAR, today=TODAY, traded=traded or set(), closed=closed or set())


def believe(database: Database, rows: pl.DataFrame, today: dt.date) -> None:
    demand_believable(database, Checked(rows, rows.clear()), CALENDAR, today)


def rows(days: Mapping[dt.date, bool]) -> pl.DataFrame:
    return pl.DataFrame({"exchange": "SSE", "cal_date": list(days), "is_open": [int(is_open) for is_open in days.values()]})


def test_the_exchange_s_own_days_are_taken() -> None:
    assert judge(published()) == judge(published(last=TODAY)) == []


@pytest.mark.parametrize(
    ("days", "text"),
    [
        ({}, "days are missing, 1990-12-19 first"),
        (published(last=TODAY - dt.timedelta(days=1)), "it ends on 2026-11-19"),
        ({day: is_open for day, is_open in published().items() if day.year != 1999}, "365 days are missing, 1999-01-01 first"),
        ({day: is_open for day, is_open in published().items() if day.year > 2000}, "days are missing, 1990-12-19 first"),
        (published((SESSION, False)), "of 1 days: 2026-11-12: told closed, but it was a session"),
        (published((dt.date(2026, 10, 1), True)), "2026-10-01: told open, but the exchange is closed that day"),
        (dict.fromkeys(published(), False), "contradicts what is known of"),
    ],
)
def test_one_that_is_cut_or_contradicts_what_is_known_is_no_answer(days: dict[dt.date, bool], text: str) -> None:
    with pytest.raises(Incomplete, match=text):
        judge(days)


def test_a_closure_ahead_is_new_until_it_is_stored() -> None:
    ahead = CALENDAR.shift(TODAY, 3)
    assert judge(published((ahead, False), (TODAY, False))) == [TODAY, ahead]
    assert judge(published((ahead, False)), closed={ahead}) == []


def test_stored_bars_and_the_stored_calendar_are_what_it_is_compared_with(warehouse: Database) -> None:
    today = CALENDAR.shift(TODAY, 1)
    store(warehouse, DAILY_KLINE, bars(["600000.SH"], [TODAY, SESSION]))
    with pytest.raises(Incomplete, match="2026-11-12: told closed, but bars of that day are stored"):
        believe(warehouse, rows(published((SESSION, False))), today)
    longer = dt.date(2026, 11, 13)
    with pytest.raises(Incomplete, match="2026-11-13"):
        believe(warehouse, rows(published((longer, False))), today)
    store(warehouse, TRADE_CALENDAR, rows({longer: False}))
    believe(warehouse, rows(published((longer, False))), today)


def test_the_rows_of_other_exchanges_are_not_judged(warehouse: Database) -> None:
    other = rows({SESSION: False}).with_columns(exchange=pl.lit("SZSE"))
    believe(warehouse, pl.concat([rows(published()), other]), TODAY)


def test_a_stored_calendar_that_lies_changes_nothing_and_is_named(warehouse: Database) -> None:
    store(warehouse, TRADE_CALENDAR, rows(dict.fromkeys(published(), False)))
    calendar = stored_calendar(warehouse, CALENDAR, TODAY)
    assert calendar.sessions == CALENDAR.sessions
    assert calendar.doubted[SESSION].startswith("told closed")


def test_stored_bars_open_a_day_that_is_stored_as_closed(warehouse: Database) -> None:
    store(warehouse, TRADE_CALENDAR, rows({SESSION: False, TODAY: False}))
    assert not stored_calendar(warehouse, CALENDAR, TODAY).is_session(SESSION)
    store(warehouse, DAILY_KLINE, bars(["600000.SH"], [SESSION]))
    calendar: Calendar = stored_calendar(warehouse, CALENDAR, TODAY)
    assert calendar.is_session(SESSION)
    assert not calendar.is_session(TODAY)


def test_it_is_weighed_again_where_a_row_or_the_day_changed_and_only_then(warehouse: Database) -> None:
    store(warehouse, TRADE_CALENDAR, rows(published((TODAY, False))))
    first = stored_calendar(warehouse, CALENDAR, TODAY)
    assert not first.is_session(TODAY)
    assert stored_calendar(warehouse, CALENDAR, TODAY) is first
    ahead = stored_calendar(warehouse, CALENDAR, dt.date(2027, 1, 4))
    assert ahead.doubted[TODAY] == "told closed, but it was a session"
    store(warehouse, TRADE_CALENDAR, rows({TODAY: True}))
    assert stored_calendar(warehouse, CALENDAR, TODAY).is_session(TODAY)


def test_lies_in_the_table_do_not_outlive_the_next_true_answer(bench: Bench) -> None:
    lies = {dt.date(2100, 1, 1) + dt.timedelta(days=n): True for n in range(40_000)}
    store(bench.database, TRADE_CALENDAR, rows(dict.fromkeys(published(), False) | lies), source="akshare")
    outcome = bench.sync(TRADE_CALENDAR)
    assert not outcome.failed
    told = dict(bench.rows("SELECT cal_date, is_open = 1 FROM trade_calendar WHERE source = 'tushare'"))
    assert {day: told[day] for day in published()} == published()


class _Lying:
    """The exchange, but for Tushare's calendar, which has these days otherwise (None: every day closed)."""

    def __init__(self, exchange: Exchange, days: Mapping[dt.date, bool] | None) -> None:
        self._market = SimulatedMarket(exchange)
        self._days = days

    def edition(self) -> str:
        return self._market.edition()

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        answer = self._market.frame(api, params, rows)
        if api != "trade_cal" or "exchange" not in params:  # that is how Tushare's client asks, and BaoStock's server does not
            return answer
        told = {f"{day:%Y%m%d}": int(is_open) for day, is_open in (self._days or {}).items()}
        kept = pl.lit(0) if self._days is None else pl.col("is_open")
        lie = pl.col("cal_date").replace_strict(told, default=None, return_dtype=pl.Int64)
        return answer.with_columns(is_open=pl.coalesce(lie, kept).cast(answer.schema["is_open"]))


@pytest.mark.parametrize(
    "lie",
    [None, {SESSION: False}, {dt.date(2026, 10, 1): True}, {dt.date(2026, 11, 15): True}],
    ids=["every day closed", "a past session closed", "a past holiday open", "a Sunday open"],
)
def test_a_lying_calendar_is_that_source_s_failure_and_the_next_one_is_asked(
    bench: Bench, exchange: Exchange, lie: Mapping[dt.date, bool] | None
) -> None:
    with running(_Lying(exchange, lie), quotas={"*": None}) as sandbox:
        limiter = Limiter(bench.database.pool, bench.presence)
        tushare = TushareSource(sandbox.token, sandbox.tushare_url, xshg(), limiter, QUICK, patience=30)
        baostock = BaostockSource(sandbox.host, sandbox.baostock_port, "anonymous", "123456", xshg(), limiter, QUICK)
        try:
            for sources in ([tushare], [tushare, baostock]):
                router = Router(sources)
                engine = Engine(bench.database, router, CALENDAR, bench.ledger, bench.run)
                outcome = engine.sync(plan_list(TRADE_CALENDAR, router, as_of=TODAY), again=True)
                told = dict(bench.rows("SELECT cal_date, is_open = 1 FROM trade_calendar"))
                if sources == [tushare]:
                    (item,) = outcome.failed.values()
                    assert "the calendar contradicts what is known" in (item.error or "")
                    assert told == {}
                else:
                    (item,) = outcome.synced.values()
                    assert item.source == "baostock"
                    assert {day: told[day] for day in published()} == published()
        finally:
            baostock.close()


AHEAD, OTHER = CALENDAR.shift(TODAY, 3), CALENDAR.shift(TODAY, 5)


@pytest.mark.parametrize(
    ("in_use", "baostock_says", "source", "status", "closed"),
    [
        (["tushare"], AHEAD, "tushare", "partial", True),
        (["tushare", "baostock"], AHEAD, "tushare", "partial", True),
        (["tushare", "baostock"], None, "baostock", "success", False),
        (["tushare", "baostock"], OTHER, "baostock", "failed", False),
    ],
    ids=["nobody else to ask", "two say so", "the second says otherwise", "each says something else"],
)
def test_a_closure_ahead_is_two_sources_word_where_two_can_be_asked(
    bench: Bench, in_use: list[str], baostock_says: dt.date | None, source: str | None, status: str, closed: bool
) -> None:
    bench.sandbox.order_fault("session_closed", api="trade_cal", day=f"{AHEAD:%Y%m%d}", times=None)
    if baostock_says is not None:
        lie = {"api": "query_trade_dates", "day": f"{baostock_says:%Y%m%d}"}
        bench.sandbox.order_fault("session_closed", server="baostock", times=None, **lie)
    limiter = Limiter(bench.database.pool, bench.presence)
    tushare = TushareSource(bench.sandbox.token, bench.sandbox.tushare_url, xshg(), limiter, QUICK, patience=30)
    account = (bench.sandbox.host, bench.sandbox.baostock_port, "anonymous", "123456")
    baostock = BaostockSource(*account, xshg(), limiter, QUICK)
    try:
        router = Router([each for each in (tushare, baostock) if each.name in in_use])
        engine = Engine(bench.database, router, CALENDAR, bench.ledger, bench.run)
        plan = plan_list(TRADE_CALENDAR, router, as_of=TODAY)
        first = engine.sync(plan)
        (item,) = (*first.synced.values(), *first.failed.values())
        assert (item.source, item.status) == (source, status)
        assert (f"told closed, unlike the built-in calendar: {AHEAD}" in (item.error or "")) is (status != "success")
        assert stored_calendar(bench.database, CALENDAR, TODAY).is_session(AHEAD) is not closed
        if closed:  # it is told once, and asked for again: then it is what is known
            (again,) = engine.sync(plan).synced.values()
            assert again.status == "success"
    finally:
        baostock.close()


def test_a_closure_is_news_and_days_that_are_not_believed_are_named_with_what_to_do(warehouse: Database) -> None:
    store(warehouse, TRADE_CALENDAR, rows(published((AHEAD, False))))
    verdict = judged(warehouse, TRADE_CALENDAR, "calendar_believed", ())
    assert (verdict.passed, list(verdict.news)) == (True, [f"calendar-closure:{AHEAD}"])
    assert verdict.text == f"0 of {len(published())} stored days are not believed"
    lies = published((AHEAD, False), (dt.date(2025, 11, 12), False), (dt.date(2026, 10, 1), True))
    store(warehouse, TRADE_CALENDAR, rows(lies))
    verdict = judged(warehouse, TRADE_CALENDAR, "calendar_believed", ())
    assert not verdict.passed
    assert verdict.offending.select("cal_date", "is_open").rows() == [(dt.date(2025, 11, 12), 0), (dt.date(2026, 10, 1), 1)]
    assert "2025-11-12: told closed, but it was a session; 2026-10-01: told open, but the" in verdict.text
    assert "`quant-pipeline sync --datasets trade_calendar --force`" in verdict.text
    assert [check.warns for check in checks_of(TRADE_CALENDAR) if check.name == "calendar_believed"] == [True]
