"""The router: asks the sources in priority order until one gives a whole answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.validation import Checked, SpecError
from quant_pipeline.sources.base import Source, Tally
from quant_pipeline.sources.failures import FailureClass, Incomplete, SourceError, Unanswered
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.units import Grain, Unit

Judge = Callable[[pl.DataFrame], Checked]
"""Validates a frame; raises Incomplete (or SpecError) for an answer that cannot be taken."""


@dataclass(frozen=True)
class Answer:
    """A unit's accepted answer, and what it cost."""

    source: str
    checked: Checked
    calls: int
    attempts: int
    seconds: float


class Router:
    """The sources of one sync, best first. It may be shared by threads.

    A permanent failure takes the source (or that API of it) out for the router's life, so that a wrong token costs one
    call, not one per session.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)
        self._out: dict[tuple[str, str], SourceError] = {}

    @property
    def priority(self) -> tuple[str, ...]:
        """The sources' names, best first."""
        return tuple(source.name for source in self._sources)

    def serving(self, dataset: Dataset, grain: Grain) -> tuple[Source, ...]:
        """The sources that can be asked for the data set in that grain, best first."""
        return tuple(source for source in self._sources if source.can_serve(dataset, grain))

    def concurrency(self, dataset: Dataset, grain: Grain) -> int:
        """How many units may be fetched at once."""
        return max((source.policy(dataset).concurrency for source in self.serving(dataset, grain)), default=1)

    def fetch(self, dataset: Dataset, unit: Unit, judge: Judge) -> Answer:
        """The unit's rows from the first source that gives a whole answer; Unanswered names every source's reason."""
        tally, failures, attempts = Tally(), [], 0
        for source in self.serving(dataset, unit.grain):
            policy = source.policy(dataset)
            for attempt in range(policy.retries + 1):
                attempts += 1
                try:
                    checked = self._ask(source, dataset, unit, judge, tally)
                except SourceError as error:
                    if error.failure is FailureClass.EMPTY and attempt < policy.retries:
                        _pause(policy, attempt)
                        continue
                    failures.append(error)
                    break
                return Answer(source.name, checked, tally.calls, attempts, tally.seconds)
        raise Unanswered(f"{dataset.name} {unit}", failures, calls=tally.calls, attempts=attempts)

    def _ask(self, source: Source, dataset: Dataset, unit: Unit, judge: Judge, tally: Tally) -> Checked:
        api = source.servings[dataset.name].api
        known = self._out.get((source.name, "*")) or self._out.get((source.name, api))
        if known is not None:
            raise known
        try:
            frame = source.fetch(dataset, unit, tally)
        except SourceError as error:
            if error.failure is FailureClass.PERMANENT_SOURCE:
                self._out[source.name, "*"] = error
            elif error.failure is FailureClass.PERMANENT_API:
                self._out[source.name, api] = error
            raise
        try:
            return judge(frame)
        except (Incomplete, SpecError) as error:
            raise SourceError(FailureClass.EMPTY, source.name, api, str(error)) from None


def _pause(policy: RatePolicy, attempt: int) -> None:
    time.sleep(min(policy.backoff * 2**attempt, 16.0))
