"""Presence: how other processes, on this machine or another, know that one is still alive.

A process holds a PostgreSQL advisory lock on a connection of its own for as long as it lives. However it ends (kill -9,
a power cut, a cut cable), the server drops the connection and the lock with it. What a dead process held is then free.
"""

from __future__ import annotations

import datetime as dt
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
_SIGN = """
SELECT application_name, backend_start FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid = %s AND objid = %s
  AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

ALIVE = f"""EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND classid = {_CLASS}
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND objid = presence::oid
)"""
"""SQL: whether the process of a row with the column `presence` still lives."""


class Taken(RuntimeError):
    """A place that one process of all may hold is held by another; the text says by whom, and what to do."""


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

    def show(self, words: str) -> None:
        """Lets others read these words (63 letters at most) beside the places that this presence holds."""
        self._connection.execute("SELECT set_config('application_name', %s, false)", (words,))

    def shown_at(self, place: int) -> str | None:
        """What the holder of the place shows; None when it is free."""
        sign = self.sign_at(place)
        return sign[0] if sign else None

    def sign_at(self, place: int) -> tuple[str, dt.datetime] | None:
        """What the holder of the place shows, and since when it lives; None when the place is free."""
        row = self._connection.execute(_SIGN, (_PLACES, place)).fetchone()
        return (str(row[0]), row[1]) if row else None

    def lasts(self) -> bool:
        """Whether the connection, and with it all that it holds, is still there."""
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def close(self) -> None:
        self._connection.close()
