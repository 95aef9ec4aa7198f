"""Which screen ran for which session (a session without hits and one that was not screened are two things), and how its hits
differ from those of the session before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

_NOTED = """
INSERT INTO screenings (screen, trade_date, hits) VALUES (%s, %s, %s)
ON CONFLICT (screen, trade_date) DO UPDATE SET hits = excluded.hits, finished_at = excluded.finished_at
"""
_RAN = "SELECT FROM screenings WHERE screen = %s AND trade_date = %s"
_HITS = (
    "SELECT ts_code, coalesce(name, ts_code) FROM screen_results WHERE screen = %s AND trade_date = %s ORDER BY rank, ts_code"
)


@dataclass(frozen=True)
class Compared:
    """Hits beside those of the session before: which codes are new, how many were hits then too, which are gone (code -> name,
    the best first)."""

    new: frozenset[str]
    kept: int
    gone: Mapping[str, str]

    @classmethod
    def of(cls, codes: Iterable[str], former: Mapping[str, str]) -> Compared:
        """`former`: the codes of the session before, with their names."""
        now = frozenset(codes)
        gone = {code: name for code, name in former.items() if code not in now}
        return cls(now - former.keys(), len(now & former.keys()), gone)


def former_hits(connection: psycopg.Connection[Any], screen: str, session: dt.date) -> dict[str, str] | None:
    """Code -> name of the session's hits, the best first; None where the screen did not run for it."""
    if connection.execute(_RAN, (screen, session)).fetchone() is None:
        return None
    return dict(connection.execute(_HITS, (screen, session)).fetchall())


def note_screening(connection: psycopg.Connection[Any], screen: str, session: dt.date, hits: int) -> None:
    """Writes down, in the caller's transaction, that the screen ran for the session and how many hits it had."""
    connection.execute(_NOTED, (screen, session, hits))
