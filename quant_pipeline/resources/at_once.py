"""A few units fetched at once, outside of any Dagster run: for a caller who waits for his answer."""

from __future__ import annotations

import secrets
from contextlib import closing

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.resources.sources import SourcesResource
from quant_pipeline.sync.engine import Outcome
from quant_pipeline.sync.ledger import Ledger
from quant_pipeline.sync.plan import Plan
from quant_pipeline.sync.syncer import Request, Syncer
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence


class TooMuch(ValueError):
    """More calls than may be made while somebody waits; `calls`: how many it would take, about."""

    def __init__(self, calls: int) -> None:
        super().__init__(str(calls))
        self.calls = calls


def fetch(
    database: Database, calendar: Calendar, dataset: Dataset, request: Request, *, trigger: str, patience: float, most: int
) -> Outcome:
    """Syncs what is asked for through the router, within the quota, in a run of the ledger's of its own.

    `trigger`: who asked for it, in the history · `patience`: the longest wait (seconds) for a place under a quota · `most`:
    calls that may be made (TooMuch: nothing was fetched). PlanError where it cannot be planned.
    """
    run = f"{trigger}-{secrets.token_hex(6)}"
    with closing(Presence(database.connect())) as presence:
        ledger = Ledger(database, presence)
        with SourcesResource(patience=patience).opened(database, calendar, presence) as (sources, ranking):
            planned = Syncer(database, calendar, sources, ranking, ledger, run).plan(dataset, request)
            if (calls := _calls(planned)) > most:
                raise TooMuch(calls)
            ledger.begin(run, trigger, {"dataset": dataset.name, "codes": list(request.codes)})
            error: str | None = None
            try:
                return Syncer(database, calendar, sources, ranking, ledger, run).sync(dataset, request)
            except Exception as failure:
                error = str(failure)
                raise
            finally:
                ledger.finish(run, error)


def _calls(plans: list[Plan]) -> int:
    return sum(max(plan.calls, len(plan.units)) for plan in plans)
