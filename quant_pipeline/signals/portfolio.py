"""The paper portfolio after a session: what became of its orders, what it holds and risks, what it trades next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg

from quant_pipeline.language import of_messages, say, speaking
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, INDEX_DAILY, PORTFOLIO_RISK, STOCK_LIST
from quant_pipeline.signals.account import Account, account
from quant_pipeline.signals.ordering import Holding, Order, orders_to
from quant_pipeline.signals.resolution import BUY, SELL
from quant_pipeline.signals.rules import OfPortfolio, Rules
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read, read_sql
from quant_pipeline.warehouse.upsert import Upserted, replace_rows

# What a holding stands against in the router (bought though held, sold though not) is told there; here it does no harm.
_WANTED = """
SELECT decision.ts_code, decision.direction, decision.strategy
FROM signal_decisions AS decision JOIN signals AS signal USING (trade_date, strategy, ts_code, direction)
WHERE decision.decided_on = %(session)s
  AND (decision.decision = 'accepted' OR decision.conflict IN ('held', 'not_held'))
ORDER BY signal.priority, signal.strength DESC, decision.ts_code
"""
_FORMER = "SELECT alerts FROM portfolio_risk WHERE trade_date < %(session)s ORDER BY trade_date DESC LIMIT 1"
_CLEAR = ("DELETE FROM portfolio_orders WHERE trade_date = %s", "DELETE FROM portfolio_positions WHERE trade_date = %s")
_ORDER = """
INSERT INTO portfolio_orders (trade_date, ts_code, side, shares, price, weight, strategy, reason, status)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_POSITION = """
INSERT INTO portfolio_positions (trade_date, ts_code, name, industry, shares, price, value, weight, cost)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_OUTCOME = """
UPDATE portfolio_orders SET filled = %s, status = %s, outcome = %s
WHERE trade_date = %s AND ts_code = %s AND side = %s AND (filled, status, outcome) IS DISTINCT FROM (%s, %s, %s)
"""
_NOT_TRADED = """
UPDATE portfolio_orders SET status = 'refused', outcome = 'halted'
WHERE trade_date < %(session)s AND status = 'planned'
"""
"""Of a code that has had no bar since: the replay does not know it."""
_SEPARATOR = "; "


@dataclass(frozen=True)
class Followed:
    """A session's portfolio as it was written. `row`: that of portfolio_risk · `alerts`: figure -> sentence · `new`: those that
    were not beyond their thresholds in the session before · `passed_over`: buys for which there was no place."""

    session: dt.date
    row: Mapping[str, Any]
    positions: pl.DataFrame
    orders: Sequence[Order]
    alerts: Mapping[str, str]
    new: Mapping[str, str]
    passed_over: int
    written: Upserted


def held(database: Database, calendar: Calendar, session: dt.date, rules: OfPortfolio) -> frozenset[str] | None:
    """The codes that the portfolio holds after the session; None before its first order."""
    if (
        read_sql(database, "SELECT count(*) FROM portfolio_orders WHERE trade_date < %(session)s", {"session": session}).item()
        == 0
    ):
        return None
    return frozenset(account(database, calendar, session, rules).positions["ts_code"])


def follow(database: Database, calendar: Calendar, rules: Rules, session: dt.date) -> Followed:
    """Values the portfolio after the session, decides its orders for the next, and writes both in one transaction.

    A session that is followed again replaces its own rows; later sessions keep theirs, and are followed again one after
    another where they shall agree with it. PortfolioError where the weights cannot be had: nothing is written.
    """
    from quant_pipeline.signals.weights import target_weights  # numpy, of every process that knows the assets

    settings = rules.portfolio
    with speaking(of_messages()):
        now = account(database, calendar, session, settings)
        holdings = {
            code: Holding(shares, price)
            for code, shares, price in now.positions.select("ts_code", "shares", "price").iter_rows()
        }
        wanted = read_sql(database, _WANTED, {"session": session})
        chosen, whose, passed_over = _chosen(holdings, wanted, settings.max_positions)
        codes = sorted({*chosen, *holdings})
        names, industries, prices = _known(database, codes, session)
        returns = _returns(database, calendar, codes, session, settings.lookback)
        targets = target_weights(chosen, returns, industries, settings)
        orders = orders_to(
            targets,
            holdings,
            prices,
            equity=now.total,
            cash=now.cash,
            drift=settings.drift,
            limit=settings.max_weight,
            day=session,
        )
        row, alerts = _row(database, calendar, rules, session, now, holdings, returns, industries, orders)
    former = read_sql(database, _FORMER, {"session": session})
    known = set() if former.is_empty() else {each.partition(" ")[0] for each in (former.item() or "").split(_SEPARATOR)}
    shown = now.positions.with_columns(
        name=pl.col("ts_code").replace_strict(names, default=None, return_dtype=pl.String),
        industry=pl.col("ts_code").replace_strict(industries, default=None, return_dtype=pl.String),
        weight=pl.col("value") / now.total * 100,
    )
    frame = pl.DataFrame([row], schema={column.name: column.type.polars for column in PORTFOLIO_RISK.columns})
    with database.connect() as connection, connection.transaction():
        written = replace_rows(connection, PORTFOLIO_RISK, frame, where={"trade_date": session})
        _write(connection, session, now, shown, orders, whose)
    new = {name: words for name, words in alerts.items() if name not in known}
    return Followed(session, row, shown, orders, alerts, new, passed_over, written)


def _chosen(
    holdings: Mapping[str, Holding], wanted: pl.DataFrame, most: int
) -> tuple[list[str], dict[tuple[str, str], str], int]:
    """What is to be held: what is held and not sold, then what is bought, in the signals' order, as far as there are places."""
    whose = {(code, way): strategy for code, way, strategy in wanted.iter_rows()}
    sold = {code for code, way in whose if way == SELL}
    kept = [code for code in holdings if code not in sold]
    bought = [code for code, way in whose if way == BUY and code not in holdings]
    places = max(0, most - len(kept))
    return [*kept, *bought[:places]], whose, max(0, len(bought) - places)


