"""The presence of runs: how others know that the process which carries a run out is still there.

As `presence`, but named after the run: whoever has the run's id can ask. The process holds one advisory lock for each of its
runs, on a connection of its own; when it ends, however, PostgreSQL lets go of them. When the server itself was away, the
locks are taken again within seconds: so a run counts as dead only when its lock is missing twice, a while apart.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg

from quant_pipeline.warehouse.presence import CLASS_OF_RUNS

if TYPE_CHECKING:
    from quant_pipeline.warehouse.database import Database

_PULSE = 2.0
"""Seconds between two looks of a process at its own connection."""
_GRACE = 3 * _PULSE
"""Seconds that a process has to take its locks again after its connection, or the server, was lost."""
_LOCK = "SELECT pg_advisory_lock_shared(%s, %s)"
_UNLOCK = "SELECT pg_advisory_unlock_shared(%s, %s)"
_HELD = """
SELECT objid::bigint FROM pg_locks
WHERE locktype = 'advisory' AND granted AND classid = %(class)s AND objid = ANY(%(numbers)s::bigint[]::oid[])
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_logger = logging.getLogger(__name__)


class RunPresence:
    """This process's runs. `begin` before others can see that the run goes on, `end` when they can see that it has ended."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = threading.Lock()
        self._runs: set[str] = set()
        self._connection: psycopg.Connection[Any] | None = None

    def begin(self, run: str) -> None:
        """DatabaseError when the database cannot be reached: a run that could not be seen to live does not start."""
        with self._turn:
            if self._connection is None:
                self._connection = self._database.connect(autocommit=True)
                threading.Thread(target=self._keep, name="run-presence", daemon=True).start()
            self._runs.add(run)
            try:
                self._connection.execute(_LOCK, (CLASS_OF_RUNS, number_of(run)))
            except psycopg.OperationalError:  # the server was away since the last look
                self._take_again()

    def end(self, run: str) -> None:
        """Of a run of another process, nothing happens."""
        with self._turn:
            if run not in self._runs:
                return
            self._runs.discard(run)
            if self._connection is None:
                return
            with suppress(psycopg.Error):  # the lock went with its connection
                self._connection.execute(_UNLOCK, (CLASS_OF_RUNS, number_of(run)))
            if not self._runs:
                self._connection.close()
                self._connection = None

    def _keep(self) -> None:
        """Looks after the connection for as long as there are runs."""
        while True:
            time.sleep(_PULSE)
            with self._turn:
                if self._connection is None:
                    return
                try:
                    self._connection.execute("SELECT 1")
                except psycopg.Error:
                    self._take_again()

    def _take_again(self) -> None:
        try:
            connection = self._database.connect(autocommit=True)
            for run in self._runs:
                connection.execute(_LOCK, (CLASS_OF_RUNS, number_of(run)))
            self._connection = connection
        except (RuntimeError, psycopg.Error) as error:
            _logger.warning("the database is away; runs of this process cannot be seen to live: %s", error)


def dead(database: Database, runs: Collection[str]) -> set[str]:
    """Those of the runs, all of which have begun, whose process is gone. It waits a while before it says so of any."""
    missing = _missing(database, runs)
    if missing:
        time.sleep(_GRACE)
        missing = _missing(database, missing)
    return missing


def number_of(run: str) -> int:
    """The run's number among the locks."""
    return int.from_bytes(hashlib.sha256(run.encode()).digest()[:4], "big") >> 1


def _missing(database: Database, runs: Collection[str]) -> set[str]:
    if not runs:
        return set()
    with database.connect() as connection:
        values = {"class": CLASS_OF_RUNS, "numbers": [number_of(run) for run in runs]}
        held = {number for (number,) in connection.execute(_HELD, values).fetchall()}
    return {run for run in runs if number_of(run) not in held}
