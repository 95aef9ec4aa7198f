"""One test per bug of the public peers that this platform must not have (DESIGN 4), in the order in which they stand there."""

from __future__ import annotations

import datetime as dt
import logging

import polars as pl
import pytest

from quant_pipeline.market.adjustment import adjust
from quant_pipeline.market.calendar import CalendarError
from quant_pipeline.market.datasets import ADJ_FACTOR, BSE_MAPPING, DAILY_KLINE, STOCK_LIST, WEEKLY_KLINE
from quant_pipeline.market.validation import validate
from quant_pipeline.sources.base import Tally
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.acceptance import RowsAcceptance
from quant_pipeline.sync.roster import Roster
from quant_pipeline.warehouse.reads import read
from quant_pipeline.warehouse.upsert import upsert
from quant_pipeline_tests.sync.conftest import LATEST, Bench
from quant_pipeline_tests.warehouse.bars import daily_bars

_RETURNED = """
SELECT halt.ts_code, min(halt.trade_date), max(halt.trade_date) FROM suspensions AS halt
WHERE suspend_type = 'S' AND suspend_timing IS NULL
GROUP BY ts_code HAVING count(*) >= 4 AND max(halt.trade_date) < %s AND min(halt.trade_date) > %s
ORDER BY count(*) DESC LIMIT 1
"""


def _bars(bench: Bench) -> pl.DataFrame:
    return read(bench.database, DAILY_KLINE)


def test_a_stock_that_returns_from_a_long_halt_moves_no_other_bar(bench: Bench) -> None:
    sessions = bench.sessions(90)
    bench.reference(sessions)
    ((code, halted_from, halted_to),) = bench.rows(_RETURNED, sessions[-3], sessions[3])
    assert isinstance(halted_to, dt.date)
    before = tuple(day for day in sessions if day <= halted_to)
    bench.sync(DAILY_KLINE, before)
    stored = _bars(bench)
    bench.sync(DAILY_KLINE, sessions)
    after = _bars(bench)
    assert after.filter(pl.col("trade_date") <= halted_to).equals(stored), "nothing that stood there moved"
    own = after.filter(pl.col("ts_code") == code)
    assert own.filter(pl.col("trade_date").is_between(halted_from, halted_to)).is_empty(), "no bar was made up for the halt"
    assert own.filter(pl.col("trade_date") > halted_to).height > 0


def test_a_week_s_catch_up_of_the_whole_market_is_one_sync(bench: Bench) -> None:
    """Peers bind a variable per cell: seven sessions of the market are 450,000 of them."""
    bars = daily_bars(5_400, 7)
    with bench.database.connect() as connection:
        assert upsert(connection, DAILY_KLINE, bars, source="tushare").inserted == bars.height == 37_800


def test_after_an_ex_date_an_incremental_sync_leaves_no_spliced_prices(bench: Bench) -> None:
    sessions = bench.sessions(90)
    bench.reference(sessions)
    for dataset in (DAILY_KLINE, ADJ_FACTOR):
        bench.sync(dataset, sessions[:45])
        bench.sync(dataset, sessions)
    factors = read(bench.database, ADJ_FACTOR)
    moved = factors.group_by("ts_code").agg(pl.col("adj_factor").n_unique()).filter(pl.col("adj_factor") > 1)["ts_code"]
    assert moved.len() > 0, "some code went ex in these months"
    qfq = adjust(_bars(bench), factors, "qfq").filter(pl.col("ts_code").is_in(moved.implode()))
    raw = _bars(bench).filter(pl.col("ts_code").is_in(moved.implode()))
    chained = qfq.with_columns(last=pl.col("close").shift().over("ts_code")).join(
        raw.select("ts_code", "trade_date", "pct_chg"), on=["ts_code", "trade_date"]
    )
    seen = (chained["close"] / chained["last"] - 1) * 100
    gap = (seen - chained["pct_chg_right"]).abs().max()
    assert isinstance(gap, float)
    assert gap < 0.2, "the adjusted series moves as the market did, over every ex-date"


def test_an_http_502_is_not_read_as_no_data(bench: Bench) -> None:
    sessions = bench.sessions(1)
    bench.reference(sessions)
    bench.sandbox.order_fault("status", api="daily", status=502, times=None)
    outcome = bench.sync(DAILY_KLINE, sessions)
    assert [item.error_class for item in outcome.failed.values()] == ["retryable"]
    assert not bench.ledger.done(DAILY_KLINE, [Unit.session(sessions[0])])


