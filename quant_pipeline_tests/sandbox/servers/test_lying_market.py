"""Answers that are well formed and untrue, as the unmodified clients receive them."""

from __future__ import annotations

import polars as pl
import pytest
from tushare.pro.client import DataApi

from quant_pipeline.sandbox.rehearsal import Rehearsal

SESSION, BEFORE = "20261120", "20261119"


def daily(pro: DataApi, **params: object) -> pl.DataFrame:
    return pl.from_pandas(pro.daily(**({"trade_date": SESSION} | params)))


def test_the_session_before_under_the_date_that_was_asked_for(sandbox: Rehearsal, pro: DataApi) -> None:
    former = daily(pro, trade_date=BEFORE)
    sandbox.order_fault("stale", api="daily")
    answer = daily(pro)
    assert set(answer["trade_date"]) == {SESSION}
    assert answer.drop("trade_date").equals(former.drop("trade_date"))


def test_codes_that_do_not_exist(sandbox: Rehearsal, pro: DataApi) -> None:
    true = daily(pro)
    known = {code for status in "LDP" for code in pro.stock_basic(list_status=status)["ts_code"]}
    sandbox.order_fault("unknown_codes", api="daily", count=100)
    answer = daily(pro)
    assert len(answer) == len(true) + 100
    assert len(set(answer["ts_code"]) - known) == 100


@pytest.mark.parametrize("volume", [0.0, 3.0])
def test_bars_of_codes_that_are_halted_all_day(sandbox: Rehearsal, pro: DataApi, volume: float) -> None:
    halts = pl.from_pandas(pro.suspend_d(start_date="20261001", end_date=SESSION, suspend_type="S"))
    halts = halts.filter(pl.col("suspend_timing").is_null())
    day, code = halts["trade_date"][0], halts["ts_code"][0]
    assert code not in daily(pro, trade_date=day)["ts_code"]
    sandbox.order_fault("halted_bars", api="daily", volume=volume, times=None)
    (bar,) = daily(pro, trade_date=day).filter(pl.col("ts_code") == code).to_dicts()
    assert bar["open"] == bar["high"] == bar["low"] == bar["close"] == bar["pre_close"]
    assert (bar["vol"], bar["amount"], bar["pct_chg"]) == (volume, pytest.approx(bar["close"] * volume / 10, abs=1e-3), 0.0)
    by_code = daily(pro, ts_code=code, trade_date="", start_date=day, end_date=day)
    assert by_code.to_dicts() == [bar]


def test_a_share_of_a_prefix_that_nobody_knows(sandbox: Rehearsal, pro: DataApi) -> None:
    true = daily(pro)
    sandbox.order_fault("new_prefix", times=None)
    (listed,) = pro.stock_basic().query("ts_code == '303001.SZ'").to_dict("records")
    assert listed["symbol"] == "303001"
    answer = daily(pro)
    assert len(answer) == len(true) + 1
    own = daily(pro, ts_code="303001.SZ", trade_date="", start_date=BEFORE, end_date=SESSION)
    assert own["ts_code"].to_list() == ["303001.SZ"] * 2
    assert own.row(0) in answer.rows()
    assert len(pro.adj_factor(trade_date=SESSION).query("ts_code == '303001.SZ'")) == 1
    assert len(pro.stk_limit(trade_date=SESSION).query("ts_code == '303001.SZ'")) == 1


def test_a_code_that_changed(sandbox: Rehearsal, pro: DataApi) -> None:
    before = pl.from_pandas(pro.stock_basic())
    sandbox.order_fault("changed_code", times=None)
    after = pl.from_pandas(pro.stock_basic())
    (old,) = set(before["ts_code"]) - set(after["ts_code"])
    assert set(after["ts_code"]) - set(before["ts_code"]) == {"302132.SZ"}
    kept = ["name", "list_date", "industry"]
    was = before.filter(pl.col("ts_code") == old).select(kept)
    assert after.filter(pl.col("ts_code") == "302132.SZ").select(kept).equals(was)
    span = {"trade_date": "", "start_date": BEFORE, "end_date": SESSION}
    assert daily(pro, ts_code="302132.SZ", **span)["ts_code"].to_list() == ["302132.SZ"] * 2
    assert len(daily(pro, ts_code=old, **span)) == 0
    assert old not in daily(pro)["ts_code"]


