"""Eastmoney's K-lines of stocks and its quotations of the whole market, as AKShare reads them: vol 手, amount 元."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import polars as pl

from quant_pipeline.market.codes import CodeError, parse
from quant_pipeline.sandbox.tushare_apis import Market

_PERIODS = {"101": "daily", "102": "weekly", "103": "monthly"}
_EVERY_ROW = 100_000
_LONGEST_PAGE = 100
_NOTHING = "-"


def ts_code_of(secid: str) -> str:
    """The ts_code of eastmoney's secid (1.600000, 0.000001, 0.920001); the secid itself where it is none."""
    _, _, digits = secid.partition(".")
    try:
        return parse(digits)
    except CodeError:
        return secid


def bars(market: Market, ts_code: str, asked: Mapping[str, str]) -> tuple[bytes, int]:
    """push2his…/api/qt/stock/kline/get: unadjusted bars from `beg` to `end`; `data` is null for an unknown code."""
    api = _PERIODS.get(asked.get("klt", "101"), "daily")
    span = {"ts_code": ts_code, "start_date": asked.get("beg", ""), "end_date": asked.get("end", "")}
    names = market.frame("stock_basic", {"ts_code": ts_code, "list_status": "L,D"}, 1)
    if names.is_empty():
        return orjson.dumps({"rc": 100, "rt": 17, "svr": 0, "lt": 1, "full": 0, "data": None}), 0
    rows = market.frame(api, span, _EVERY_ROW).reverse()
    lines = [
        f"{day[:4]}-{day[4:6]}-{day[6:]},{opened:.2f},{close:.2f},{high:.2f},{low:.2f},{vol:.0f},{amount * 1000:.2f},"
        f"{(high - low) / pre * 100:.2f},{change / pre * 100:.2f},{change:.2f},0.00"
        for day, opened, close, high, low, vol, amount, pre, change in rows.select(
            "trade_date", "open", "close", "high", "low", "vol", "amount", "pre_close", "change"
        ).iter_rows()
    ]
    digits, suffix = ts_code.split(".")
    about = {"code": digits, "market": int(suffix == "SH"), "name": names["name"][0], "decimal": 2, "dktotal": len(lines)}
    return orjson.dumps({"rc": 0, "rt": 17, "svr": 0, "lt": 1, "full": 0, "data": {**about, "klines": lines}}), len(lines)


def spot(market: Market, asked: Mapping[str, str]) -> tuple[bytes, int]:
    """82.push2…/api/qt/clist/get: a page (`pn`, of `pz` up to 100) of the latest session's quotations of all stocks."""
    stocks = _quoted(market).sort("f12")
    size = min(int(asked.get("pz", 100)), _LONGEST_PAGE)
    page = stocks.slice((int(asked.get("pn", 1)) - 1) * size, size)
    fields = sorted({name for name in asked.get("fields", "").split(",") if name}, key=lambda name: int(name[1:]))
    rows: list[dict[str, Any]] = [
        {name: _NOTHING if row.get(name) is None else row[name] for name in fields} for row in page.to_dicts()
    ]
    data = {"total": len(stocks), "diff": rows} if rows else None
    return orjson.dumps({"rc": 0, "rt": 6, "svr": 0, "lt": 1, "full": 1, "data": data}), len(rows)


def _quoted(market: Market) -> pl.DataFrame:
    """Every listed stock; a suspended one has no prices but its last close."""
    newest = market.frame("daily", {}, 1)
    day = newest["trade_date"][0]
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
