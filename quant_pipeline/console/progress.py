"""The terminal's progress display, drawn from the engine's progress records."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from quant_pipeline.sync.progress import Progress as SyncProgress


class _Bars(logging.Handler):
    def __init__(self, display: Progress) -> None:
        super().__init__(logging.DEBUG)
        self._display = display
        self._bars: dict[str, TaskID] = {}

    def emit(self, record: logging.LogRecord) -> None:
        at: SyncProgress | None = getattr(record, "progress", None)
        if at is None:
            return
        if at.dataset not in self._bars:
            self._bars[at.dataset] = self._display.add_task(at.dataset, total=at.total, rows="")
        failed = f", [red]{at.failed} failed[/]" if at.failed else ""
        rows = f"{at.rows:,} rows, {at.rows_per_second:,.0f}/s{failed}"
        self._display.update(self._bars[at.dataset], completed=at.done, rows=rows)


class _Notices(logging.Handler):
    """Warnings, and what a person waits for (a queue), above the bars."""

    def __init__(self, display: Progress) -> None:
        super().__init__(logging.INFO)
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "progress", None) is None:
            self._display.console.print(record.getMessage(), style="yellow", markup=False, highlight=False)


@contextmanager
def shown(console: Console) -> Iterator[None]:
    """Shows a bar per data set while the body runs; plain lines where the output is no terminal."""
    logger = logging.getLogger("quant_pipeline")
    columns = (
        TextColumn("{task.description:<14}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rows]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as display:
        handlers: list[logging.Handler] = [_Bars(display), _Notices(display)]
        if not console.is_terminal:
            handlers[0] = _Lines(console)
        before, passed_on = logger.level, logger.propagate
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        for handler in handlers:
            logger.addHandler(handler)
        try:
            yield
        finally:
            for handler in handlers:
                logger.removeHandler(handler)
            logger.setLevel(before)
            logger.propagate = passed_on


class _Lines(logging.Handler):
    """Without a terminal: the records that are due, a line each."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "progress", None) is not None:
            self._console.print(record.getMessage(), markup=False, highlight=False)
