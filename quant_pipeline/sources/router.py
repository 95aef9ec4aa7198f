"""The router: asks the sources in the order of their ranking until one gives a whole answer."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import polars as pl

from quant_pipeline.language import marked, told
from quant_pipeline.market.codes import CodeError
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.validation import Checked, SpecError
from quant_pipeline.sources.base import Source, Tally
from quant_pipeline.sources.failures import FailureClass, Implausible, Incomplete, SourceError, Unanswered
from quant_pipeline.sources.known import Known, Line
from quant_pipeline.sources.ranking import Ranking
from quant_pipeline.sources.registry import priority_variable, registered
from quant_pipeline.sources.units import Grain, Unit

Judge = Callable[["pl.DataFrame", Source], Checked]
"""Validates a source's frame; raises Incomplete (or SpecError) for an answer that cannot be taken, Implausible for one that
can only be taken when every source says the same."""
_logger = logging.getLogger(__name__)
KEYS = ("_TOKEN", "_KEY", "_USER", "_PASSWORD")
"""How the settings end that a source knows its user by."""
_STOPS = ".。 "
"""What a source's own sentence may end with: ours goes on with a full stop."""
_NAP = 1.0
_LONGEST_PAUSE = 16.0
_WAITS = marked("No source answers; trying again for up to {seconds:.0f} s: {why}")
_WAITED = marked(
    "No source answered for {seconds:.0f} s: what is left fails at once, and comes with the next run. The sources are still "
    "tried now and then ({why})"
)
_known_to_command: ContextVar[Known | None] = ContextVar("known_to_command", default=None)


@dataclass(frozen=True)
class Answer:
    """A unit's accepted answer, and what it cost. `doubt`: what it contradicts, where every source said the same."""

    source: str
    checked: Checked
    calls: int
    attempts: int
    seconds: float
    doubt: str | None = None


@contextmanager
def one_command() -> Iterator[None]:
    """Within it, routers know what the others have found out: the runs of one command."""
    token = _known_to_command.set(Known())
    try:
        yield
    finally:
        _known_to_command.reset(token)


def left_out(source: Source, error: SourceError) -> str:
    """Has no router of this command ask the source; why, and which setting mends it."""
    if (known := _known_to_command.get()) is not None:
        known.out[source.name, "*"] = error
    return _advice(source, "*", None, error)


def noted(error: SourceError) -> None:
    """Has every router of this command know of a failure that was met outside of them: that no line comes about, say."""
    if (known := _known_to_command.get()) is not None:
        known.failed(error)


