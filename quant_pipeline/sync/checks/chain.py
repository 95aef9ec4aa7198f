"""Prices and factors: pre_close, the close before and the adjustment factor must tell the same story."""

from __future__ import annotations

from collections.abc import Callable

from quant_pipeline.sync.checks.base import Check, Scope, Verdict, by_queries

# A bar's last one is looked for as far back as this: longer halts are not judged.
_BARS = """
WITH bars AS (
    SELECT ts_code, trade_date, pre_close, nullif(adj_factor, 0) AS adj_factor,
           lag(close) OVER code AS last_close, lag(adj_factor) OVER code AS last_factor
    FROM {bars} JOIN {factors} USING (ts_code, trade_date)
    WHERE trade_date BETWEEN %(start)s::date - 120 AND %(end)s
    WINDOW code AS (PARTITION BY ts_code ORDER BY trade_date)
), chain AS (
    SELECT *, last_close * last_factor / adj_factor AS expected, greatest(1.1 * {tick}, 0.002 * pre_close) AS tolerance
    FROM bars WHERE trade_date >= %(start)s
)
"""
_COUNT = "SELECT count(*) AS n FROM chain WHERE expected IS NOT NULL"
_BROKEN = """
SELECT ts_code, trade_date, pre_close, round(expected::numeric, 3)::float8 AS expected FROM chain
WHERE abs(pre_close - expected) > tolerance
ORDER BY trade_date, ts_code
"""
# A jump that is worth more than the tolerance moves pre_close by a tick at least.
_JUMPS = """
SELECT ts_code, trade_date, last_factor, adj_factor, last_close, pre_close,
       CASE WHEN abs(pre_close - last_close) > tolerance THEN 'an ex-date without a new factor'
            ELSE 'a new factor without an ex-date' END AS found
FROM chain
WHERE (abs(last_close - expected) > tolerance AND abs(pre_close - last_close) < 0.5 * {tick})
   OR (abs(pre_close - last_close) > tolerance AND abs(adj_factor / last_factor - 1) < 1e-6)
ORDER BY trade_date, ts_code
"""


def _judge(bars: str, factors: str, tick: float, offending: str, what: str) -> Callable[[Scope], Verdict]:
    names = {"bars": bars, "factors": factors, "tick": tick}
    chain = _BARS.format(**names)
    return lambda scope: by_queries(scope, chain + offending.format(**names), chain + _COUNT, what)


_BREAK = "pre_close break the chain of close and adj_factor"

PRE_CLOSE_CHAIN = Check(
    "pre_close_chain",
    "昨收与复权因子一致",
    "pre_close = last close x last factor / factor: no gap, no spliced adjustment, no missed ex-date.",
    _judge("daily_kline", "adj_factor", 0.01, _BROKEN, _BREAK),
)
ETF_CHAIN = Check(
    "pre_close_chain",
    "昨收与复权因子一致",
    "pre_close = last close x last factor / factor, for funds that pay out or split.",
    _judge("etf_daily", "etf_adj", 0.001, _BROKEN, _BREAK),
    warns=True,
)
FACTOR_JUMPS = Check(
    "factor_jumps_on_ex_dates",
    "因子仅在除权日变动",
    "The factor changes between two bars if, and only if, the second one's pre_close is not the first one's close.",
    _judge("daily_kline", "adj_factor", 0.01, _JUMPS, "bars and factors do not agree on an ex-date"),
)
