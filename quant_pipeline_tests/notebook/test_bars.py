"""`qp.bars` and `qp.panel` over a real database: which codes, which prices, which index, and what a slip is told."""

from __future__ import annotations

import datetime as dt
import importlib
import warnings
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import quant_pipeline as qp
from quant_pipeline import settings
from quant_pipeline.market.datasets import DATASETS
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.ledger import item_of, record
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import files, sync
from quant_pipeline.warehouse.lake.files import folder_of
from quant_pipeline.warehouse.reads import read_sql
from quant_pipeline_tests.notebook.conftest import DAYS, EX_DATE, HALTED, PRICES

snapshot_of_lake = importlib.import_module("quant_pipeline.warehouse.lake.snapshot")
FIGURES = [*PRICES, "change", "pct_chg", "vol", "amount"]


@pytest.mark.usefixtures("stored")
def test_one_code_is_a_frame_over_its_days() -> None:
    frame = qp.bars("600000.SH", start=DAYS[5], end=str(DAYS[30]), adjust="qfq")
    assert isinstance(frame.index, pd.DatetimeIndex)
    assert frame.index.name == "trade_date"
    assert list(frame.index.date) == list(DAYS[5:31])
    assert list(frame.columns) == ["ts_code", *FIGURES]
    assert {str(frame[name].dtype) for name in FIGURES} == {"float64"}
    assert set(frame["ts_code"]) == {"600000.SH"}
    assert frame.loc[str(EX_DATE), "pct_chg"] < 5, "an ex-date is no fall by half"


@pytest.mark.usefixtures("stored")
def test_several_codes_are_indexed_by_code_and_day() -> None:
    frame = qp.bars(["600000", "sz000001"], start=DAYS[-3])
    assert frame.index.names == ["ts_code", "trade_date"]
    assert frame.loc["000001.SZ"].index.is_monotonic_increasing
    assert frame.shape == (6, len(FIGURES))


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("600000", "600000.SH"),
        ("sh.600000", "600000.SH"),
        ("浦发银行", "600000.SH"),
        ("pfyh", "600000.SH"),
        ("000001", "000001.SZ"),
        ("000001.SH", "000001.SH"),
        ("上证指数", "000001.SH"),
        ("沪深300", "000300.SH"),
        ("510300", "510300.SH"),
        ("南银转债", "113050.SH"),
    ],
)
def test_a_code_may_be_written_as_people_write_it(written: str, code: str) -> None:
    frame = qp.bars(written, as_="polars")
    assert set(frame["ts_code"]) == {code}
    assert frame.height == len(DAYS) - (code == "000001.SZ")


def test_a_bond_s_turnover_is_in_the_unit_of_all_others(stored: Database) -> None:
    stored_amount = read_sql(stored, "SELECT amount FROM cb_daily ORDER BY trade_date")["amount"]
    assert qp.bars("113050", as_="polars")["amount"].to_list() == pytest.approx([10 * each for each in stored_amount])


@pytest.mark.parametrize("adjust", ["qfq", "hfq"])
@pytest.mark.parametrize(("freq", "view"), [("D", "daily"), ("W", "weekly"), ("M", "monthly")])
def test_adjusted_bars_are_those_of_the_sql_views(stored: Database, adjust: str, freq: str, view: str) -> None:
    _calendar(stored)
    expected = read_sql(stored, f"SELECT * FROM {view}_kline_{adjust} ORDER BY ts_code, trade_date")
    found = qp.bars(adjust=adjust, freq=freq, as_="polars")  # type: ignore[call-overload]
    assert_frame_equal(found.select(expected.columns), expected, check_exact=False)


def test_raw_bars_are_as_they_were_traded(stored: Database) -> None:
    expected = read_sql(stored, "SELECT * FROM daily_kline WHERE ts_code = '600000.SH' ORDER BY trade_date")
    found = qp.bars("600000.SH", adjust="raw", as_="polars")
    assert_frame_equal(found, expected.select(found.columns))


@pytest.mark.usefixtures("stored")
def test_a_raw_week_with_an_ex_date_in_it_did_not_fall_by_half() -> None:
    week = qp.bars("600000.SH", adjust="raw", freq="W", start=EX_DATE, as_="polars").row(0, named=True)
    assert -5 < week["pct_chg"] < 10
    assert week["close"] / week["pre_close"] - 1 == pytest.approx(week["pct_chg"] / 100)


@pytest.mark.usefixtures("stored")
def test_a_week_is_whole_where_the_range_begins_within_it_and_ends_with_the_range() -> None:
    whole = qp.bars("600000.SH", freq="W", as_="polars")
    middle = whole["trade_date"][3]
    begun = qp.bars("600000.SH", freq="W", start=middle, as_="polars")
    assert_frame_equal(begun, whole[3:])
    cut = qp.bars("600000.SH", freq="W", end=DAYS[DAYS.index(middle) - 1], as_="polars")
    assert cut["trade_date"][-1] == DAYS[DAYS.index(middle) - 1]
    assert cut["close"][-1] == qp.bars("600000.SH", as_="polars").filter(trade_date=cut["trade_date"][-1])["close"][0]