class Router:
    """The sources of one sync. It may be shared by threads.

    A permanent failure takes the source (or that API of it) out for the router's life, or that of the command
    (`one_command`), so that a wrong token costs one call, and is told once. Where every source is only resting (an open
    circuit, or no line to it), units wait, for `patience` seconds in a row altogether, of all routers of a command: an outage
    of a minute fails nothing, and one of an hour does not hold up a thousand units, nor each job again. A source that cannot
    be reached is tried now and then.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        ranking: Ranking | None = None,
        *,
        owners: Sequence[Source] = (),
        patience: float = 120.0,
    ) -> None:
        """Without a ranking, the sources' order is the given one.

        `owners`: all sources, where only some are asked: the rows of those that are not asked stay theirs.
        """
        self._sources = tuple(sources)
        self._owners = tuple(owners) or self._sources
        self._ranking = ranking
        self._patience = patience
        shared = _known_to_command.get()
        self._known = Known() if shared is None else shared
        self._busy: Counter[str] = Counter()
        self._failed_over: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Nothing more is asked: units that wait are given up, those under way when their call has ended, within the time
        that its policy allows."""
        self._stopped.set()

    def priority(self, dataset: Dataset) -> tuple[str, ...]:
        """The sources' names, best first, by which rows are owned: neither a passing demotion nor a switch changes it."""
        chosen = self._owners if self._ranking is None else self._ranking.owners(dataset, self._owners)
        return tuple(source.name for source in chosen)

    def serving(self, dataset: Dataset, grain: Grain) -> tuple[Source, ...]:
        """The sources that can be asked for the data set in that grain, best first: not those that are known to refuse."""
        return tuple(
            source
            for source in self.in_use(dataset)
            if source.can_serve(dataset, grain) and self.refusal(source, dataset) is None
        )

    def refusal(self, source: Source, dataset: Dataset) -> str | None:
        """Why a source that serves the data set cannot be asked for it (no token, a permanent failure); None where it can."""
        known = self._known_failure(source, dataset)
        return source.unavailable() if known is None else known.text

    def in_use(self, dataset: Dataset) -> tuple[Source, ...]:
        """The sources that are switched on, best first for the data set."""
        return tuple(self._sources if self._ranking is None else self._ranking.order(dataset, self._sources))

    def not_in_use(self, dataset: Dataset) -> list[str]:
        """The sources that serve the data set and are switched off, left out, or not to be had (no token, say)."""
        usable = {
            source.name
            for source in self.in_use(dataset)
            if dataset.name in source.servings and self.refusal(source, dataset) is None
        }
        every = registered().sources
        return [name for name, source in every.items() if dataset.name in source.servings and name not in usable]

    def concurrency(self, dataset: Dataset, grain: Grain) -> int:
        """How many units may be fetched at once: from all sources together, for each may be busy with other units."""
        return sum(source.policy(dataset).concurrency for source in self.serving(dataset, grain)) or 1

    def could_have(self, dataset: Dataset, ts_code: str) -> bool:
        """Whether any source in use that has not failed for good has rows of that code at all."""
        return any(
            dataset.name in source.servings and not _lacks(source, dataset, ts_code) and self.refusal(source, dataset) is None
            for source in self.in_use(dataset)
        )

    def fetch(
        self,
        dataset: Dataset,
        unit: Unit,
        judge: Judge,
        *,
        without: Collection[str] = (),
        shared_by: Collection[str] = (),
    ) -> Answer:
        """The unit's rows from the first source that gives a whole answer; Unanswered names every source's reason.

        The sources named in `without`, and those that cannot have the unit, are not asked. Of those named in `shared_by`, all
        of which can have the whole unit, the first that is not busy is asked first: a long plan is shared out over them, each
        at its own pace. An implausible answer is taken when all that could be asked say the same.
        """
        tally, attempts = Tally(stopped=self._stopped), 0
        while True:
            failures: list[SourceError] = []
            unasked: list[str] = []
            doubtful: list[tuple[Source, Implausible]] = []
            with self._ordered(dataset, unit, without, shared_by) as sources:
                for source in sources:
                    if self._stopped.is_set():
                        raise Unanswered(f"{dataset.name} {unit}", failures, calls=tally.calls, attempts=attempts)
                    if not self.can_have(source, dataset, unit):
                        unasked.append(source.name)
                        continue
                    calls = tally.calls
                    tried, outcome = self._try(source, dataset, unit, judge, tally)
                    attempts += tried
                    if isinstance(outcome, SourceError):
                        failures.append(outcome)
                        if source.local:  # a look at what is stored that brought nothing is no call: it is made every second
                            tally.calls = calls
                        if isinstance(outcome.__cause__, Implausible):
                            doubtful.append((source, outcome.__cause__))
                        continue
                    self._known.answered(source.name, source.servings[dataset.name].api)
                    self._note_failovers(dataset, unit, failures, source)
                    return Answer(source.name, outcome, tally.calls, attempts, tally.seconds)
            if _all_say_so(doubtful):
                source, doubt = doubtful[0]
                assert isinstance(doubt.answer, Checked)
                return Answer(source.name, doubt.answer, tally.calls, attempts, tally.seconds, doubt=str(doubt))
            rest = self._rest(failures)
            if rest is None:
                failures = failures or self._refusals(dataset, unit.grain)
                raise Unanswered(f"{dataset.name} {unit}", failures, unasked=unasked, calls=tally.calls, attempts=attempts)
            self._nap(rest)

    def _refusals(self, dataset: Dataset, grain: Grain) -> list[SourceError]:
        """Why the sources that serve the data set so are not asked at all."""
        serving = [source for source in self.in_use(dataset) if source.can_serve(dataset, grain)]
        known = [(source, self._known_failure(source, dataset), source.unavailable()) for source in serving]
        return [
            error or SourceError(FailureClass.PERMANENT_SOURCE, source.name, "*", why or "")
            for source, error, why in known
            if error is not None or why is not None
        ]

    def _note_failovers(self, dataset: Dataset, unit: Unit, failures: Sequence[SourceError], answered: Source) -> None:
        """Records that the next source answered: once per data set and source that failed."""
        for failure in failures:
            with self._lock:
                new = (dataset.name, failure.source) not in self._failed_over
                self._failed_over.add((dataset.name, failure.source))
            if new and self._ranking is not None:
                reason = told(
                    "{dataset} {unit}: {source} answered instead ({why})",
                    dataset=dataset.name,
                    unit=unit,
                    source=answered.name,
                    why=failure.text,
                )
                self._ranking.record_failover(failure.source, failure.api, reason)

    @contextmanager
    def _ordered(
        self, dataset: Dataset, unit: Unit, without: Collection[str], shared_by: Collection[str]
    ) -> Iterator[list[Source]]:
        """The sources to ask, in order; the first of them counts as busy for as long as the block lasts."""
        sources = [source for source in self.serving(dataset, unit.grain) if source.name not in without]
        with self._lock:
            idle = (
                source
                for source in sources
                if source.name in shared_by and self._busy[source.name] < source.policy(dataset).concurrency
            )
            first = next(idle, None) or (sources[0] if sources else None)
            if first is not None:
                sources.remove(first)
                sources.insert(0, first)
                self._busy[first.name] += 1
        try:
            yield sources
        finally:
            if first is not None:
                with self._lock:
                    self._busy[first.name] -= 1

    def can_have(self, source: Source, dataset: Dataset, unit: Unit) -> bool:
        """Whether the source has the unit's code, and the unit itself yet: if not, it is not asked."""
        if unit.ts_code is not None and _lacks(source, dataset, unit.ts_code):
            return False
        return source.reaches(dataset, unit)

    def _try(
        self, source: Source, dataset: Dataset, unit: Unit, judge: Judge, tally: Tally
    ) -> tuple[int, Checked | SourceError]:
        """Asks one source, again where its answer was empty; how often, and its good answer or last failure."""
        policy = source.policy(dataset)
        attempt = 0
        while True:
            attempt += 1
            try:
                return attempt, self._ask(source, dataset, unit, judge, tally)
            except SourceError as error:
                doubtful = isinstance(error.__cause__, Implausible)  # it would say the same again: the next is asked
                if doubtful or error.failure is not FailureClass.EMPTY or attempt > policy.retries:
                    return attempt, error
            self._nap(min(policy.backoff * 2 ** (attempt - 1), _LONGEST_PAUSE))
            if self._stopped.is_set():
                return attempt, SourceError(FailureClass.EMPTY, source.name, source.servings[dataset.name].api, "stopped")

    def _nap(self, seconds: float) -> None:
        """Waits; not any longer when it is stopped."""
        self._stopped.wait(seconds)

    def _rest(self, failures: Sequence[SourceError]) -> float | None:
        """Seconds to wait until a resting source may be asked again; None when waiting is no use, or was long enough."""
        wait = self._known.wait(failures, self._patience)
        if wait is None:
            return None
        if wait.news:
            text = _WAITED if wait.seconds is None else _WAITS
            _logger.warning(told(text, seconds=wait.total, why="; ".join(map(str, failures))))
        return None if wait.seconds is None else min(wait.seconds, _NAP)

    def _ask(self, source: Source, dataset: Dataset, unit: Unit, judge: Judge, tally: Tally) -> Checked:
        api = source.servings[dataset.name].api
        known = self._known_failure(source, dataset)
        if known is not None:
            raise known
        tally.once = self._known.line(source.name, api) is Line.TRIED
        try:
            frame = source.fetch(dataset, unit, tally)
            if not source.local:
                self._known.reached(source.name)
        except SourceError as error:
            self._known.failed(error)
            if error.failure is FailureClass.PERMANENT_SOURCE:
                self._leave_out(source, "*", dataset, error)
            elif error.failure is FailureClass.PERMANENT_API:
                self._leave_out(source, api, dataset, error)
            raise
        try:
            return judge(frame, source)
        except (Incomplete, SpecError) as error:
            source.disown(tally)
            raise SourceError(FailureClass.EMPTY, source.name, api, str(error)) from error
        except Exception as error:
            # Whatever an answer does to us is its source's failure for this unit: the next is asked, and the run goes on.
            _logger.debug("%s %s could not be judged", dataset.name, unit, exc_info=True)
            source.disown(tally)
            text = told("its answer cannot be read: {error}", error=" ".join(str(error).split())[:300])
            raise SourceError(FailureClass.EMPTY, source.name, api, text) from None

    def _leave_out(self, source: Source, api: str, dataset: Dataset, error: SourceError) -> None:
        """From now on it is not asked in this run; the first time, says so and which setting mends it."""
        with self._lock:
            new = (source.name, api) not in self._known.out
            self._known.out[source.name, api] = error
        if new:
            _logger.warning(_advice(source, api, dataset, error))

    def _known_failure(self, source: Source, dataset: Dataset) -> SourceError | None:
        """The permanent failure of the source, or of the API that serves the data set."""
        out = self._known.out
        return out.get((source.name, "*")) or out.get((source.name, source.servings[dataset.name].api))


