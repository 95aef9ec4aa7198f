"""A session's signals as a reader sees them: every decision of the day, the paper portfolio after it, how signals fared."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from quant_pipeline.market.datasets import PORTFOLIO_RISK, SIGNAL_STATISTICS
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read, read_sql

# A session whose screens hit nothing has no decision; the portfolio was valued all the same.
_SESSIONS = "SELECT decided_on AS session FROM signal_decisions UNION SELECT trade_date FROM portfolio_risk"
_BESIDE = f"""
SELECT max(session) FILTER (WHERE session < %(session)s) AS earlier, min(session) FILTER (WHERE session > %(session)s) AS later,
       coalesce(bool_or(session = %(session)s), false) AS decided
FROM ({_SESSIONS}) AS known
"""
_DECISIONS = """
SELECT decision.trade_date, strategy, ts_code, direction, decision, decision.conflict, against, decision.policy,
       decision.reason, name, close, strength, priority, valid_until
FROM signal_decisions AS decision LEFT JOIN signals USING (trade_date, strategy, ts_code, direction)
WHERE decision.decided_on = %(session)s
ORDER BY decision <> 'accepted', direction, priority NULLS LAST, strength DESC NULLS LAST, ts_code, strategy
"""
_ORDERS = """
SELECT ts_code, name, side, shares, price, weight, strategy, reason, status, filled, outcome
FROM portfolio_orders LEFT JOIN stock_list USING (ts_code)
WHERE trade_date = %(session)s AND shares > 0 ORDER BY side DESC, weight DESC, ts_code
"""
_POSITIONS = """
SELECT ts_code, name, industry, shares, price, value, weight, cost
FROM portfolio_positions WHERE trade_date = %(session)s ORDER BY weight DESC, ts_code
"""


@dataclass(frozen=True)
class SignalDay:
    """`decisions`: of the day, the accepted first, older signals that are still valid among them · `statistics`: rows of
    signal_statistics · `risk`: the row of portfolio_risk, None before the first · `positions`: held after the close ·
    `orders`: made at the close, for the next session · `earlier`, `later`: the sessions beside it that have any of these ·
    `decided`: whether this one has."""

    session: dt.date
    decisions: pl.DataFrame
    statistics: pl.DataFrame
    risk: Mapping[str, Any] | None
    positions: pl.DataFrame
    orders: pl.DataFrame
    earlier: dt.date | None
    later: dt.date | None
    decided: bool


def latest_day(database: Database) -> dt.date | None:
    """The last session that was decided upon; None before the first."""
    found: dt.date | None = read_sql(database, f"SELECT max(session) AS session FROM ({_SESSIONS}) AS known")["session"][0]
    return found


def signal_day(database: Database, session: dt.date) -> SignalDay:
    """DatabaseError."""
    asked = {"session": session}
    beside = read_sql(database, _BESIDE, asked).row(0, named=True)
    risk = read(database, PORTFOLIO_RISK, start=session, end=session)
    return SignalDay(
        session=session,
        decisions=read_sql(database, _DECISIONS, asked),
        statistics=read(database, SIGNAL_STATISTICS, start=session, end=session).sort("strategy", "direction", "horizon"),
        risk=risk.row(0, named=True) if risk.height else None,
        positions=read_sql(database, _POSITIONS, asked),
        orders=read_sql(database, _ORDERS, asked),
        **beside,
    )
