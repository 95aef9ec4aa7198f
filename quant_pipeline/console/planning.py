"""What a command would fetch, before it does: its plan, and what no source in use can give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from quant_pipeline.console.windows import Window
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.resources.sources import SourcesResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sync.ledger import Ledger
from quant_pipeline.sync.plan import Plan, PlanError
from quant_pipeline.sync.symbols import codes_of
from quant_pipeline.sync.syncer import Request, Syncer
from quant_pipeline.warehouse.presence import Presence


class Planner:
    """Plans data sets one after the other: what one of them plans, a later one does not count again."""

    def __init__(self, syncer: Syncer, calendar: Calendar) -> None:
        self._syncer = syncer
        self._calendar = calendar

    def unserved(self, datasets: Sequence[Dataset], request: Request) -> dict[str, str]:
        """Those of the data sets that no source in use can give -> why."""
        told = {dataset.name: self._syncer.unserved(dataset, request) for dataset in datasets}
        return {name: why for name, why in told.items() if why is not None}

    def plans(
        self, datasets: Sequence[Dataset], windows: Mapping[str, Window], request: Request, symbols: Sequence[str] = ()
    ) -> tuple[list[Plan], list[str]]:
        """The plan of each data set for its window, and in words what cannot be planned yet."""
        plans: list[Plan] = []
        problems = []
        for dataset in datasets:
            window = windows[dataset.name]
            sessions = self._calendar.between(window.start, window.end)
            codes = codes_of(dataset, symbols)
            try:
                plans += self._syncer.plan(dataset, replace(request, sessions=sessions, codes=codes))
            except PlanError as error:
                problems.append(str(error))
        return plans, problems


@contextmanager
def planner(warehouse: WarehouseResource) -> Iterator[Planner]:
    """A planner over the sources, for as long as the block lasts. Nothing is fetched, and no run is made."""
    database, calendar = warehouse.database, warehouse.calendar()
    presence = Presence(database.connect())
    try:
        with SourcesResource().opened(database, calendar, presence) as (sources, ranking):
            yield Planner(Syncer(database, calendar, sources, ranking, Ledger(database, presence), run="dry-run"), calendar)
    finally:
        presence.close()
