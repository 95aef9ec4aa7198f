"""One sync at a time: the slot that `run`, `sync` and the daily job share, over processes and machines."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from psycopg.rows import dict_row

from quant_pipeline.language import told
from quant_pipeline.market import clock
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence, Taken

_PLACE = 1
_logger = logging.getLogger(__name__)


class SyncRunning(Taken):
    """Another sync holds the slot; the text says which, since when and what to do."""


class SyncSlot:
    """The slot, seen by one process. A process that dies, however, gives it back (see Presence)."""

    def __init__(self, database: Database, presence: Presence, *, nap: Callable[[float], None] = time.sleep) -> None:
        self._database = database
        self._presence = presence
        self._nap = nap

    def take(self, *, queue: bool) -> None:
        """Takes the slot; when it is taken, waits for it (`queue`) or raises SyncRunning."""
        announced = False
        while not self._presence.claim(_PLACE):
            if not queue:
                raise SyncRunning(told("{who}. Wait for it, or queue behind it with --force.", who=self._who()))
            if not announced:
                _logger.info(told("Queued: {who}", who=self._who()))
                announced = True
            self._nap(1.0)

    def give_back(self) -> None:
        self._presence.leave(_PLACE)

    def busy(self) -> str | None:
        """Who holds the slot now, in words; None when it is free."""
        return self._who() if self._presence.holder(_PLACE) is not None else None

    def _who(self) -> str:
        holder = self._presence.holder(_PLACE)
        with self._database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            run = cursor.execute(
                "SELECT id, trigger, process, started_at FROM sync_runs WHERE presence = %s ORDER BY started_at DESC LIMIT 1",
                (holder,),
            ).fetchone()
        if run is None:
            return told("Another sync is just starting")
        return told(
            "Another sync is running: {trigger} (run {run}, process {process}, since {since:%H:%M:%S})",
            trigger=run["trigger"],
            run=run["id"][:8],
            process=run["process"],
            since=run["started_at"].astimezone(clock.EXCHANGE_ZONE),
        )
