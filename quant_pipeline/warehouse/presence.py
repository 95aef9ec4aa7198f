"""Presence: how other processes, on this machine or another, know that one is still alive.

A process holds a PostgreSQL advisory lock on a connection of its own for as long as it lives. However it ends (kill -9,
a power cut, a cut cable), the server drops the connection and the lock with it. What a dead process held is then free.
"""

from __future__ import annotations

import os
import secrets
import socket

import psycopg

_CLASS = 0x51504C  # "QPL": our corner of the advisory-lock space

_PLACES = _CLASS + 1
CLASS_OF_RUNS = _CLASS + 2
"""Where the locks of runs stand (see run_presence)."""
_HOLDER = """
SELECT sign.objid::bigint
FROM pg_locks AS held JOIN pg_locks AS sign USING (pid)
WHERE held.locktype = 'advisory' AND held.granted AND held.classid = %(places)s AND held.objid = %(place)s
  AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND sign.locktype = 'advisory' AND sign.classid = %(class)s
"""

ALIVE = f"""EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND classid = {_CLASS}
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND objid = presence::oid
)"""
"""SQL: whether the process of a row with the column `presence` still lives."""


class Presence:
    """This process's sign of life: `id` is its number, `process` its name (host:pid). Ends with `close()` or the process."""

    def __init__(self, connection: psycopg.Connection) -> None:
        """Takes over `connection` (autocommit is switched on) until `close()`."""
        connection.autocommit = True
        self.id = secrets.randbelow(2**31 - 1) + 1
        self.process = f"{socket.gethostname()}:{os.getpid()}"
        self._connection = connection
        connection.execute("SELECT pg_advisory_lock(%s, %s)", (_CLASS, self.id))

    def claim(self, place: int) -> bool:
        """Takes the place, which one process of all may hold, for as long as this presence lasts; False when taken."""
        row = self._connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (_PLACES, place)).fetchone()
        return bool(row and row[0])

    def leave(self, place: int) -> None:
        """Gives the place back."""
        self._connection.execute("SELECT pg_advisory_unlock(%s, %s)", (_PLACES, place))

    def holder(self, place: int) -> int | None:
        """The presence id of whoever holds the place now; None when it is free."""
        row = self._connection.execute(_HOLDER, {"class": _CLASS, "places": _PLACES, "place": place}).fetchone()
        return int(row[0]) if row else None

    def close(self) -> None:
        self._connection.close()
