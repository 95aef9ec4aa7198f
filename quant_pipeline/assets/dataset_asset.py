"""The asset of a sourced data set, made from its spec."""

import datetime as dt
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.checks import judge_stored
from quant_pipeline.assets.describe import column_schema, description
from quant_pipeline.assets.events import NOTHING, Events, everything_told
from quant_pipeline.assets.failures import Failed
from quant_pipeline.assets.labels import label, labelled
from quant_pipeline.assets.lineage import reduced
from quant_pipeline.assets.metadata import (
    before_metadata,
    failures_table,
    preview,
    run_metadata,
    sum_metadata,
    unit_metadata,
)
from quant_pipeline.language import marked, told
from quant_pipeline.market.calendar import DATA_READY
from quant_pipeline.market.codes import CodeError
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.partitions import PARTITIONS, asked_sessions, key_of
from quant_pipeline.resources.dagster_private.names import ADHOC_JOB
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.options import AGAIN_TAG, NAMED_TAG, SyncOptions
from quant_pipeline.resources.sync import SyncResource
from quant_pipeline.retelling import for_readers
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.engine import Outcome
from quant_pipeline.sync.ledger import Item, units_of
from quant_pipeline.sync.periods import labels_of
from quant_pipeline.sync.progress import tell_ended
from quant_pipeline.sync.symbols import codes_of
from quant_pipeline.sync.syncer import Request

_FAILED_ONE = marked("{error}. What succeeded is kept; run it again.")
_FAILED_MORE = marked("{error}. And {count} more: see the table. What succeeded is kept; run it again.")
OWNERS = ["team:market-data"]
SKIPPED = label("skipped")
"""Metadata of the observation that says why a run left the data set out."""


def dataset_asset(dataset: Dataset) -> dg.AssetsDefinition:
    """The asset that syncs the data set: a partition per session, week or month, or a plain list."""

    @dg.asset(
        name=dataset.name,
        deps=reduced(dataset.after),
        group_name=dataset.group,
        description=description(dataset),
        kinds={"postgres", "python"},
        owners=OWNERS,
        tags={"quant/dataset": dataset.name},
        metadata={"dagster/column_schema": column_schema(dataset), "dagster/table_name": dataset.name},
        partitions_def=PARTITIONS[dataset.partition],
        backfill_policy=dg.BackfillPolicy.single_run() if dataset.dated else None,
        dagster_type=NOTHING,
        output_required=False,
        hooks={tell_failure},
    )
    def synced(
        context: dg.AssetExecutionContext, options: SyncOptions, sync: SyncResource, notifier: NotifierResource
    ) -> Iterator[dg.Output[None]]:
        again = dataset.name in context.run.tags.get(AGAIN_TAG, "").split(",")
        request = Request(
            sessions=_ready_sessions(context, dataset, sync),
            codes=_asked_codes(dataset, options.symbols),
            sources=options.sources,
            force=options.force or again,
            failed=options.retry_failed,
            repair=options.repair,
        )
        events = Events(context)
        named = context.run.tags.get(NAMED_TAG) == "true" or context.run.job_name == ADHOC_JOB
        unserved = None if named else sync.unserved(dataset, request)
        if unserved is not None:
            note = told("{why}. Skipped", why=unserved)
            context.log.warning(note)
            events.observed({SKIPPED: for_readers(note)})
            yield everything_told()
            return
        for session in sync.awaited(dataset, request):
            note = told(
                "{dataset} {session}: no source in use has it before the close. It comes with the evening's daily_sync, or "
                "with `quant-pipeline run` after {ready}",
                dataset=dataset.name,
                session=session,
                ready=f"{DATA_READY:%H:%M}",
            )
            context.log.warning(note)
            events.observed({SKIPPED: for_readers(note)})
        tell = _Teller(context, dataset, sync, request, events)
        outcome = sync.sync(dataset, request, on_committed=tell.committed)
        tell.ended(outcome)
        tell_ended(dataset.name)
        if outcome.failed:
            judge_stored(context, dataset, sync.warehouse, notifier)
            several = len(outcome.failed) > 1
            raise Failed(
                _failure_text(outcome.failed),
                labelled({"failed": failures_table(outcome.failed.values())}) if several else None,
            )
        yield everything_told()

    return synced


def _asked_codes(dataset: Dataset, symbols: Sequence[str]) -> list[str]:
    """The symbols as codes of the data set. CodeError where symbols are named, and none is: never the whole market then."""
    codes = codes_of(dataset, symbols)
    if symbols and dataset.universe and not codes:
        raise CodeError(
            told(
                "{dataset} has no rows of {codes}: name codes of {lists}",
                dataset=dataset.name,
                codes=", ".join(symbols),
                lists=", ".join(dataset.universe),
            )
        )
    return codes


