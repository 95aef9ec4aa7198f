"""What a command would fetch, before it does: its plan, and what no source in use can give."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from quant_pipeline import settings
from quant_pipeline.console.windows import Window
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.resources.sources import SourcesResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sources import registry
from quant_pipeline.sources.base import Source, Tally
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.question import cheapest, hasty
from quant_pipeline.sources.rights import refused_before
from quant_pipeline.sources.router import KEYS, left_out, noted
from quant_pipeline.sync.ledger import Ledger
from quant_pipeline.sync.plan import Plan, PlanError
from quant_pipeline.sync.symbols import codes_of
from quant_pipeline.sync.syncer import Request, Syncer
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

_PATIENCE = 5.0
"""Seconds that a first question waits for a place under its quota."""


class Planner:
    """Plans data sets one after the other: what one of them plans, a later one does not count again."""

    def __init__(
        self, database: Database, syncer: Syncer, calendar: Calendar, used: Sequence[Source], unusable: Sequence[str]
    ) -> None:
        self._database = database
        self._syncer = syncer
        self._calendar = calendar
        self._used = used
        self.unusable = unusable
        """Of each source in use that cannot be asked at all: why, and which setting mends it."""

    def refused_before(self, datasets: Sequence[Dataset]) -> list[str]:
        """Of the data sets, those that a source in use refused when it was last asked: why, and which setting mends it."""
        return refused_before(self._database, self._used, datasets)

    def unserved(self, datasets: Sequence[Dataset], request: Request) -> dict[str, str]:
        """Those of the data sets that no source in use can give -> why."""
        told = {dataset.name: self._syncer.unserved(dataset, request) for dataset in datasets}
        return {name: why for name, why in told.items() if why is not None}

    def plans(
        self, datasets: Sequence[Dataset], windows: Mapping[str, Window], request: Request, symbols: Sequence[str] = ()
    ) -> tuple[list[Plan], list[PlanError]]:
        """The plan of each data set for its window, and why others cannot be planned yet."""
        plans: list[Plan] = []
        problems: list[PlanError] = []
        for dataset in datasets:
            window = windows[dataset.name]
            sessions = self._calendar.between(window.start, window.end)
            codes = codes_of(dataset, symbols)
            try:
                plans += self._syncer.plan(dataset, replace(request, sessions=sessions, codes=codes))
            except PlanError as error:
                problems.append(error)
        return plans, problems


@contextmanager
def planner(warehouse: WarehouseResource, only: Collection[str] = ()) -> Iterator[Planner]:
    """A planner over the sources, for as long as the block lasts. Nothing is fetched, and no run is made.

    Live, each source with a token is asked one question first: where it is not accepted, nothing is planned that needs it.
    `only`: the sources that are asked for, where some are named.
    """
    database, calendar = warehouse.database, warehouse.calendar()
    current = settings.load()
    presence = Presence(database.connect())
    try:
        paces = hasty(registry.policies(current.rate_limits))
        with SourcesResource(patience=_PATIENCE).opened(database, calendar, presence, policies=paces) as (sources, ranking):
            ranks = registry.priorities()
            used = [source for source in sources if ranks[source.name] and (not only or source.name in only)]
            refused = [] if current.sandboxed else [why for source in used if (why := _refused(source, calendar)) is not None]
            missing = [f"{source.name}: {why}" for source in used if (why := source.unavailable()) is not None]
            syncer = Syncer(database, calendar, sources, ranking, Ledger(database, presence), run="dry-run")
            yield Planner(database, syncer, calendar, used, [*missing, *refused])
    finally:
        presence.close()


def _refused(source: Source, calendar: Calendar) -> str | None:
    """Why the source does not take our token, after one call; None where it does, or that cannot be told now."""
    question = cheapest(source, calendar)
    if question is None or not _has_credentials(source) or source.unavailable() is not None:
        return None
    serving, unit = question
    try:
        source.fetch(serving.dataset, unit, Tally())
    except SourceError as error:
        if error.failure is FailureClass.PERMANENT_SOURCE:
            return left_out(source, error)
        noted(error)
    return None


def _has_credentials(source: Source) -> bool:
    """Whether the user wrote a token or a password for it: those that a client brings along need no question."""
    written = settings.read(type(source).settings)
    fields = type(written).model_fields
    return any((fields[name].alias or "").endswith(KEYS) for name in written.model_fields_set)
