"""Eastmoney's K-lines of stocks and its quotations of the whole market, as AKShare reads them: vol 手, amount 元."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import orjson
import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.market.codes import CodeError, parse
from quant_pipeline.sandbox.simulation.interface import Market

_PERIODS = {"101": "daily", "102": "weekly", "103": "monthly"}
_EVERY_ROW = 100_000
_LONGEST_PAGE = 100
_NOTHING = "-"
_LOOK_BACK = dt.timedelta(days=90)
"""How far before an answer the close is looked for from which its first change is counted."""


def ts_code_of(secid: str) -> str:
    """The ts_code of eastmoney's secid (1.600000, 0.000001, 0.920001); the secid itself where it is none."""
    _, _, digits = secid.partition(".")
    try:
        return parse(digits)
    except CodeError:
        return secid


def bars(market: Market, ts_code: str, asked: Mapping[str, str]) -> tuple[bytes, int]:
    """push2his…/api/qt/stock/kline/get: unadjusted bars (fqt=0) from `beg` to `end`, with the week or month that is running.

    Changes are counted from the close before as it was, on ex-dates too. `data` is null for an unknown code.
    """
    names = market.frame("stock_basic", {"ts_code": ts_code, "list_status": "L,D"}, 1)
    if names.is_empty():
        return orjson.dumps({"rc": 100, "rt": 17, "svr": 0, "lt": 1, "full": 0, "data": None}), 0
    begin, end = asked.get("beg", ""), asked.get("end", "")
    lines = [
        f"{day[:4]}-{day[4:6]}-{day[6:]},{opened:.2f},{close:.2f},{high:.2f},{low:.2f},{vol:.0f},{amount * 1000:.2f},"
        f"{(high - low) / before * 100:.2f},{(close / before - 1) * 100:.2f},{close - before:.2f},0.00"
        for day, opened, close, high, low, vol, amount, before in _rows(market, ts_code, asked.get("klt", "101"), begin, end)
        .filter(pl.col("trade_date").is_between(pl.lit(begin), pl.lit(end)))
        .iter_rows()
    ]
    digits, suffix = ts_code.split(".")
    about = {"code": digits, "market": int(suffix == "SH"), "name": names["name"][0], "decimal": 2, "dktotal": len(lines)}
    return orjson.dumps({"rc": 0, "rt": 17, "svr": 0, "lt": 1, "full": 0, "data": {**about, "klines": lines}}), len(lines)


def _rows(market: Market, ts_code: str, klt: str, begin: str, end: str) -> pl.DataFrame:
    """The bars, oldest first: trade_date, open, close, high, low, vol, amount, and `before`, the close before as it was."""
    rows = market.frame(_PERIODS[klt], {"ts_code": ts_code, "start_date": begin, "end_date": end}, _EVERY_ROW).reverse()
    running = _running(market, ts_code, klt)
    if running.height:
        rows = pl.concat([rows, running.select(rows.columns)])
    first = dt.datetime.strptime(begin, "%Y%m%d")  # noqa: DTZ007  (a day has no zone)
    since, until = f"{first - _LOOK_BACK:%Y%m%d}", f"{first - dt.timedelta(days=1):%Y%m%d}"
    earlier = market.frame(_PERIODS[klt], {"ts_code": ts_code, "start_date": since, "end_date": until}, 1)
    last = pl.lit(earlier["close"][0]) if earlier.height else pl.col("pre_close")
    before = pl.col("close").shift().fill_null(last)
    return rows.select("trade_date", "open", "close", "high", "low", "vol", "amount", before=before)


def _running(market: Market, ts_code: str, klt: str) -> pl.DataFrame:
    """The bar of the week or month that is not over, under its last day so far; no row where it is over, or has no bar."""
    today = clock.today()
    first = {"102": today - dt.timedelta(days=today.weekday()), "103": today.replace(day=1)}.get(klt)
    if first is None:
        return pl.DataFrame()
    since = {"ts_code": ts_code, "start_date": f"{first:%Y%m%d}"}
    days = market.frame("daily", since, _EVERY_ROW).reverse()
    if days.is_empty() or market.frame(_PERIODS[klt], since, 1).height:
        return pl.DataFrame()
    ends = pl.col("trade_date", "close").last()
    starts, sums = pl.col("ts_code", "open", "pre_close").first(), pl.col("vol", "amount").sum()
    figures = days.select(ends, starts, sums, pl.col("high").max(), pl.col("low").min())
    return figures.with_columns(change=pl.lit(0.0), pct_chg=pl.lit(0.0))


def spot(market: Market, asked: Mapping[str, str]) -> tuple[bytes, int]:
    """82.push2…/api/qt/clist/get: a page (`pn`, of `pz` up to 100) of the latest session's quotations of all stocks."""
    stocks = _quoted(market).sort("f12")
    size = min(int(asked.get("pz", 100)), _LONGEST_PAGE)
    page = stocks.slice((int(asked.get("pn", 1)) - 1) * size, size)
    wanted = {name for name in asked.get("fields", "").split(",") if name}
    if "f128" in wanted:
        wanted |= {"f140", "f141"}  # these come along unasked, and AKShare counts on them
    fields = sorted(wanted, key=lambda name: int(name[1:]))
    rows: list[dict[str, Any]] = [
        {name: _NOTHING if row.get(name) is None else row[name] for name in fields} for row in page.to_dicts()
    ]
    data = {"total": len(stocks), "diff": rows} if rows else None
    return orjson.dumps({"rc": 0, "rt": 6, "svr": 0, "lt": 1, "full": 1, "data": data}), len(rows)


def _quoted(market: Market) -> pl.DataFrame:
    """Every listed stock; one that does not trade has no prices but its last close."""
    newest = market.frame("daily", {}, 1)
    day = newest["trade_date"][0] if newest.height else ""
    names = market.frame("stock_basic", {"list_status": "L"}, _EVERY_ROW).select("ts_code", f14="name")
    return names.join(market.frame("daily", {"trade_date": day}, _EVERY_ROW), on="ts_code", how="left").select(
        f2="close",
        f3=((pl.col("close") / pl.col("pre_close") - 1) * 100).round(2),
        f4="change",
        f5=pl.col("vol").cast(pl.Int64),
        f6=(pl.col("amount") * 1000).round(2),
        f12=pl.col("ts_code").str.head(6),
        f13=pl.col("ts_code").str.ends_with("SH").cast(pl.Int64),
        f14="f14",
        f15="high",
        f16="low",
        f17="open",
        f18="pre_close",
    )
