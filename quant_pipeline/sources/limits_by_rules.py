"""A session's price limits counted by the exchanges' rules, out of what is stored: lists, names, bars and factors.

Its rows bear the source `derived`: they stand in for the exchange's own, which overrule them. Of a code whose limit cannot
be known there is no row: an unknown board, a day whose name or mark (ST or not) is not stored where it matters, no price
before.
"""

from __future__ import annotations

import datetime as dt

import polars as pl

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.datasets import PRICE_LIMITS
from quant_pipeline.market.trading_rules import (
    NO_LIMIT,
    delisting_period,
    price_limits,
    session_number,
    st_of_the_day,
)

UNLIMITED_UP, UNLIMITED_DOWN = 99_999.99, 0.01
"""What stands for no limit at all, as in Tushare's rows."""
# Per listed code: the bar of the session, the last close before it with that day's factor, the factor, the name and the ST mark
# of the day.
KNOWN = """
SELECT
    listing.ts_code, listing.list_date, listing.delist_date, listing.name AS name_today, marked.is_st, bar.pre_close AS said,
    former.close, then_known.adj_factor AS former_factor, now_known.adj_factor, named.name, named.start_date AS named_since
FROM stock_list AS listing
LEFT JOIN daily_kline AS bar ON bar.ts_code = listing.ts_code AND bar.trade_date = %(session)s
LEFT JOIN special_treatment AS marked ON marked.ts_code = listing.ts_code AND marked.trade_date = %(session)s
LEFT JOIN LATERAL (
    SELECT trade_date, close FROM daily_kline AS each
    WHERE each.ts_code = listing.ts_code AND each.trade_date < %(session)s ORDER BY trade_date DESC LIMIT 1
) AS former ON true
LEFT JOIN adj_factor AS then_known ON then_known.ts_code = listing.ts_code AND then_known.trade_date = former.trade_date
LEFT JOIN adj_factor AS now_known ON now_known.ts_code = listing.ts_code AND now_known.trade_date = %(session)s
LEFT JOIN LATERAL (
    SELECT name, start_date FROM name_history AS each
    WHERE each.ts_code = listing.ts_code AND each.start_date <= %(session)s ORDER BY start_date DESC LIMIT 1
) AS named ON true
WHERE listing.list_date <= %(session)s AND (listing.delist_date IS NULL OR listing.delist_date > %(session)s)
"""


def counted(known: pl.DataFrame, session: dt.date, calendar: Calendar) -> pl.DataFrame:
    """price_limits of the session, of the rows of KNOWN. pre_close is the bar's; else the last close, adjusted for an ex-date
    by the two factors."""
    day = pl.col("trade_date")
    moved = (pl.col("close") * pl.col("former_factor") / pl.col("adj_factor")).round(2)
    rows = known.with_columns(trade_date=pl.lit(session)).with_columns(
        pre_close=pl.coalesce("said", moved),
        is_st=st_of_the_day(),
        session=session_number(pl.col("list_date"), day, calendar),
        delisting_session=pl.when(delisting_period(pl.col("name"))).then(session_number(pl.col("named_since"), day, calendar)),
    )
    limited = price_limits(rows).drop_nulls(["limit_rule", "pre_close"])
    free = pl.col("limit_rule") == NO_LIMIT
    return limited.with_columns(
        up_limit=pl.when(free).then(UNLIMITED_UP).otherwise(pl.col("up_limit")),
        down_limit=pl.when(free).then(UNLIMITED_DOWN).otherwise(pl.col("down_limit")),
    ).select(PRICE_LIMITS.column_names)