class _Teller:
    """Tells Dagster of what was committed: a materialization per partition; an observation, where only some codes were
    synced, and where nothing changed that Dagster knew.

    The newest session is told last, with a preview: Dagster shows an asset's last event as its state. What a crash keeps it
    from telling is told by the next run, as done before.
    """

    def __init__(
        self, context: dg.AssetExecutionContext, dataset: Dataset, sync: SyncResource, request: Request, events: Events
    ) -> None:
        self._context, self._dataset, self._sync, self._events = context, dataset, sync, events
        self._partial = bool(request.codes)
        self._last = max(labels_of(dataset, sync.calendar, request.sessions), default=None)
        self._known = frozenset(events.known()) if dataset.dated else frozenset()
        self._held: tuple[Unit, Item] | None = None
        self._mine: Collection[Unit] | None = None
        self._began = time.monotonic()

    def committed(self, unit: Unit, item: Item) -> None:
        """Tells of a session, week, month or list. Of a part (a code, a board) only where nothing more was asked for."""
        if unit.grain in (Grain.CODE, Grain.MEMBERS) and not self._partial:
            return
        if unit.end == self._last and not self._partial:
            self._held = (unit, item)
            return
        self._tell(unit, unit_metadata(item))

    def ended(self, outcome: Outcome) -> None:
        """Tells of what was done before where Dagster does not know of it, of the newest session, and of a list that came
        board by board."""
        if self._held is None and self._last is not None:
            self._held = next(((unit, item) for unit, item in outcome.before.items() if self._is_new(unit)), None)
        self._told_before(outcome.before)
        if self._held is not None:
            unit, item = self._held
            metadata = self._before(unit, item) if unit in outcome.before else unit_metadata(item)
            if len(outcome.synced) > 1:
                metadata |= run_metadata(outcome, time.monotonic() - self._began)
            self._tell(unit, metadata)
        elif not self._dataset.dated and self._dataset.universe and outcome.synced and not self._partial:
            self._events.materialized(sum_metadata(outcome) | self._preview(None))
        if self._dataset.dated and not self._partial:
            self._events.newest_last(self._known)

    def _is_new(self, unit: Unit) -> bool:
        return unit.end == self._last and not self._partial and not self._knows(unit)

    def _told_before(self, before: Mapping[Unit, Item]) -> None:
        """Says that nothing was fetched; writes the event where Dagster knows of none (a crash between commit and event)."""
        there = [unit for unit in before if unit.grain in (Grain.SNAPSHOT, Grain.SESSION)]
        if not there:
            return
        for unit in there:
            held = self._held is not None and unit == self._held[0]
            if not self._partial and not held and not self._knows(unit):
                self._tell(unit, self._before(unit, before[unit]))
        span = str(there[0]) if len(there) == 1 else f"{there[0]} .. {there[-1]} ({len(there)})"
        if len(there) == 1 and self._knows(there[0]):
            self._events.observed(before_metadata(before[there[0]]), self._key(there[0]))
        self._context.log.info(
            f"{self._dataset.name} {span} is complete: {sum(before[unit].rows for unit in there):,} rows. Nothing was fetched; "
            "set force: true in the launchpad to fetch it again. 已同步，未重复获取"
        )

    def _before(self, unit: Unit, item: Item) -> dict[str, Any]:
        """Of a unit that is done: its costs where this run had it, for another data set that is judged by it."""
        if self._mine is None:
            with self._sync.warehouse.database.connect() as connection:
                self._mine = units_of(connection, self._context.run_id, self._dataset)
        return unit_metadata(item) if unit in self._mine else before_metadata(item)

    def _knows(self, unit: Unit) -> bool:
        """Whether Dagster has been told of the unit: of a list, whether its last event is of that day."""
        key = self._key(unit)
        if key is not None:
            return key in self._known
        last = self._events.last()
        told = last.metadata.get(label("as_of")) if last is not None else None
        return told is not None and str(told.value) == f"{unit.end}"

    def _tell(self, unit: Unit, metadata: Mapping[str, Any]) -> None:
        newest = self._last is None or unit.end == self._last
        told = dict(metadata) | (self._preview(self._last) if newest else {})
        key = self._key(unit)
        if key is None and not self._dataset.dated:
            told = {"as_of": f"{unit.end}"} | told
        changed = told.get("inserted", 0) + told.get("updated", 0) > 0 or "inserted" not in told
        if self._partial or (key in self._known and not changed):
            self._events.observed(told, None if self._partial else key)
        else:
            self._events.materialized(told, key)

    def _preview(self, session: dt.date | None) -> dict[str, Any]:
        return preview(self._sync.warehouse, self._dataset, session)

    def _key(self, unit: Unit) -> str | None:
        return key_of(self._dataset.partition, unit.start) if self._dataset.dated else None


def _ready_sessions(context: dg.AssetExecutionContext, dataset: Dataset, sync: SyncResource) -> list[dt.date]:
    if not dataset.dated:
        return []
    latest = sync.calendar.latest(ready=dataset.ready)
    sessions = asked_sessions(context.run.tags, sync.calendar, dataset.partition, latest)
    ready = [session for session in sessions if session <= latest]
    early = [session for session in sessions if session > latest]
    if early and (not dataset.periodic or not ready):
        raise Failed(
            told(
                "{dataset} {session}: the session's data do not exist yet; the latest complete session is {latest} "
                "(data are ready at {ready:%H:%M} Asia/Shanghai)",
                dataset=dataset.name,
                session=early[0],
                latest=latest,
                ready=dataset.ready,
            )
        )
    if not sessions:
        context.log.warning("The exchange was closed on every day asked for: nothing to sync.")
    return ready


def _failure_text(failed: dict[Unit, Item]) -> str:
    first = next(iter(failed.values()))
    if len(failed) > 1:
        return told(_FAILED_MORE, error=first.error, count=len(failed) - 1)
    return told(_FAILED_ONE, error=first.error)
