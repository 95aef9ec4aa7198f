"""Which screen ran for which session: a session without hits and one that was not screened are two things."""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg

_NOTED = """
INSERT INTO screenings (screen, trade_date, hits) VALUES (%s, %s, %s)
ON CONFLICT (screen, trade_date) DO UPDATE SET hits = excluded.hits, finished_at = excluded.finished_at
"""


def note_screening(connection: psycopg.Connection[Any], screen: str, session: dt.date, hits: int) -> None:
    """Writes down, in the caller's transaction, that the screen ran for the session and how many hits it had."""
    connection.execute(_NOTED, (screen, session, hits))