@pytest.mark.usefixtures("stored")
def test_qfq_of_a_past_range_refers_to_the_latest_price() -> None:
    whole = qp.bars("600000.SH", as_="polars")
    past = qp.bars("600000.SH", end=DAYS[10], as_="polars")
    assert_frame_equal(past, whole[:11])


def test_a_factor_from_before_the_range_still_holds(stored: Database) -> None:
    whole = qp.bars("600000.SH", as_="polars")
    with stored.connect() as connection:
        connection.execute("DELETE FROM adj_factor WHERE trade_date > %s AND ts_code = '600000.SH'", (EX_DATE,))
    assert_frame_equal(qp.bars("600000.SH", start=DAYS[-3], as_="polars"), whole[-3:])


def test_bars_that_no_factor_adjusts_are_left_out_and_told(stored: Database) -> None:
    with stored.connect() as connection:
        connection.execute("DELETE FROM adj_factor WHERE trade_date < %s AND ts_code = '600000.SH'", (DAYS[2],))
    with pytest.warns(UserWarning, match=r"2 bars of 600000.SH lie before any factor .* sync adj_factor"):
        frame = qp.bars("600000.SH")
    assert len(frame) == len(DAYS) - 2
    assert not frame.isna().any().any()


@pytest.mark.usefixtures("stored")
def test_a_panel_has_a_row_per_session_and_a_column_per_code() -> None:
    wide = qp.panel("close", ["600000", "000001"], start=DAYS[18])
    assert list(wide.columns) == ["600000.SH", "000001.SZ"]
    assert list(wide.index.date) == list(DAYS[18:])
    assert wide["000001.SZ"].isna().sum() == 1
    assert pd.isna(wide.loc[str(HALTED), "000001.SZ"])
    bars = qp.bars("600000.SH", start=DAYS[18])
    assert wide["600000.SH"].tolist() == bars["close"].tolist()


@pytest.mark.usefixtures("stored")
def test_a_panel_takes_figures_of_other_data_sets() -> None:
    wide = qp.panel("pe_ttm", as_="polars")
    assert wide.columns == ["trade_date", "000001.SZ", "600000.SH"]
    assert wide.height == len(DAYS)
    assert qp.panel("daily_basic.close")["600000.SH"].iloc[-1] == qp.bars("600000.SH", adjust="raw")["close"].iloc[-1]
    assert qp.panel("close", freq="W").shape[0] < len(DAYS)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda: qp.bars("600001"), r"no code or name '600001'\. Did you mean 600000.SH 浦发银行"),
        (lambda: qp.bars("浦发很行"), r"no code or name '浦发很行'\. Did you mean 600000.SH 浦发银行"),
        (lambda: qp.bars([]), "no code is asked for"),
        (lambda: qp.bars([600000]), "600000 is no code: write it as a text"),
        (lambda: qp.bars(600000), "600000 is no code: write it as a text, '600000' .a number loses its leading zeros"),
        (lambda: qp.bars("600000", start="2026-11-21"), "2026-11-21 lies after the latest complete session, 2026-11-20$"),
        (lambda: qp.bars("600000", start="2026-12-01", end="2026-11-01"), "the range is empty: start 2026-12-01 is after"),
        (lambda: qp.bars("600000", start="yesterday"), "'yesterday' is no day: write 2026-11-20"),
        (
            lambda: qp.bars("600000", end="2001-01-05"),
            r"daily_kline holds 2026-.* to 2026-11-20, nothing of .* --end 2001",
        ),
        (lambda: qp.bars("600519"), r"no bars of 600519.SH 贵州茅台 are stored\. Fetch them: quant-pipeline sync .*600519.SH"),
        (lambda: qp.bars("600000", adjust="both"), "adjust='both' is not known: write 'qfq', 'hfq', 'raw'"),
        (lambda: qp.bars("600000", freq="H"), "freq='H' is not known: write 'D', 'W', 'M'"),
        (lambda: qp.bars("600000", as_="numpy"), "as_='numpy' is not known: write 'pandas', 'polars'"),
        (lambda: qp.panel("clse"), r"figure 'clse'\. Did you mean close"),
        (lambda: qp.panel("turnover_rat"), r"Did you mean daily_basic.turnover_rate"),
        (lambda: qp.panel("adj_factor"), "several data sets have adj_factor: write adj_factor.adj_factor, etf_adj.adj_factor"),
        (lambda: qp.panel("stock_list.name"), "stock_list has no row per code and session; a panel takes: .*daily_basic"),
        (lambda: qp.panel("pe_ttm", freq="W"), "daily_basic.pe_ttm is a figure of sessions: leave freq out"),
    ],
)
def test_a_slip_is_told_what_to_write(ask: object, told: str) -> None:
    assert callable(ask)
    with pytest.raises(qp.QueryError, match=told):
        ask()


