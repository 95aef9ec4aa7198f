"""When what comes last has its turn: as soon as what it is judged by is fetched, beside the checks and screens of that."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")


class Turn(logging.Handler):
    """Comes when of each data set all units have had their turn, or at the latest when what syncs them has ended."""

    def __init__(self, datasets: Collection[str]) -> None:
        super().__init__()
        self._awaited = set(datasets)
        self._come = threading.Event()
        if not self._awaited:
            self._come.set()

    def emit(self, record: logging.LogRecord) -> None:
        self._awaited.discard(getattr(record, "ended", ""))
        if not self._awaited:
            self._come.set()

    def after(self, work: Callable[[], Result]) -> Result:
        """Waits for the turn, then does the work."""
        self._come.wait()
        return work()

    def at_the_latest_after(self, work: Callable[[], Result]) -> Result:
        """Does the work, whose end is the turn if it has not come before."""
        try:
            return work()
        finally:
            self._come.set()


@contextmanager
def turn_after(datasets: Collection[str]) -> Iterator[Turn]:
    """A turn that listens to what is told of the data sets (`sync.progress.tell_ended`) while the block lasts."""
    logger, turn = logging.getLogger("quant_pipeline"), Turn(datasets)
    logger.addHandler(turn)
    try:
        yield turn
    finally:
        logger.removeHandler(turn)