def _advice(source: Source, api: str, dataset: Dataset | None, error: SourceError) -> str:
    off = priority_variable(source.name)
    ends = str(error).rstrip(_STOPS)
    if api != "*" and dataset is not None:
        return told(
            "{error}. It is not asked for {dataset} again in this run: the next source is; where there is none, "
            "QUANT_WITHOUT={dataset} leaves it out",
            error=ends,
            dataset=dataset.name,
        )
    keys = [field.alias for field in source.settings.model_fields.values() if field.alias and field.alias.endswith(KEYS)]
    if not keys:
        return told("{error}. It is not asked again in this run. {off}=0 leaves it out", error=ends, off=off)
    return told(
        "{error}. It is not asked again in this run. Look at {settings} in .env; {off}=0 leaves it out",
        error=ends,
        settings=", ".join(keys),
        off=off,
    )


def _lacks(source: Source, dataset: Dataset, ts_code: str) -> bool:
    """Whether the source has no rows of the code; nobody has any of a text that is no code."""
    try:
        return source.lacks(dataset, ts_code)
    except CodeError:
        return True


def _all_say_so(doubtful: Sequence[tuple[Source, Implausible]]) -> bool:
    """Whether doubtful answers are to be believed, where no source said anything better.

    What can hardly be true is; what cannot be true only on two sources' word. Where they claim different things nobody is.
    """
    agreed = all(doubt.claim == doubtful[0][1].claim for _, doubt in doubtful)
    return agreed and (len(doubtful) > 1 or any(not doubt.impossible for _, doubt in doubtful))
