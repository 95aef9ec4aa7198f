"""Whether a source is there: one cheap question, at its pace and under its quota like any other, without a second try."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quant_pipeline.resources.sources import SourcesResource
from quant_pipeline.sources import registry
from quant_pipeline.sources.base import Source, Tally
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.question import cheapest, hasty
from quant_pipeline.warehouse.presence import Presence

if TYPE_CHECKING:
    from quant_pipeline.market.calendar import Calendar
    from quant_pipeline.settings import Settings
    from quant_pipeline.warehouse.database import Database

_PATIENCE = 5.0
"""Seconds that a question waits for a place under its quota."""


@dataclass(frozen=True)
class Checked:
    """What came of it. `api` None: nobody was asked, because `unavailable` says why not, or because there is nobody to ask.

    `problem`: why it was not answered, without secrets; `failure` its class. `rows` of the answer.
    """

    api: str | None = None
    dataset: str | None = None
    unavailable: str | None = None
    problem: str | None = None
    failure: FailureClass | None = None
    calls: int = 0
    seconds: float = 0.0
    rows: int | None = None

    @property
    def well(self) -> bool:
        return self.unavailable is None and self.problem is None


@contextmanager
def opened(database: Database, calendar: Calendar, settings: Settings) -> Iterator[list[Source]]:
    """The sources that are set up, for as long as the block lasts, to be asked in haste."""
    with closing(Presence(database.connect())) as presence:
        paces = hasty(registry.policies(settings.rate_limits))
        with SourcesResource(patience=_PATIENCE).opened(database, calendar, presence, policies=paces) as (sources, _):
            yield sources


def ask(source: Source, calendar: Calendar) -> Checked:
    """Puts the question."""
    if (why := source.unavailable()) is not None:
        return Checked(unavailable=why)
    question = cheapest(source, calendar)
    if question is None or type(source).settings.address is None:
        return Checked()
    serving, unit = question
    tally, rows, problem, failure = Tally(), None, None, None
    try:
        rows = source.fetch(serving.dataset, unit, tally).height
    except SourceError as error:
        problem, failure = source.without_secrets(str(error)), error.failure
    return Checked(serving.api, serving.dataset.name, None, problem, failure, tally.calls, tally.seconds, rows)
