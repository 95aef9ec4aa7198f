"""Progress of long work: told as log records, so that a terminal, the Dagster UI and a file all show the same."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

_logger = logging.getLogger(__name__)
_EVERY = 2.0
_BATCH = 500


@dataclass(frozen=True)
class Progress:
    """How far one data set's sync has come. `seconds_left` is None until a pace can be seen."""

    dataset: str
    done: int
    total: int
    rows: int
    failed: int
    rows_per_second: float
    seconds_left: float | None

    def __str__(self) -> str:
        left = f", {self.seconds_left:.0f} s left" if self.seconds_left is not None else ""
        failed = f", {self.failed} failed" if self.failed else ""
        return (
            f"{self.dataset}: {self.done} of {self.total} ({self.done / self.total:.0%}), {self.rows:,} rows, "
            f"{self.rows_per_second:,.0f} rows/s{failed}{left}"
        )


def tell_step(words: str) -> None:
    """Tells what is done where nothing is fetched (checks, screens): a log record that carries `words` (told) as its `step`."""
    _logger.info("%s", words, extra={"step": words})


def tell_ended(dataset: str) -> None:
    """Tells that of a data set's units each is stored or has failed: a log record that names it as its `ended`."""
    _logger.info("%s: all units have had their turn", dataset, extra={"ended": dataset})


class ProgressLog:
    """Tells the progress of `total` units: a log record at INFO every two seconds, every 500 units and at the end, else DEBUG.

    Each record carries the Progress as its attribute `progress`.
    """

    def __init__(self, dataset: str, total: int) -> None:
        self._dataset, self._total = dataset, total
        self._done = self._rows = self._failed = 0
        self._started = self._told = time.monotonic()

    def add(self, *, rows: int, failed: bool) -> None:
        """Counts one unit."""
        self._done += 1
        self._rows += rows
        self._failed += failed
        now = time.monotonic()
        spent = max(now - self._started, 1e-9)
        left = spent / self._done * (self._total - self._done) if spent > 1 else None
        progress = Progress(self._dataset, self._done, self._total, self._rows, self._failed, self._rows / spent, left)
        due = now - self._told >= _EVERY or self._done % _BATCH == 0 or self._done == self._total
        if due:
            self._told = now
        _logger.log(logging.INFO if due else logging.DEBUG, "%s", progress, extra={"progress": progress})
