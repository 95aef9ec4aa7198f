"""The user's own lists of codes: read, and changed in one transaction each. What is there already stays as it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from quant_pipeline.language import say
from quant_pipeline.market.datasets import WATCHLISTS
from quant_pipeline.market.search import Named
from quant_pipeline.market.watchlists import WatchlistError, unknown
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.table_changes import EVERY_YEAR, noting

LONGEST_NAME = 40
_SEPARATORS = frozenset(",，、:;|/\\\"'`")
"""Not in a name: a universe is written as watchlist:NAME, several with commas between."""
_ALL = "SELECT watchlist, ts_code, name, place, origin, added_on FROM watchlists ORDER BY watchlist, place, ts_code"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('quant.watchlists'), hashtext(%s))"
_LAST = "SELECT coalesce(max(place), 0) FROM watchlists WHERE watchlist = %s"
_ADD = """
INSERT INTO watchlists (watchlist, ts_code, name, place, origin, added_on, source)
VALUES (%s, %s, %s, %s, %s, %s, 'user') ON CONFLICT (watchlist, ts_code) DO NOTHING
"""
_REMOVE = "DELETE FROM watchlists WHERE watchlist = %s AND ts_code = ANY(%s) RETURNING ts_code"


@dataclass(frozen=True)
class Item(Named):
    """A code of a list, as it is kept."""

    place: int
    origin: str
    added_on: dt.date


@dataclass(frozen=True)
class Changed:
    """What a change did, in codes."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


def lists(database: Database) -> dict[str, list[Item]]:
    """Every list with its codes in their order, by name."""
    with database.connect() as connection:
        rows = connection.execute(_ALL).fetchall()
    found: dict[str, list[Item]] = {}
    for watchlist, code, name, place, origin, added_on in rows:
        found.setdefault(watchlist, []).append(Item(code, name or "", place, origin, added_on))
    return found


def one(database: Database, name: str) -> list[Item]:
    """The list of that name. WatchlistError, with those that come near, where there is none."""
    known = lists(database)
    if name.strip() not in known:
        raise unknown(name, known)
    return known[name.strip()]


def usable(name: str) -> str:
    """The name, without blanks around it. WatchlistError for one that could not be written where lists are named."""
    stripped = " ".join(name.split())
    if not stripped or len(stripped) > LONGEST_NAME or not stripped.isprintable() or _SEPARATORS & set(stripped):
        raise WatchlistError(
            say(
                "{name!r} cannot be a watchlist's name: write 1 to {longest} letters, no commas, colons, slashes, quotes",
                name=name,
                longest=LONGEST_NAME,
            )
        )
    return stripped


def add(database: Database, name: str, codes: Iterable[Named], *, origin: str, day: dt.date) -> Changed:
    """Puts the codes at the list's end, in their order; those that stand in it stay where they are. The list is made."""
    name = usable(name)
    with database.connect() as connection, connection.transaction():
        return _added(connection, name, codes, origin, day)


def replace(database: Database, name: str, codes: Sequence[Named], *, origin: str, day: dt.date) -> Changed:
    """Makes the list hold exactly these codes. WatchlistError for none at all: nothing would be left of it."""
    name = usable(name)
    if not codes:
        raise WatchlistError(say("there is no code to put into {name}: it stays as it is", name=name))
    with database.connect() as connection, connection.transaction():
        changed = _added(connection, name, codes, origin, day)
        others = set(_codes(connection, name)) - {each.code for each in codes}
        gone = connection.execute(_REMOVE, (name, sorted(others))).fetchall()
    return Changed(changed.added, tuple(sorted(code for (code,) in gone)), changed.unchanged)


def remove(database: Database, name: str, codes: Sequence[str] | None = None) -> Changed:
    """Takes the codes out of the list; None: the whole list goes. WatchlistError where there is no such list."""
    name = name.strip()
    held = [each.code for each in one(database, name)]
    wanted = held if codes is None else list(dict.fromkeys(codes))
    with database.connect() as connection:
        gone = {code for (code,) in connection.execute(_REMOVE, (name, wanted)).fetchall()}
    return Changed(
        removed=tuple(code for code in wanted if code in gone), unchanged=tuple(code for code in wanted if code not in gone)
    )


def _added(connection: psycopg.Connection[Any], name: str, codes: Iterable[Named], origin: str, day: dt.date) -> Changed:
    connection.execute(_LOCK, (name,))
    place = (connection.execute(_LAST, (name,)).fetchone() or (0,))[0]
    added, unchanged = [], []
    with connection.cursor() as cursor, noting(cursor, WATCHLISTS) as years:
        for each in {each.code: each for each in codes}.values():
            if cursor.execute(_ADD, (name, each.code, each.name or None, place + 1, origin, day)).rowcount:
                place += 1
                added.append(each.code)
            else:
                unchanged.append(each.code)
        if added:
            years.add(EVERY_YEAR)
    return Changed(tuple(added), (), tuple(unchanged))


def _codes(connection: psycopg.Connection[Any], name: str) -> list[str]:
    return [code for (code,) in connection.execute("SELECT ts_code FROM watchlists WHERE watchlist = %s", (name,)).fetchall()]
