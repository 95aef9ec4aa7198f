"""The presence of Dagster's daemon: how others know that one works on this database, and where.

Its heartbeats alone do not say: they are half a minute apart, and those of one that has ended look like those of one that
lives. So the daemon's process holds a place, as `ui` does, from its first heartbeat on.
"""

from __future__ import annotations

import psycopg

from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

DAEMON_PLACE = 3
"""Its number among the places that one process of all may hold (the sync slot is 1, the UI 2)."""


class DaemonPresence:
    """This process's, where it is a daemon."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._presence: Presence | None = None

    def beat(self) -> None:
        """Takes the place, or takes it again where the server was away. Where another daemon has it, that one keeps it."""
        if self._presence is not None and self._presence.lasts():
            return
        presence = Presence(self._database.connect())
        if presence.claim(DAEMON_PLACE):
            presence.show(presence.process)
            self._presence = presence
        else:
            presence.close()


def running_daemon(connection: psycopg.Connection) -> str | None:
    """The daemon of this database as host:pid; None when there is none."""
    presence = Presence(connection)
    try:
        return presence.shown_at(DAEMON_PLACE)
    finally:
        presence.close()
