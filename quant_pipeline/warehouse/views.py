"""Adjusted K-lines (复权行情) for SQL: views over the raw bars and factors, daily, weekly and monthly, hfq and qfq.

They say what `market/adjustment.py` says: hfq = price x factor, qfq = hfq / the code's latest factor in `adj_factor`; a
session without a factor takes the code's last one before it, a code without any gets nulls. Volume and turnover stay as
traded. A week or month is made of adjusted daily bars, so that an ex-date within it splices nothing.

Written for conditions on ts_code or trade_date, which the planner carries down to the tables' indexes. Out of 27 million
bars and as many factors, in memory: one code's 20 years 20 to 60 ms, the whole market's session 10 to 60 ms, its week 70 to
95 ms, its month 0.25 to 0.35 s; a code's first read from disk 1.3 s. They stand on the tables: a revision that drops or
retypes one of these columns drops the views first, and the upgrade makes them again.
"""

from __future__ import annotations

from typing import Any

import psycopg

# Nearly every bar has a factor of its own, and nearly every code one in the latest session: two lookups by the whole key.
# Only for the others is there a search backwards through the sessions, and only where it will find something soon: for
# codes that have any factor, and from their delisting on.
_HAS_FACTORS = "(SELECT true FROM adj_factor known WHERE known.ts_code = bar.ts_code LIMIT 1)"
_OWN_FACTOR = f"""
LEFT JOIN adj_factor own ON own.ts_code = bar.ts_code AND own.trade_date = bar.trade_date
LEFT JOIN LATERAL (
    SELECT factor.adj_factor FROM adj_factor factor
    WHERE own.adj_factor IS NULL AND {_HAS_FACTORS}
      AND factor.ts_code = bar.ts_code AND factor.trade_date < bar.trade_date
    ORDER BY factor.trade_date DESC LIMIT 1
) former ON true"""
_LATEST_FACTOR = f"""
LEFT JOIN adj_factor newest
    ON newest.ts_code = bar.ts_code AND newest.trade_date = (SELECT max(trade_date) FROM adj_factor)
LEFT JOIN stock_list listing ON listing.ts_code = bar.ts_code
LEFT JOIN LATERAL (
    SELECT factor.adj_factor FROM adj_factor factor
    WHERE newest.adj_factor IS NULL AND {_HAS_FACTORS}
      AND factor.ts_code = bar.ts_code AND factor.trade_date <= coalesce(listing.delist_date, 'infinity')
    ORDER BY factor.trade_date DESC LIMIT 1
) final ON true"""
_HFQ = "coalesce(own.adj_factor, former.adj_factor)"
_SCALES = {
    "hfq": (_HFQ, _OWN_FACTOR),
    "qfq": (f"{_HFQ} / coalesce(newest.adj_factor, final.adj_factor)", _OWN_FACTOR + _LATEST_FACTOR),
}
_CHANGES = """
    close - pre_close AS change,
    (close / nullif(pre_close, 0) - 1) * 100 AS pct_chg,"""
_DAILY = """
CREATE OR REPLACE VIEW daily_kline_{how} AS
SELECT ts_code, trade_date, open, high, low, close, pre_close,{changes}
    vol, amount
FROM (
    SELECT
        bar.ts_code, bar.trade_date,
        bar.open * ({scale}) AS open,
        bar.high * ({scale}) AS high,
        bar.low * ({scale}) AS low,
        bar.close * ({scale}) AS close,
        bar.pre_close * ({scale}) AS pre_close,
        bar.vol, bar.amount
    FROM daily_kline bar {joins}
) adjusted
"""
# One day without a factor makes the whole period null: extremes of the other days alone would be no week's.
_PERIODIC = """
CREATE OR REPLACE VIEW {period}ly_kline_{how} AS
SELECT ts_code, trade_date, open, high, low, close, pre_close,{changes}
    vol, amount
FROM (
    SELECT
        bar.ts_code, session.label AS trade_date,
        (array_agg(bar.open ORDER BY bar.trade_date))[1] AS open,
        CASE WHEN every(bar.high IS NOT NULL) THEN max(bar.high) END AS high,
        CASE WHEN every(bar.low IS NOT NULL) THEN min(bar.low) END AS low,
        (array_agg(bar.close ORDER BY bar.trade_date DESC))[1] AS close,
        (array_agg(bar.pre_close ORDER BY bar.trade_date))[1] AS pre_close,
        sum(bar.vol) AS vol,
        CASE WHEN every(bar.amount IS NOT NULL) THEN sum(bar.amount) END AS amount
    FROM (
        SELECT cal_date, max(cal_date) OVER (PARTITION BY date_trunc('{period}', cal_date::timestamp)) AS label
        FROM trade_calendar
        WHERE exchange = 'SSE' AND is_open = 1 AND cal_date <= (SELECT max(trade_date) FROM daily_kline)
    ) session
    JOIN daily_kline_{how} bar ON bar.trade_date = session.cal_date
    GROUP BY bar.ts_code, session.label
) adjusted
"""
_NAMES = {
    "hfq": ("后复权", "Prices x adj_factor: they never change afterwards."),
    "qfq": ("前复权", "Prices x adj_factor / the latest factor: they end at the traded price, and change with each ex-date."),
}
_PERIODS = {
    "daily": ("日线", ""),
    "weekly": ("周线", " Made of adjusted daily bars; labelled with the last session of the week (running: so far)."),
    "monthly": ("月线", " Made of adjusted daily bars; labelled with the last session of the month (running: so far)."),
}
_COMMENT = "COMMENT ON VIEW {period}_kline_{how} IS '{zh}{period_zh}行情,读取时计算,成交量和成交额不复权. {doc}{period_doc}'"


def _definitions() -> tuple[str, ...]:
    statements = []
    for how, (scale, joins) in _SCALES.items():
        statements.append(_DAILY.format(how=how, scale=scale, joins=joins, changes=_CHANGES))
        statements += [_PERIODIC.format(how=how, period=period, changes=_CHANGES) for period in ("week", "month")]
        zh, doc = _NAMES[how]
        statements += [
            _COMMENT.format(period=period, how=how, zh=zh, doc=doc, period_zh=period_zh, period_doc=period_doc)
            for period, (period_zh, period_doc) in _PERIODS.items()
        ]
    return tuple(statements)


DEFINITIONS = _definitions()
"""The statements that make the views, in their order."""


def create_views(connection: psycopg.Connection[Any]) -> None:
    """Makes or replaces the views, in the caller's transaction."""
    for statement in DEFINITIONS:
        connection.execute(statement)
