"""Daily bars against those of the session before."""

from __future__ import annotations

import polars as pl

from quant_pipeline.language import marked, told
from quant_pipeline.sync.checks.base import PAGE, Check, Scope, Verdict
from quant_pipeline.warehouse.reads import read_sql

REPEATS_TOLERATED = 0.01
"""Share of the codes whose bar may equal the session before's to the last share: chance gives none."""
FEWEST_CODES = 5
"""Of fewer codes no session is judged: one that hardly trades may do so twice in the same way."""

_REPEATED = """
WITH compared AS (
    SELECT bar.trade_date, pair.before, ts_code, bar.vol > 0 AND
           (bar.open, bar.high, bar.low, bar.close, bar.vol, bar.amount)
           IS NOT DISTINCT FROM (last.open, last.high, last.low, last.close, last.vol, last.amount) AS same
    FROM unnest(%(sessions)s::date[], %(before)s::date[]) AS pair (trade_date, before)
    JOIN {table} AS bar USING (trade_date)
    JOIN {table} AS last USING (ts_code)
    WHERE last.trade_date = pair.before
)
SELECT trade_date, before AS repeats, count(*) AS codes, count(*) FILTER (WHERE same) AS same,
       array_agg(ts_code) FILTER (WHERE same) AS first
FROM compared GROUP BY trade_date, before ORDER BY trade_date
"""


def _no_repeated_session(scope: Scope) -> Verdict:
    query = _REPEATED.format(table=scope.dataset.name)
    counts = []
    for chunk in scope.chunks():
        before = [scope.calendar.shift(session, -1) for session in chunk]
        counts.append(read_sql(scope.database, query, {"sessions": list(chunk), "before": before}))
    if not counts:
        return Verdict(True, marked("no session to look at"))
    compared = pl.concat(counts).filter(pl.col("trade_date") > pl.col("repeats"))
    enough = pl.col("codes") >= FEWEST_CODES
    repeated = compared.filter(enough & (pl.col("same") > pl.max_horizontal(REPEATS_TOLERATED * pl.col("codes"), 1)))
    text = told("{count} of {total} sessions repeat the bars of the one before", count=repeated.height, total=compared.height)
    named = repeated.head(PAGE).with_columns(pl.col("first").list.sort().list.head(5).list.join(", "))
    return Verdict(repeated.is_empty(), text, compared.height, named)


NO_REPEATED_SESSION = Check(
    "no_repeated_session",
    "无重复交易日",
    "No session's bars are those of the session before: a source that answers with yesterday's.",
    _no_repeated_session,
)