def _known(
    database: Database, codes: Sequence[str], session: dt.date
) -> tuple[dict[str, str], dict[str, str], dict[str, float]]:
    """Names, industries, and the closes of the session."""
    if not codes:
        return {}, {}, {}
    listed = read(database, STOCK_LIST, codes=codes, columns=["ts_code", "name", "industry"])
    quotes = read(database, DAILY_KLINE, start=session, end=session, codes=codes, columns=["ts_code", "close"])
    names = {code: name for code, name, _ in listed.iter_rows() if name}
    return names, {code: industry for code, _, industry in listed.iter_rows() if industry}, dict(quotes.iter_rows())


def _returns(database: Database, calendar: Calendar, codes: Sequence[str], session: dt.date, lookback: int) -> pl.DataFrame:
    """trade_date, and a column of daily returns (adjusted closes) per code."""
    window = calendar.window(session, lookback + 1)
    days = pl.DataFrame({"trade_date": window[1:]}, schema={"trade_date": pl.Date})
    if not codes:
        return days
    bars = read(database, DAILY_KLINE, start=window[0], end=session, codes=codes, columns=["ts_code", "trade_date", "close"])
    factors = read(database, ADJ_FACTOR, start=window[0], end=session, codes=codes)
    closes = bars.join(factors, on=["ts_code", "trade_date"]).sort("ts_code", "trade_date")
    price = pl.col("close") * pl.col("adj_factor")
    moved = closes.with_columns(moved=(price / price.shift(1) - 1).over("ts_code")).drop_nulls("moved")
    if moved.is_empty():
        return days
    wide = moved.pivot("ts_code", index="trade_date", values="moved")
    return days.join(wide, on="trade_date", how="left").sort("trade_date")


