"""Sina's factor files, as AKShare reads them: the newest step first, the oldest on 1900-01-01."""

from __future__ import annotations

import orjson
import polars as pl

from quant_pipeline.market.codes import CodeError, parse
from quant_pipeline.sandbox.tushare_apis import Market

_EVERY_ROW = 100_000
_ALWAYS = "1900-01-01"


def factors(market: Market, symbol: str, kind: str) -> tuple[bytes, int]:
    """/realstock/company/sz000001/hfq.js (or qfq.js): `var sz000001hfq={"total":2,"data":[{"d":…,"f":…}]}`.

    hfq: what prices are multiplied with, 1 at the listing · qfq: what they are divided by, 1 today.
    """
    steps = _steps(market, symbol)
    last, first = (steps[0][1], steps[-1][1]) if steps else (1.0, 1.0)
    figures = [(day, factor / first if kind == "hfq" else last / factor) for day, factor in steps]
    data = [{"d": day, "f": f"{figure:.16f}"} for day, figure in figures]
    return f"var {symbol}{kind}=".encode() + orjson.dumps({"total": len(data), "data": data}) + b"\n", len(data)


def _steps(market: Market, symbol: str) -> list[tuple[str, float]]:
    try:
        ts_code = parse(symbol)
    except CodeError:
        return []
    every = market.frame("adj_factor", {"ts_code": ts_code}, _EVERY_ROW).sort("trade_date")
    moved = every.filter(pl.col("adj_factor").ne_missing(pl.col("adj_factor").shift()))
    steps = [
        (f"{day[:4]}-{day[4:6]}-{day[6:]}", factor) for day, factor in moved.select("trade_date", "adj_factor").iter_rows()
    ]
    return [*reversed(steps[1:]), (_ALWAYS, steps[0][1])] if steps else []
