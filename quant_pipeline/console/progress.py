"""The terminal's progress display, drawn from the engine's progress records: the data set under way, and the whole."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from quant_pipeline.console.words import duration
from quant_pipeline.language import say, say_many
from quant_pipeline.retelling import retold
from quant_pipeline.sync.plan import Plan
from quant_pipeline.sync.progress import Progress as SyncProgress

_ALIKE = 3
"""Notices of one kind about one data set that are shown."""
_MESSAGES = "quant_pipeline.notify."
_SILENCE = 5.0
"""Seconds without a line after which it is told, where there is no terminal, what is done while nothing is fetched."""
_PACE_AFTER = 3.0
"""Seconds after which a pace can be seen."""


class Whole:
    """How far all of a command has come. What was planned is corrected by what each data set says when it begins."""

    def __init__(
        self,
        plans: Sequence[Plan],
        uncounted: Sequence[str] = (),
        beside: Collection[str] = (),
        last: Sequence[Collection[str]] = (),
    ) -> None:
        """`uncounted`: data sets that come as well, and whose units are not known before others are there · `beside`: those
        that are fetched beside the others, not after them · `last`: those that come after them, group beside group."""
        self._uncounted, self._beside, self._last = set(uncounted), beside, last
        self._units: dict[str, int] = {}
        self._minutes: dict[str, float] = {}
        for plan in plans:
            self._units[plan.dataset.name] = self._units.get(plan.dataset.name, 0) + len(plan.units)
            self._minutes[plan.dataset.name] = self._minutes.get(plan.dataset.name, 0.0) + plan.minutes
        self._now: dict[str, SyncProgress] = {}
        self._done: dict[str, int] = {}
        self._begun: float | None = None
        self._seen_at = 0.0
        self.step = ""
        """What is done in between, in words, while nothing is fetched; "" while something is."""

    def seen(self, at: SyncProgress) -> None:
        """Takes a progress record in. A data set may come in several plans, one after the other."""
        self._seen_at, self.step = time.monotonic(), ""
        self._begun = self._begun or self._seen_at
        self._uncounted.discard(at.dataset)
        former = self._now.get(at.dataset)
        if former is not None and at.done <= former.done:  # a further plan of the same data set
            self._done[at.dataset] = self._done.get(at.dataset, 0) + former.done
        self._now[at.dataset] = at
        self._units[at.dataset] = max(self._units.get(at.dataset, 0), self._done.get(at.dataset, 0) + at.total)

    @property
    def done(self) -> int:
        return sum(self._done.values()) + sum(each.done for each in self._now.values())

    @property
    def total(self) -> int:
        return sum(self._units.values())

    @property
    def uncounted(self) -> str:
        """In words, the data sets that are not counted yet; "" where all are."""
        return say("{datasets} not counted yet", datasets=", ".join(sorted(self._uncounted))) if self._uncounted else ""

    @property
    def seconds_left(self) -> float | None:
        """Of fetching: what has begun at its own pace, the rest at that of all so far, never below what the sources allow.

        It runs down between two looks, and is None where nothing true can be said: until a pace can be seen, while units are
        not counted, while something else is done, and when what was left has passed.
        """
        since = time.monotonic() - self._seen_at
        left = self._left_when_seen()
        return None if left is None or self._uncounted or self.step or left <= since else left - since

    def _left_when_seen(self) -> float | None:
        spent = self._seen_at - self._begun if self._begun is not None else 0.0
        if spent < _PACE_AFTER or not self.done:
            return None
        pace = spent / self.done
        left = {}
        for name, units in self._units.items():
            at = self._now.get(name)
            if at is None:
                left[name] = max(units * pace, self._minutes.get(name, 0.0) * 60)
            elif at.done < at.total:
                left[name] = (at.total - at.done) * pace if at.seconds_left is None else at.seconds_left
        beside = sum(left.pop(name, 0.0) for name in self._beside)
        last = max((sum(left.pop(name, 0.0) for name in group) for group in self._last), default=0.0)
        return max(beside, sum(left.values()) + last)

    def __str__(self) -> str:
        left = self.seconds_left
        text = say("all: {done:,} of {total:,} units", done=self.done, total=self.total)
        text += f" ({self.uncounted})" if self._uncounted else ""
        return text if left is None else text + say(", {time} left to fetch", time=duration(left))


class _Told(ProgressColumn):
    """What is told behind a bar: of the whole, what is left at this moment."""

    def render(self, task: Task) -> Text:
        whole: Whole | None = task.fields["whole"]
        if whole is None:
            return Text.from_markup(task.fields["told"])
        left = whole.seconds_left
        now = whole.step if left is None else say("{time} left to fetch", time=duration(left))
        return Text(f"{whole.uncounted} {now}".strip())


class _Bars(logging.Handler):
    """A bar for the data set under way, one for the whole; what is done becomes a line above them."""

    def __init__(self, display: Progress, whole: Whole) -> None:
        super().__init__(logging.DEBUG)
        self._display = display
        self._whole = whole
        self._bars: dict[str, TaskID] = {}
        self._all = display.add_task(say("all"), total=whole.total or None, told="", whole=whole)

    def emit(self, record: logging.LogRecord) -> None:
        _take_step(record, self._whole)
        at: SyncProgress | None = getattr(record, "progress", None)
        if at is None:
            return
        self._whole.seen(at)
        if at.dataset not in self._bars:
            self._bars[at.dataset] = self._display.add_task(at.dataset, total=at.total, told="", whole=None)
        told = escape(say_many("{count} row", "{count:,} rows", at.rows))
        if at.failed:
            told += f" [red]{escape(say('{count:,} failed', count=at.failed))}[/]"
        self._display.update(self._bars[at.dataset], completed=at.done, told=told)
        self._display.update(self._all, completed=self._whole.done, total=self._whole.total)
        if at.done == at.total:
            self._display.remove_task(self._bars.pop(at.dataset))
            mark = "[red]✗[/]" if at.failed else "[green]✓[/]"
            self._display.console.print(f"{mark} {at.dataset} {at.done:,}/{at.total:,}", highlight=False)


class _Notices(logging.Handler):
    """Warnings, and what a person waits for (a queue), above the bars. Of a thousand failed units the first three: the
    summary counts them, the ledger and the log file have them all."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console
        self._told: Counter[tuple[object, ...]] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        if any(getattr(record, name, None) is not None for name in ("progress", "plan", "step", "ended")):
            return
        if record.name.startswith(_MESSAGES):  # the summary tells what became of each
            return
        message = record.getMessage()
        subject = getattr(record, "subject", message)
        kind = (record.pathname, record.lineno, subject)
        self._told[kind] += 1
        if self._told[kind] <= _ALIKE:
            self._console.print(retold(message), style="yellow", markup=False, highlight=False)
        elif self._told[kind] == _ALIKE + 1:
            text = say("{subject}: more of the same; the summary counts them", subject=retold(str(subject)))
            self._console.print(text, style="yellow", markup=False, highlight=False)


