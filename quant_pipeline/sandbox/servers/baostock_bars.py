"""The simulated exchange's bars as BaoStock gives them: days (suspended ones too), weeks and months, raw and adjusted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import polars as pl

from quant_pipeline.sandbox.servers.baostock_forms import (
    ALL,
    KEYS,
    PRICES,
    chosen,
    dated,
    ready_day,
    span,
    spelled_code,
    to_day,
    to_ts_code,
    without_bse,
)
from quant_pipeline.sandbox.servers.baostock_protocol import PARAMETERS, Refusal
from quant_pipeline.sandbox.simulation.interface import Market

DAILY = (
    *("date", "code", *PRICES, "volume", "amount", "adjustflag", "turn", "tradestatus", "pctChg"),
    *("peTTM", "pbMRQ", "psTTM", "pcfNcfTTM", "isST"),
)
"""The fields of a daily row."""
_PERIOD = ("date", "code", "open", "high", "low", "close", "volume", "amount", "adjustflag", "turn", "pctChg")
_PERIODS = {"w": "1w", "m": "1mo"}
"""The lengths of weeks (from Monday) and months."""


def history(market: Market, params: Mapping[str, str]) -> pl.DataFrame:
    start, end = span(params)
    frequency, flag = params["frequency"], params["adjustflag"]
    if flag not in ("1", "2", "3") or (frequency != "d" and (frequency not in _PERIODS or flag != "3")):
        raise Refusal(PARAMETERS)  # minutes, and adjusted weeks and months, are not simulated
    fields = chosen(params["fields"], DAILY if frequency == "d" else _PERIOD)
    asked = {"ts_code": to_ts_code(params["code"]), "start_date": start, "end_date": end}
    if frequency != "d":
        return _periods(market, _PERIODS[frequency], asked).select(fields)
    if is_index(market, asked["ts_code"]):
        return _index(market, asked).select(fields)
    bars = daily(market, asked)
    return (bars if flag == "3" else _adjusted(market, bars, asked, flag)).select(fields)


def daily(market: Market, asked: Mapping[str, str]) -> pl.DataFrame:
    """The rows of every listed code, oldest first, suspended ones too."""
    listed = market.frame("stk_limit", asked, ALL).select(*KEYS, preclose="pre_close")
    bars = market.frame("daily", asked, ALL).select(*KEYS, "open", "high", "low", "close", "vol", "amount")
    basics = market.frame("daily_basic", asked, ALL).select(*KEYS, "turnover_rate", "pe_ttm", "pb", "ps_ttm")
    rows = without_bse(listed.join(bars, on=KEYS, how="left").join(basics, on=KEYS, how="left"))
    rows = _with_st(market, rows.filter(pl.col("trade_date") <= ready_day()), asked).sort("trade_date", "ts_code")
    trades, pre = pl.col("close").is_not_null(), pl.col("preclose")
    return rows.select(
        *KEYS,
        "preclose",
        *(pl.col(price).fill_null(pre) for price in PRICES[:-1]),
        date=pl.col("trade_date"),
        code=spelled_code(),
        # nothing traded is written as 0 or left empty: both occur in the service's answers
        volume=pl.when(trades | pl.col("ts_code").str.ends_with("SH")).then((pl.col("vol") * 100).fill_null(0.0)),
        amount=pl.when(trades | pl.col("ts_code").str.ends_with("SH")).then((pl.col("amount") * 1000).fill_null(0.0)),
        adjustflag=pl.lit("3"),
        turn="turnover_rate",
        tradestatus=pl.when(trades).then(pl.lit("1")).otherwise(pl.lit("0")),
        pctChg=((pl.col("close") / pre - 1) * 100).fill_null(0.0),
        peTTM="pe_ttm",
        pbMRQ="pb",
        psTTM="ps_ttm",
        pcfNcfTTM=(pl.col("ps_ttm") * 6).round(6),  # nobody else gives it: a steady part of the sales
        isST=pl.when("st").then(pl.lit("1")).otherwise(pl.lit("0")),
    )


def is_index(market: Market, ts_code: str) -> bool:
    """Whether the exchange has an index of that code: 000001.SH is one, 000001.SZ a stock."""
    known = (market.frame("index_basic", {"market": exchange}, ALL)["ts_code"] for exchange in ("SSE", "SZSE"))
    return any(ts_code in codes for codes in known)


def _index(market: Market, asked: Mapping[str, str]) -> pl.DataFrame:
    """An index's rows, oldest first: points for prices, and nothing of what only a stock has."""
    bars = dated(market.frame("index_daily", asked, ALL)).filter(pl.col("trade_date") <= ready_day()).sort("trade_date")
    nothing = pl.lit(None, pl.Float64)
    return bars.select(
        *PRICES[:-1],
        date="trade_date",
        code=spelled_code(),
        preclose="pre_close",
        volume=pl.col("vol") * 100,
        amount=pl.col("amount") * 1000,
        adjustflag=pl.lit("3"),
        turn=nothing,
        tradestatus=pl.lit("1"),
        pctChg="pct_chg",
        **dict.fromkeys(("peTTM", "pbMRQ", "psTTM", "pcfNcfTTM"), nothing),
        isST=pl.lit("0"),
    )


