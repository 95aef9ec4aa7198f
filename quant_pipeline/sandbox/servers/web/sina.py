"""Sina's files, as AKShare reads them: packed bars (股, 元) and calendar, share capitals, steps of the factors."""

from __future__ import annotations

import datetime as dt

import orjson
import polars as pl

from quant_pipeline.market.codes import CodeError, parse
from quant_pipeline.sandbox.servers.web.klc import packed_bars, packed_sessions
from quant_pipeline.sandbox.simulation.interface import Market

_EVERY_ROW = 100_000
_ALWAYS = "1900-01-01"
_LEFT_OUT = "19920504"
"""A session that the site's calendar does not have; AKShare adds it."""


def bars(market: Market, symbol: str) -> tuple[bytes, int]:
    """/realstock/company/sz000001/hisdata_klc2/klc_kl.js: every bar of the stock, packed."""
    ts_code = _ts_code(symbol)
    whole = market.frame("daily", {"ts_code": ts_code}, _EVERY_ROW) if ts_code else pl.DataFrame()
    if whole.is_empty():
        return _file(f"KLC_KL_{symbol}", packed_bars([])), 0
    figures = whole.reverse().select(
        pl.col("trade_date").str.to_date("%Y%m%d"),
        *((pl.col(name) * 100).round().cast(pl.Int64) for name in ("open", "high", "low", "close", "vol")),
        (pl.col("amount") * 1000).round().cast(pl.Int64),
    )
    return _file(f"KLC_KL_{symbol}", packed_bars(figures.iter_rows())), len(figures)


def sessions(market: Market) -> tuple[bytes, int]:
    """/realstock/company/klc_td_sh.txt: every session to the end of the year, packed."""
    calendar = market.frame("trade_cal", {"is_open": "1"}, _EVERY_ROW)
    opened = calendar.filter((pl.col("is_open") == 1) & (pl.col("cal_date") != _LEFT_OUT))["cal_date"].str.to_date("%Y%m%d")
    return _file("KLC_TD_SH", packed_sessions(opened.sort().to_list())), len(opened)


def shares(market: Market, symbol: str) -> tuple[bytes, int]:
    """…/StockService.getAmountBySymbol: the float in 万股 at the ends of half-years, which need not be sessions."""
    ts_code = _ts_code(symbol)
    known = market.frame("daily_basic", {"ts_code": ts_code}, _EVERY_ROW) if ts_code else pl.DataFrame()
    data: list[dict[str, str]] = []
    if not known.is_empty():
        days = known.select(date=pl.col("trade_date").str.to_date("%Y%m%d"), amount="float_share").sort("date")
        first, last = days["date"][0], days["date"][-1]
        ends = [dt.date(year, *end) for year in range(first.year, last.year + 1) for end in ((6, 30), (12, 31))]
        told = pl.DataFrame({"date": [first, *(end for end in ends if first < end <= last)]}).join_asof(days, on="date")
        data = [{"date": str(day), "amount": f"{amount:.4f}"} for day, amount in told.reverse().iter_rows()]
    return f"var KKE_ShareAmount_{symbol}=(".encode() + orjson.dumps(data) + b");\n", len(data)


def factors(market: Market, symbol: str, kind: str) -> tuple[bytes, int]:
    """/realstock/company/sz000001/hfq.js (or qfq.js): `var sz000001hfq={"total":2,"data":[{"d":…,"f":…}]}`, newest first.

    hfq: what prices are multiplied with, 1 at the listing · qfq: what they are divided by, 1 today.
    """
    steps = _steps(market, symbol)
    last, first = (steps[0][1], steps[-1][1]) if steps else (1.0, 1.0)
    figures = [(day, factor / first if kind == "hfq" else last / factor) for day, factor in steps]
    data = [{"d": day, "f": f"{figure:.16f}"} for day, figure in figures]
    return f"var {symbol}{kind}=".encode() + orjson.dumps({"total": len(data), "data": data}) + b"\n", len(data)


def _file(variable: str, letters: str) -> bytes:
    return f'var {variable}="{letters}";\n'.encode()


def _steps(market: Market, symbol: str) -> list[tuple[str, float]]:
    ts_code = _ts_code(symbol)
    if ts_code is None:
        return []
    every = market.frame("adj_factor", {"ts_code": ts_code}, _EVERY_ROW).sort("trade_date")
    moved = every.filter(pl.col("adj_factor").ne_missing(pl.col("adj_factor").shift()))
    steps = [
        (f"{day[:4]}-{day[4:6]}-{day[6:]}", factor) for day, factor in moved.select("trade_date", "adj_factor").iter_rows()
    ]
    return [*reversed(steps[1:]), (_ALWAYS, steps[0][1])] if steps else []


def _ts_code(symbol: str) -> str | None:
    """The symbol's ts_code; None for what is none, and for the BSE's, which the site does not have."""
    try:
        ts_code = parse(symbol)
    except CodeError:
        return None
    return None if ts_code.endswith(".BJ") else ts_code