def _index(database: Database, calendar: Calendar, code: str, session: dt.date, lookback: int) -> pl.Series | None:
    window = calendar.window(session, lookback + 1)
    rows = read(database, INDEX_DAILY, start=window[0], end=session, codes=[code], columns=["trade_date", "close"])
    if rows.is_empty():
        return None
    days = pl.DataFrame({"trade_date": window}, schema={"trade_date": pl.Date})
    closes = days.join(rows, on="trade_date", how="left").sort("trade_date")["close"]
    return (closes / closes.shift(1) - 1)[1:]


def _row(
    database: Database,
    calendar: Calendar,
    rules: Rules,
    session: dt.date,
    now: Account,
    holdings: Mapping[str, Holding],
    returns: pl.DataFrame,
    industries: Mapping[str, str],
    orders: Sequence[Order],
) -> tuple[dict[str, Any], dict[str, str]]:
    from quant_pipeline.signals.risk import passed, risk_of  # numpy, too

    weights = {code: each.value / now.total for code, each in holdings.items()}
    index = _index(database, calendar, rules.benchmark, session, rules.portfolio.lookback)
    risk = risk_of(weights, returns.drop("trade_date"), index, industries)
    curve = pl.concat([pl.Series([rules.portfolio.capital]), now.equity["equity"]])
    figures = {
        "exposure": risk.exposure,
        "var_95": risk.var_95,
        "drawdown": (now.total / float(curve.max()) - 1) * 100,  # type: ignore[arg-type]
        "largest_weight": risk.largest_weight,
        "industry_weight": risk.industry_weight,
        "beta": risk.beta,
    }
    alerts = passed(figures, rules.risk)
    row = figures | {
        "trade_date": session,
        "equity": now.total,
        "cash": now.cash,
        "positions": len(holdings),
        "day_return": (float(curve[-1]) / float(curve[-2]) - 1) * 100,
        "total_return": (now.total / rules.portfolio.capital - 1) * 100,
        "var_99": risk.var_99,
        "shortfall_95": risk.shortfall_95,
        "sessions": risk.sessions,
        "largest": risk.largest,
        "concentration": risk.concentration,
        "industry": risk.industry,
        "orders": sum(each.shares > 0 for each in orders),
        "alerts": _SEPARATOR.join(alerts.values()) or None,
    }
    return row, alerts


def _write(
    connection: psycopg.Connection[Any],
    session: dt.date,
    now: Account,
    positions: pl.DataFrame,
    orders: Sequence[Order],
    whose: Mapping[tuple[str, str], str],
) -> None:
    for statement in _CLEAR:
        connection.execute(statement, (session,))
    with connection.cursor() as cursor:
        cursor.executemany(
            _ORDER,
            [
                (session, each.ts_code, each.side, each.shares, each.price, each.weight * 100,
                 whose.get((each.ts_code, each.side)), each.reason, "planned" if each.shares else "none")
                for each in orders
            ],
        )  # fmt: skip
        columns = ["ts_code", "name", "industry", "shares", "price", "value", "weight", "cost"]
        cursor.executemany(_POSITION, [(session, *row) for row in positions.select(columns).iter_rows()])
        cursor.executemany(
            _OUTCOME,
            [
                (filled, status, reason, day, code, side, filled, status, reason)
                for day, code, side, filled, status, reason in now.outcomes.iter_rows()
            ],
        )
        cursor.execute(_NOT_TRADED, {"session": session})


def worth(row: Mapping[str, Any]) -> str:
    """The portfolio in a line."""
    return say(
        "{equity} 元, {positions} positions, {exposure} invested, today {day}, in all {total}",
        equity=f"{row['equity']:,.2f}",
        positions=row["positions"],
        exposure=f"{row['exposure']:.1f}%",
        day="–" if row["day_return"] is None else f"{row['day_return']:+.2f}%",
        total=f"{row['total_return']:+.2f}%",
    )