def _with_st(market: Market, rows: pl.DataFrame, asked: Mapping[str, str]) -> pl.DataFrame:
    """The rows with `st`: whether the code's name of the day says ST."""
    of_code = {"ts_code": asked["ts_code"]} if "ts_code" in asked else {}
    names = market.frame("namechange", of_code, ALL).select(
        "ts_code",
        pl.col("start_date").str.to_date("%Y%m%d").alias("trade_date"),
        pl.col("name").str.contains("ST", literal=True).alias("st"),
    )
    rows, names = rows.sort("trade_date"), names.sort("trade_date")
    return rows.join_asof(names, on="trade_date", by="ts_code", check_sortedness=False)


def _adjusted(market: Market, bars: pl.DataFrame, asked: Mapping[str, str], flag: str) -> pl.DataFrame:
    """The bars with the prices that `flag` wants: 1 hfq, 2 qfq."""
    factors = dated(market.frame("adj_factor", asked, ALL))
    latest = market.frame("adj_factor", {"ts_code": asked["ts_code"]}, 1)["adj_factor"].head(1)
    base = 1.0 if flag == "1" or latest.is_empty() else float(latest[0])
    bars = bars.join(factors, on=KEYS, how="left")
    return bars.with_columns((pl.col(price) * pl.col("adj_factor") / base for price in PRICES), adjustflag=pl.lit(flag))


def _periods(market: Market, length: str, asked: Mapping[str, str]) -> pl.DataFrame:
    """The weeks or months that are over, under their last sessions; pctChg counts from the close before, ex-dates and all."""
    start, end = to_day(asked["start_date"]), to_day(asked["end_date"])
    began = pl.Series([start]).dt.truncate(length)[0]
    window = {"start_date": began.strftime("%Y%m%d"), "end_date": (end + dt.timedelta(days=31)).strftime("%Y%m%d")}
    sessions = market.frame("trade_cal", {**window, "is_open": "1"}, ALL).select(pl.col("cal_date").str.to_date("%Y%m%d"))
    last = sessions.group_by(pl.col("cal_date").dt.truncate(length).alias("period")).agg(label=pl.col("cal_date").max())
    days = daily(market, {**asked, **window}).filter(pl.col("tradestatus") == "1")
    bars = days.group_by("code", pl.col("date").dt.truncate(length).alias("period"), maintain_order=True).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume", "amount", "turn").sum(),
        pl.col("adjustflag").first(),
        pctChg=((pl.col("close") / pl.col("preclose")).product() - 1) * 100,
    )
    bars = bars.join(last, on="period").rename({"label": "date"})
    return bars.filter(pl.col("date").is_between(start, min(end, ready_day())))
