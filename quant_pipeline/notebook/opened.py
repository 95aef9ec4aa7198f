"""The database that this process's notebook looks at, opened at the first question and kept."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass

from quant_pipeline import settings
from quant_pipeline.language import say
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.resources import opened
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import Snapshot, snapshot
from quant_pipeline.warehouse.lake.files import folder_of

_lock = threading.Lock()
_held: Opened | None = None


@dataclass(frozen=True)
class Opened:
    """A database, and for which settings and process it was opened: connections are not carried over a fork."""

    settings: Settings
    process: int
    database: Database

    def calendar(self) -> Calendar:
        """The exchange's calendar, as far as the stored one can be believed."""
        return opened.calendar(self.database)

    def rows(self) -> AbstractContextManager[Snapshot]:
        """The stored rows as they are at this moment, out of the lake where it is current."""
        return snapshot(self.database, folder_of(self.settings))


def current() -> Opened:
    """What the settings of this moment name: they may be changed between two cells.

    Simulated numbers are said to be simulated, once, on stderr.
    """
    global _held
    wanted, process = settings.load(), os.getpid()
    with _lock:
        if _held is None or (_held.settings, _held.process) != (wanted, process):
            _close()
            _held = Opened(wanted, process, opened.database(wanted))
            if wanted.sandboxed:
                print(say("SANDBOX: simulated market, these numbers are made up."), file=sys.stderr)
        return _held


@atexit.register
def _close() -> None:
    """A parent's connections are left alone: they are the parent's."""
    if _held is not None and _held.process == os.getpid():
        _held.database.close()