@pytest.mark.usefixtures("stored")
def test_a_halt_through_the_range_is_no_slip() -> None:
    with pytest.warns(UserWarning, match="no bars within these days .*000001.SZ 平安银行"):
        assert qp.bars("000001", start=HALTED, end=HALTED).empty


@pytest.mark.usefixtures("empty")
def test_where_nothing_is_synced_the_command_is_told() -> None:
    with pytest.raises(qp.NothingStored, match="no list of codes is synced yet; run `quant-pipeline run` first"):
        qp.bars("600000")
    with pytest.raises(qp.NothingStored, match=r"daily_kline holds nothing yet\. Fetch it: quant-pipeline sync"):
        qp.bars()


def _calendar(database: Database) -> None:
    from quant_pipeline.market.datasets import TRADE_CALENDAR
    from quant_pipeline_tests.sync.stored import CALENDAR, store

    days = pl.DataFrame({"cal_date": CALENDAR.between(DAYS[0], DAYS[-1])})
    store(database, TRADE_CALENDAR, days.with_columns(exchange=pl.lit("SSE"), is_open=pl.lit(1)))


def test_the_lake_is_read_where_it_is_current_and_the_table_where_it_is_not(
    stored: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = {adjust: qp.bars(adjust=adjust, as_="polars") for adjust in ("qfq", "raw")}
    monkeypatch.setenv("QUANT_HOME", str(tmp_path))
    folder = folder_of(settings.load())
    sync(stored, folder)
    opened: list[Path] = []
    monkeypatch.setattr(snapshot_of_lake, "opened", lambda path: opened.append(path) or files.opened(path))
    for adjust, frame in expected.items():
        assert_frame_equal(qp.bars(adjust=adjust, as_="polars"), frame)  # type: ignore[call-overload]
    assert {path.parts[-3] for path in opened} >= {"daily_kline", "adj_factor"}
    with stored.connect() as connection:
        connection.execute("DELETE FROM daily_kline WHERE trade_date = %s", (DAYS[-1],))
    assert_frame_equal(qp.bars(adjust="raw", as_="polars"), expected["raw"].filter(pl.col("trade_date") < DAYS[-1]))


def test_a_frame_that_begins_late_is_told_with_the_command_that_brings_the_rest(stored: Database) -> None:
    before, last = DAYS[0].replace(day=1), DAYS[0] - dt.timedelta(days=1)
    from quant_pipeline_tests.sync.stored import CALENDAR

    lost = CALENDAR.between(before, last)
    window = f"--start {lost[0]} --end {lost[-1]}"
    command = f"daily_kline,adj_factor --symbols 600000.SH {window}"
    with pytest.warns(
        qp.LateBeginning, match=f"600000.SH is stored from {DAYS[0]} on, .* begins on {lost[0]}.*{command}$"
    ) as told:
        qp.bars("600000", start=before)
    assert len(told) == 1
    assert Path(told[0].filename) == Path(__file__), "it names the caller's line"
    with pytest.warns(qp.LateBeginning, match=f"daily_basic is stored from .*--datasets daily_basic {window}$"):
        qp.read("daily_basic", start=before, columns=["ts_code", "pe_ttm"])
    with pytest.warns(qp.LateBeginning, match=f"daily_kline,adj_factor {window}$"):
        qp.panel("close", start=before)
    with stored.connect() as connection:
        connection.execute("UPDATE stock_list SET list_date = %s WHERE ts_code = '600000.SH'", (DAYS[0],))
    with warnings.catch_warnings():
        warnings.simplefilter("error", qp.LateBeginning)
        qp.bars("600000", start=before)
        qp.bars("600000", start=DAYS[1], freq="W")
        qp.bars(["000001.SH", "510300"], start=DAYS[3])
        qp.read("daily_basic", codes="600000", start=before)


def test_sessions_that_were_synced_and_brought_no_row_are_not_lacking(stored: Database) -> None:
    """A halt before the first bar."""
    with stored.connect() as connection:
        connection.execute("DELETE FROM daily_kline WHERE ts_code = '000001.SZ' AND trade_date <= %s", (DAYS[2],))
        connection.execute(
            "INSERT INTO sync_runs (id, trigger, status, process, presence) VALUES ('run-1', 'test', 'success', '', 0)"
        )
        record(connection, "run-1", DATASETS["daily_kline"], [item_of(Unit.session(day), rows=1) for day in DAYS])
    with warnings.catch_warnings():
        warnings.simplefilter("error", qp.LateBeginning)
        assert qp.bars("000001", start=DAYS[0]).index[0].date() == DAYS[3]
