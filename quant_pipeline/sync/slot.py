"""One sync at a time: the slot that `run`, `sync` and the daily job share, over processes and machines."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from psycopg.rows import dict_row

from quant_pipeline.language import told
from quant_pipeline.market import clock
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence, Taken

_PLACE = 1
_turn = threading.Lock()
_shared: dict[str, tuple[Presence, int]] = {}
"""Call of a command -> its sign of life, and how many of its runs go on."""
_logger = logging.getLogger(__name__)


class SyncRunning(Taken):
    """Another sync holds the slot; the text says which, since when and what to do."""


@contextmanager
def held(database: Database, command: str | None, *, queue: bool, trigger: str = "") -> Iterator[Presence]:
    """A sign of life that holds the slot while the block lasts; `queue` as SyncSlot.take has it.

    Runs of one `command` (an id of one call of it) that go on at once in this process share both. `trigger`: what others
    read of it until its first run is in the books.
    """
    if command is None:
        with closing(Presence(database.connect())) as presence:
            SyncSlot(database, presence).take(queue=queue)
            yield presence
        return
    with _turn:
        if command not in _shared:
            presence = Presence(database.connect())
            try:
                if trigger:
                    presence.show(trigger)
                SyncSlot(database, presence).take(queue=queue)
            except BaseException:
                presence.close()
                raise
            _shared[command] = (presence, 0)
        presence, sharing = _shared[command]
        _shared[command] = (presence, sharing + 1)
    try:
        yield presence
    finally:
        with _turn:
            presence, sharing = _shared.pop(command)
            if sharing > 1:
                _shared[command] = (presence, sharing - 1)
            else:
                presence.close()


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
                raise self._refusal(self._who())
            if not announced:
                _logger.info(told("Queued: {who}", who=self._who()))
                announced = True
            self._nap(1.0)

    def give_back(self) -> None:
        self._presence.leave(_PLACE)

    def demand_free(self) -> None:
        """Raises SyncRunning when another holds the slot, before anything is made that could only fail."""
        if (busy := self.busy()) is not None:
            raise self._refusal(busy)

    def busy(self) -> str | None:
        """Who holds the slot now, in words; None when it is free."""
        return self._who() if self._presence.holder(_PLACE) is not None else None

    @staticmethod
    def _refusal(who: str) -> SyncRunning:
        return SyncRunning(told("{who}. Wait for it to end, or use `sync --force` to queue behind it.", who=who))

    def _who(self) -> str:
        holder = self._presence.holder(_PLACE)
        with self._database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            run = cursor.execute(
                "SELECT coalesce(command_id, id) AS command, trigger, process, started_at FROM sync_runs WHERE presence = %s "
                "ORDER BY started_at DESC LIMIT 1",
                (holder,),
            ).fetchone()
        if run is None:
            return self._who_plans()
        return told(
            "Another sync is running: {trigger} (run {run}, process {process}, since {since:%H:%M:%S})",
            trigger=run["trigger"],
            run=run["command"][:8],
            process=run["process"],
            since=run["started_at"].astimezone(clock.EXCHANGE_ZONE),
        )

    def _who_plans(self) -> str:
        """Who holds the slot and has no run in the books yet: a command that counts what it is to fetch."""
        sign = self._presence.sign_at(_PLACE)
        if sign is None:  # it ended between two looks
            return told("Another sync is just starting")
        words, since = sign
        return told(
            "Another sync is running: {trigger} (it makes its plan, since {since:%H:%M:%S})",
            trigger=words,
            since=since.astimezone(clock.EXCHANGE_ZONE),
        )