class _Lines(logging.Handler):
    """Without a terminal: the records that are due, a line each."""

    def __init__(self, console: Console, whole: Whole) -> None:
        super().__init__(logging.DEBUG)
        self._console = console
        self._whole = whole
        self._wrote_at = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        if _take_step(record, self._whole) and time.monotonic() - self._wrote_at >= _SILENCE:
            self._write(f"{self._whole.step} …")
        at: SyncProgress | None = getattr(record, "progress", None)
        if at is None:
            return
        self._whole.seen(at)
        if record.levelno >= logging.INFO:
            failed = f" · {say('{count:,} failed', count=at.failed)}" if at.failed else ""
            told = say_many("{count} row", "{count:,} rows", at.rows) + failed
            self._write(f"{at.dataset} {at.done:,}/{at.total:,} · {told} · {self._whole}")

    def _write(self, line: str) -> None:
        self._wrote_at = time.monotonic()
        self._console.print(line, markup=False, highlight=False)


def _take_step(record: logging.LogRecord, whole: Whole) -> bool:
    """Notes what the record says is done while nothing is fetched; whether it does."""
    step: str | None = getattr(record, "step", None)
    if step is not None:
        whole.step = retold(step)
    return step is not None


@contextmanager
def shown(
    console: Console,
    plans: Sequence[Plan] = (),
    uncounted: Sequence[str] = (),
    beside: Collection[str] = (),
    last: Sequence[Collection[str]] = (),
) -> Iterator[None]:
    """Shows what is under way of the `plans`, and that some data sets are `uncounted`, while the body runs; plain lines where
    the output is no terminal. `beside`, `last`: as `Whole` has them."""
    logger = logging.getLogger("quant_pipeline")
    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        _Told(),
    )
    whole = Whole(plans, uncounted, beside, last)
    with Progress(*columns, console=console, transient=True) as display:
        handlers: list[logging.Handler] = [
            _Bars(display, whole) if console.is_terminal else _Lines(console, whole),
            _Notices(display.console),
        ]
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
