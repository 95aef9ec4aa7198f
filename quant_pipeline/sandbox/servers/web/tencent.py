"""Tencent's daily K-lines, a year or two in an answer. Its volumes: 股 for STAR codes, 手 for all others; amounts in 万元."""

from __future__ import annotations

import orjson

from quant_pipeline.market.codes import CodeError, parse
from quant_pipeline.sandbox.simulation.interface import Market

_EVERY_ROW = 100_000


def trends(market: Market, symbol: str) -> tuple[bytes, int]:
    """web.ifzq…/weekTrends: of which AKShare reads the first day of a symbol's history."""
    listed = market.frame("stock_basic", {"ts_code": _ts_code(symbol), "list_status": "L,D"}, 1)
    days = [f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in listed["list_date"]]
    return b"trend_qfq=" + orjson.dumps({"code": 0, "msg": "", "data": [[day, "1.00"] for day in days]}), len(days)


def bars(market: Market, variable: str, param: str) -> tuple[bytes, int]:
    """proxy.finance…/newfqkline/get?param=sz000001,day,2025-01-01,2026-12-31,640,: unadjusted bars, oldest first."""
    symbol, _, start, end, *_ = [*param.split(","), "", "", "", ""]
    span = {"ts_code": _ts_code(symbol), "start_date": start.replace("-", ""), "end_date": end.replace("-", "")}
    rows = market.frame("daily", span, _EVERY_ROW).reverse()
    in_shares = symbol.startswith("sh688")
    lines = [
        [
            f"{day[:4]}-{day[4:6]}-{day[6:]}",
            *(f"{price:.3f}" for price in (opened, close, high, low)),
            f"{vol * (100 if in_shares else 1):.3f}",
            {},
            "0.00",
            f"{amount / 10:.4f}",
            "",
        ]
        for day, opened, close, high, low, vol, amount in rows.select(
            "trade_date", "open", "close", "high", "low", "vol", "amount"
        ).iter_rows()
    ]
    data = {symbol: {"day": lines, "qt": {}, "prec": "0.00", "version": "16"}}
    return f"{variable}=".encode() + orjson.dumps({"code": 0, "msg": "", "data": data}), len(lines)


def _ts_code(symbol: str) -> str:
    try:
        return parse(symbol)
    except CodeError:
        return symbol
