"""The sync engine as a resource: its life is one Dagster run, which it keeps the books of."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager

import dagster as dg
from pydantic import PrivateAttr

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.resources.dagster_private.names import ADHOC_JOB, COMMAND_TAG, HIDDEN
from quant_pipeline.resources.sources import SourcesResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sync.engine import OnCommitted, Outcome
from quant_pipeline.sync.ledger import COMMAND_ID_TAG, INTERRUPTED, Ledger
from quant_pipeline.sync.reconcile import Heard
from quant_pipeline.sync.slot import held
from quant_pipeline.sync.syncer import Request, Syncer
from quant_pipeline.warehouse.presence import Presence

QUEUE_TAG = f"{HIDDEN}queue"
"""Run tag ("true"): wait behind the sync that is going on, instead of being refused."""


class SyncResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Fetches data sets through the router into the warehouse, in the ledger's name.

    A run of a named job (daily_sync) takes the one sync slot for its whole life; asset-page runs and backfills do not.
    """

    warehouse: dg.ResourceDependency[WarehouseResource]
    sources: dg.ResourceDependency[SourcesResource]

    _calendar: Calendar = PrivateAttr()
    _syncer: Syncer = PrivateAttr()
    _error: str | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["SyncResource"]:
        run = context.run
        if run is None:
            raise dg.DagsterInvariantViolationError("the resource `sync` needs a run: it keeps the run's books")
        database = self.warehouse.database
        command = run.tags.get(COMMAND_ID_TAG)
        alive: AbstractContextManager[Presence]
        if run.job_name == ADHOC_JOB:
            alive = closing(Presence(database.connect()))
        else:
            alive = held(database, command, queue=run.tags.get(QUEUE_TAG) == "true")
        with alive as presence:
            self._calendar = self.warehouse.calendar()
            ledger = Ledger(database, presence)
            ledger.begin(
                run.run_id,
                run.tags.get(COMMAND_TAG, "materialize" if run.job_name == ADHOC_JOB else run.job_name),
                {"tags": _told(run.tags), "run_config": dict(run.run_config)},
                command_id=command,
            )
            try:
                with self.sources.opened(database, self._calendar, presence) as (sources, ranking):
                    self._syncer = Syncer(database, self._calendar, sources, ranking, ledger, run.run_id)
                    yield self
            finally:
                ledger.finish(run.run_id, self._error)

    @property
    def calendar(self) -> Calendar:
        return self._calendar

    def sync(self, dataset: Dataset, request: Request, *, on_committed: OnCommitted | None = None) -> Outcome:
        """Syncs what is asked for of one data set; an error ends in the run's books as well."""
        try:
            return self._syncer.sync(dataset, request, on_committed=on_committed)
        except Exception as error:
            said = str(error)
            self._error = said if said.startswith(f"{dataset.name}: ") else f"{dataset.name}: {said}"
            raise
        except BaseException:  # cancelled in the UI
            self._error = INTERRUPTED
            raise

    def unserved(self, dataset: Dataset, request: Request) -> str | None:
        """Why no source in use can give the data set; None where one can."""
        return self._syncer.unserved(dataset, request)

    def awaited(self, dataset: Dataset, request: Request) -> tuple[dt.date, ...]:
        """The sessions asked for that go on, and that no source in use can have yet."""
        return self._syncer.awaited(dataset, request)

    def reconcile(self, dataset: Dataset, sessions: Sequence[dt.date], rotation: int) -> list[Heard]:
        """Compares stored rows with what second sources say; what was heard of each."""
        return self._syncer.reconcile(dataset, sessions, rotation)


def _told(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if "partition" in name or name.startswith(("quant/", HIDDEN))}