def test_a_stray_row_on_a_holiday_enters_neither_table_nor_calendar(bench: Bench) -> None:
    holiday, session = dt.date(2026, 10, 1), LATEST
    rows = daily_bars(2, 1).with_columns(trade_date=pl.Series([session, holiday]))
    checked = validate(DAILY_KLINE, rows, expected_session=None, sessions=frozenset(bench.calendar.sessions))
    assert checked.good["trade_date"].to_list() == [session]
    assert checked.bad["reason"].to_list() == ["trade_date is not a session"]
    assert not bench.calendar.is_session(holiday)


def test_a_fresh_daily_bar_leaves_the_week_to_be_done(bench: Bench) -> None:
    sessions = bench.sessions(1)
    bench.reference(sessions)
    bench.sync(DAILY_KLINE, sessions)
    assert not bench.ledger.done(WEEKLY_KLINE, [Unit.session(LATEST)])


def test_one_bad_code_does_not_end_the_run(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    sessions = bench.sessions(30)
    bench.reference(sessions)
    codes = tuple(str(code) for (code,) in bench.rows("SELECT ts_code FROM stock_list WHERE list_date < '2025-06-01' LIMIT 5"))
    bench.policies["tushare"] = {"*": bench.policies["tushare"]["*"].model_copy(update={"concurrency": 1, "retries": 0})}
    bench.sandbox.order_fault("html", api="daily", after=2, times=1)
    with caplog.at_level(logging.WARNING):
        outcome = bench.sync(DAILY_KLINE, sessions, codes=codes)
    assert (len(outcome.synced), len(outcome.failed)) == (4, 1)
    ((unit, _),) = outcome.failed.items()
    assert unit.ts_code in caplog.text
    bench.ledger.finish(bench.run)
    assert bench.rows("SELECT status, units_failed FROM sync_runs") == [("success_with_errors", 1)]


def test_a_row_without_a_date_is_refused_and_not_stamped_today(bench: Bench) -> None:
    sessions = bench.sessions(1)
    bench.reference(sessions)
    bench.sandbox.order_fault("bad_values", api="daily", times=1)
    bench.sync(DAILY_KLINE, sessions)
    kept = [
        row for (row, reason) in bench.rows("SELECT row, reason FROM rejected_rows") if "trade_date is missing" in str(reason)
    ]
    assert len(kept) == 1
    assert bench.rows("SELECT DISTINCT trade_date FROM daily_kline") == [(LATEST,)]


@pytest.mark.parametrize(
    ("now", "latest"),
    [("2026-11-21T12:00", "2026-11-20"), ("2026-11-22T23:59", "2026-11-20"), ("2026-10-07T18:00", "2026-09-30")],
)
def test_the_latest_trade_date_is_never_a_closed_day(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, now: str, latest: str
) -> None:
    monkeypatch.setenv("QUANT_NOW", now)
    assert bench.calendar.latest() == dt.date.fromisoformat(latest)
    with pytest.raises(CalendarError):
        bench.calendar.shift(dt.date.fromisoformat(now[:10]), 0)


def test_bse_codes_are_kept_under_their_own_market_and_old_ones_get_their_new_name(bench: Bench) -> None:
    sessions = bench.sessions(1)
    bench.reference(sessions)
    bench.sync(BSE_MAPPING)
    bench.sync(DAILY_KLINE, sessions)
    stored = {str(code) for (code,) in bench.rows("SELECT ts_code FROM daily_kline WHERE ts_code LIKE '%%.BJ'", *())}
    listed = {
        str(code) for (code,) in bench.rows("SELECT ts_code FROM stock_list WHERE exchange = 'BSE' AND list_status = 'L'")
    }
    assert stored
    assert stored <= listed
    assert all(code.startswith("920") for code in stored)

    old, new = bench.rows("SELECT o_code, n_code FROM bse_mapping ORDER BY 1 LIMIT 1")[0]
    answer = bench.source().fetch(DAILY_KLINE, Unit.session(sessions[0]), Tally())
    roster = Roster.load(bench.database, DAILY_KLINE, bench.calendar, LATEST, LATEST)
    judge = RowsAcceptance(bench.database, DAILY_KLINE, bench.calendar, roster, ())
    spelled_old = answer.with_columns(pl.col("ts_code").replace({str(new): str(old)}))
    good = judge(Unit.session(sessions[0]), spelled_old, bench.source()).good["ts_code"]
    assert old not in good
    assert set(good) == set(answer["ts_code"])


def test_the_list_of_stocks_has_the_delisted_ones_too(bench: Bench) -> None:
    bench.sync(STOCK_LIST)
    assert {status for (status,) in bench.rows("SELECT DISTINCT list_status FROM stock_list")} >= {"L", "D"}