@pytest.mark.parametrize("rows", [0, 10])
def test_a_history_that_is_short(sandbox: Rehearsal, pro: DataApi, rows: int) -> None:
    code = daily(pro)["ts_code"][0]
    span = {"ts_code": code, "trade_date": "", "start_date": "20260105", "end_date": SESSION}
    true = daily(pro, **span)
    sandbox.order_fault("short_history", api="daily", rows=rows)
    assert daily(pro, **span).equals(true.head(rows)) if rows else len(daily(pro, **span)) == 0


def calendar(pro: DataApi, **params: object) -> dict[str, int]:
    answer = pro.trade_cal(**({"start_date": "20260901", "end_date": "20261231"} | params))
    return dict(zip(answer["cal_date"], answer["is_open"], strict=True))


def test_calendars_that_lie(sandbox: Rehearsal, pro: DataApi) -> None:
    true = calendar(pro)
    sandbox.order_fault("all_closed", api="trade_cal")
    assert set(calendar(pro).values()) == {0}
    sandbox.order_fault("holiday_open", api="trade_cal")
    lie = calendar(pro)
    assert {day for day in true if lie[day] != true[day]} == {"20261007"}
    sandbox.order_fault("session_closed", api="trade_cal")
    lie = calendar(pro)
    assert {day for day in true if lie[day] != true[day]} == {"20261118"}
    sandbox.order_fault("session_closed", api="trade_cal", day="20261103")
    assert "20261103" not in calendar(pro, is_open="1")
    assert calendar(pro) == true


def test_a_code_that_was_withdrawn_stands_in_the_list(sandbox: Rehearsal, pro: DataApi) -> None:
    sandbox.order_fault("withdrawn_code", times=None)
    (row,) = pro.stock_basic(exchange="", list_status="D").query("ts_code == 'T00018.SH'").to_dict("records")
    assert row["symbol"] == "T00018"
    assert "T00018.SH" not in set(pro.stock_basic(exchange="", list_status="L")["ts_code"])


def test_a_name_period_with_and_without_its_end(sandbox: Rehearsal, pro: DataApi) -> None:
    sandbox.order_fault("names_twice", count=3)
    names = pl.from_pandas(pro.namechange())
    twice = names.filter(pl.struct("ts_code", "start_date").is_duplicated())
    assert len(twice) == 6
    assert twice["end_date"].null_count() == 3


def test_a_halt_as_a_whole_day_and_as_a_span(sandbox: Rehearsal, pro: DataApi) -> None:
    sandbox.order_fault("halts_twice", count=2)
    halts = pl.from_pandas(pro.suspend_d(trade_date=SESSION, suspend_type="S"))
    twice = halts.filter(pl.col("ts_code").is_duplicated())
    assert twice["suspend_timing"].to_list().count("09:30-10:30") == len(twice) // 2 > 0


def test_bars_before_the_listing(sandbox: Rehearsal, pro: DataApi) -> None:
    def listed() -> dict[str, str]:
        stocks = pro.stock_basic()
        return dict(zip(stocks["ts_code"], stocks["list_date"], strict=True))

    true = listed()
    sandbox.order_fault("bars_before_listing", api="stock_basic", count=2)
    told = listed()
    assert {code[-2:] for code in true if told[code] != true[code]} == {"BJ"}
    code = max((code for code in true if code.endswith("BJ")), key=lambda code: true[code])
    bars = daily(pro, ts_code=code, trade_date="", start_date=true[code], end_date=told[code])
    assert len(bars.filter(pl.col("trade_date") < told[code])) == 2
    first = bars.row(-1, named=True)
    assert first["pre_close"] > 0


def test_the_list_gives_every_column_that_tushare_documents(pro: DataApi) -> None:
    fields = "ts_code,symbol,name,area,industry,fullname,enname,cnspell,market,exchange,curr_type,list_status,list_date"
    asked = f"{fields},delist_date,is_hs,act_name,act_ent_type"
    stocks = pro.stock_basic(fields=asked)
    assert list(stocks.columns) == asked.split(",")
    assert set(stocks["curr_type"]) == {"CNY"}
    assert set(stocks["is_hs"]) <= {"N", "H", "S"}
