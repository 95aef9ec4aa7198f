"""The user's watchlists beside the market: how each code did last, and what was pushed into groups of 同花顺."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quant_pipeline.overview.screens import last_closes
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.watchlists import Item, lists

_TABLES = {"daily_kline": 1000, "etf_daily": 1000, "cb_daily": 10_000, "index_daily": 1000}
"""Where bars stand -> how many 元 their `amount` counts in; their `vol` is in 手 everywhere."""
_LAST = " UNION ALL ".join(
    f"""
SELECT ts_code, trade_date, open, high, low, close, change, pct_chg, vol, amount * {yuan} FROM (
    SELECT code.ts_code, bar.* FROM unnest(%(codes)s::text[]) AS code (ts_code)
    CROSS JOIN LATERAL (
        SELECT trade_date, open, high, low, close, change, pct_chg, vol, amount FROM {table}
        WHERE {table}.ts_code = code.ts_code AND trade_date > %(since)s ORDER BY trade_date DESC LIMIT 1
    ) AS bar
) AS {table}
"""
    for table, yuan in _TABLES.items()
)
_OLD = dt.timedelta(days=40)
"""How old a last bar may be to be shown."""
_LAST_PUSHED = "SELECT max(trade_date) FROM ths_watchlist"
_PUSHED = """
SELECT account, group_name, origin, ts_code, coalesce(name, '') AS name, action, outcome, said, updated_at
FROM ths_watchlist WHERE trade_date = %s ORDER BY group_name, origin, action, ts_code
"""


@dataclass(frozen=True)
class Last:
    """A code's last bar: prices in 元 (of indexes: points), `vol` in 手, `amount` in 元."""

    trade_date: dt.date
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    change: float | None
    pct_chg: float | None
    vol: float | None
    amount: float | None


@dataclass(frozen=True)
class Group:
    """What was pushed into a group for a session. `became`: outcome -> codes with names · `refused`: why -> the same."""

    account: str
    name: str
    origin: str
    at: dt.datetime
    became: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    refused: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)


def watched(database: Database, latest: dt.date) -> tuple[dict[str, list[Item]], dict[str, Last]]:
    """Every list, and the last bar of every code that has one of the last weeks."""
    known = lists(database)
    return known, last_bars(database, sorted({each.code for items in known.values() for each in items}), latest)


def last_bars(database: Database, codes: Sequence[str], latest: dt.date) -> dict[str, Last]:
    """The last bar of each of these shares, funds, bonds and indexes that has one of the last weeks."""
    if not codes:
        return {}
    with database.connect() as connection:
        rows = connection.execute(_LAST, {"codes": list(codes), "since": latest - _OLD}).fetchall()
    return {code: Last(*bar) for code, *bar in rows}


def lines(database: Database, items: Sequence[Item], latest: dt.date, count: int) -> dict[str, list[float]]:
    """Code -> its last closes, adjusted; of shares alone."""
    return last_closes(database, [each.code for each in items], latest, count)


def pushed(database: Database) -> tuple[dt.date | None, list[Group]]:
    """The last session for which something was pushed, and what."""
    with database.connect() as connection:
        (session,) = connection.execute(_LAST_PUSHED).fetchone() or (None,)
        rows = [] if session is None else connection.execute(_PUSHED, (session,)).fetchall()
    groups: dict[tuple[str, str, str], dict[str, Any]] = {}
    for account, group, origin, code, name, action, outcome, said, at in rows:
        held = groups.setdefault((account, group, origin), {"at": at, "became": {}, "refused": {}})
        held["at"] = max(held["at"], at)
        if outcome == "refused":
            held["refused"].setdefault(said or "", []).append((code, name))
        else:
            became = "there" if outcome in ("there", "gone") else "added" if action == "add" else "removed"
            held["became"].setdefault(became, []).append((code, name))
    return session, [Group(*key, **held) for key, held in groups.items()]
