"""The sync engine as a resource: its life is one Dagster run, which it keeps the books of."""

import datetime as dt
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import dagster as dg
from pydantic import PrivateAttr

from quant_pipeline.market import clock
from quant_pipeline.market.calendar import Calendar, CalendarError
from quant_pipeline.market.dataset import Coverage, Dataset
from quant_pipeline.market.datasets import STOCK_LIST, SUSPENSIONS, TRADE_CALENDAR
from quant_pipeline.resources.tushare import TushareResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sources.base import Source
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.router import Router
from quant_pipeline.sync.engine import Engine, OnCommitted, Outcome
from quant_pipeline.sync.ledger import Ledger
from quant_pipeline.sync.plan import PlanError, plan
from quant_pipeline.sync.slot import SyncSlot
from quant_pipeline.warehouse.presence import Presence

_logger = logging.getLogger(__name__)

QUEUE_TAG = "quant/queue"
"""Run tag: wait behind the sync that is going on, instead of being refused."""
COMMAND_TAG = "quant/command"
"""Run tag: the command that asked for the run."""
ADHOC_JOB = "__ASSET_JOB"
"""Dagster's name for materializations from the asset pages and backfills: they need no slot, and may run side by side."""


class SyncResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Fetches data sets through the router into the warehouse, in the ledger's name.

    A run of a named job (daily_sync) takes the one sync slot for its whole life; asset-page runs and backfills do not.
    """

    warehouse: dg.ResourceDependency[WarehouseResource]
    tushare: dg.ResourceDependency[TushareResource]

    _calendar: Calendar = PrivateAttr()
    _sources: tuple[Source, ...] = PrivateAttr()
    _ledger: Ledger = PrivateAttr()
    _run: str = PrivateAttr()
    _error: str | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["SyncResource"]:
        run = context.run
        if run is None:
            raise dg.DagsterInvariantViolationError("the resource `sync` needs a run: it keeps the run's books")
        database = self.warehouse.database
        presence = Presence(database.connect())
        try:
            if run.job_name != ADHOC_JOB:
                SyncSlot(database, presence).take(queue=run.tags.get(QUEUE_TAG) == "true")
            self._calendar = self.warehouse.calendar()
            self._ledger = Ledger(database, presence)
            offered = (self.tushare.source(Limiter(database.pool, presence)),)
            self._sources = tuple(source for source in offered if source is not None)
            self._run = run.run_id
            self._ledger.begin(
                run.run_id,
                run.tags.get(COMMAND_TAG, run.job_name),
                {"tags": _told(run.tags), "run_config": dict(run.run_config)},
            )
            try:
                yield self
            finally:
                self._ledger.finish(run.run_id, self._error)
        finally:
            presence.close()

    @property
    def calendar(self) -> Calendar:
        return self._calendar

    def as_of(self, dataset: Dataset) -> dt.date:
        """The session as of which a list is asked for: the latest one.

        Past the calendar's end only the calendar itself can still be asked for (it brings the new year).
        """
        try:
            return self._calendar.latest()
        except CalendarError:
            if dataset is not TRADE_CALENDAR:
                raise
            return clock.today()

    def sync(
        self,
        dataset: Dataset,
        sessions: Sequence[dt.date],
        *,
        codes: Sequence[str] = (),
        sources: Sequence[str] = (),
        force: bool = False,
        on_committed: OnCommitted | None = None,
    ) -> Outcome:
        """Syncs the sessions (or the snapshot) of one data set; `sources` narrows the sources down, in the given order.

        What an answer is judged against (the stock list, the session's suspensions) is synced first where it is not there:
        without it a cut answer could not be told from a whole one.
        """
        try:
            router = Router(self._chosen(sources))
            engine = Engine(self.warehouse.database, router, self._calendar, self._ledger, self._run)
            if dataset.coverage is Coverage.MARKET:
                self._sync_references(router, engine, sessions)
            planned = plan(dataset, router, as_of=self.as_of(dataset), sessions=sessions, codes=codes)
            return engine.sync(planned, force=force, on_committed=on_committed)
        except Exception as error:
            self._error = f"{dataset.name}: {error}"
            raise

    def _sync_references(self, router: Router, engine: Engine, sessions: Sequence[dt.date]) -> None:
        """Without them (no permission, say) the sync goes on, and judges more leniently."""
        for reference in (STOCK_LIST, SUSPENSIONS):
            planned = plan(reference, router, as_of=self.as_of(reference), sessions=sessions)
            known = self._ledger.done(reference, planned.units)
            lacking = tuple(unit for unit in planned.units if str(unit) not in known)
            if lacking and engine.sync(replace(planned, units=lacking)).failed:
                _logger.warning("%s could not be synced: answers are judged without it", reference.name)

    def _chosen(self, names: Sequence[str]) -> list[Source]:
        if not names:
            return list(self._sources)
        known = {source.name: source for source in self._sources}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise PlanError(f"unknown or switched-off source: {', '.join(unknown)} (in use: {', '.join(known) or 'none'})")
        return [known[name] for name in names]


def _told(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if "partition" in name or name.startswith("quant/")}
