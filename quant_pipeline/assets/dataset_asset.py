"""The asset of a sourced data set, made from its spec."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.checks import judge_stored
from quant_pipeline.assets.describe import column_schema, description
from quant_pipeline.assets.events import NOTHING, everything_told
from quant_pipeline.assets.metadata import failures_table, preview, sum_metadata, unit_metadata
from quant_pipeline.language import say
from quant_pipeline.market.codes import CodeError
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.partitions import PARTITIONS, key_of, sessions_of
from quant_pipeline.resources.dagster_private import ADHOC_JOB
from quant_pipeline.resources.pushplus import PushPlusResource
from quant_pipeline.resources.sync import SyncResource
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.engine import Outcome
from quant_pipeline.sync.ledger import Item
from quant_pipeline.sync.periods import labels_of
from quant_pipeline.sync.symbols import codes_of
from quant_pipeline.sync.syncer import Request

OWNERS = ["team:market-data"]
SKIPPED = "skipped"
"""Metadata of the observation that says why a run left the data set out."""


class SyncConfig(dg.Config):
    """How to sync. 同步选项"""

    force: bool = Field(False, description="Fetch again what was synced before. 强制重新获取已同步的数据")
    sources: list[str] = Field([], description="Only these sources, in this order. 仅使用这些数据源")
    symbols: list[str] = Field([], description="Only these codes (600000.SH, 000001, …). 仅同步这些股票")
    retry_failed: bool = Field(False, description="Only what failed at its last attempt. 仅重试失败的单元")
    repair: bool = Field(False, description="Only what is short, breaks a check or was restated. 仅修复有问题的数据")
    named: bool = Field(
        False, description="Fail where no source in use serves it; else it is skipped with a note. 无可用数据源时报错，而非跳过"
    )


def dataset_asset(dataset: Dataset) -> dg.AssetsDefinition:
    """The asset that syncs the data set: a partition per session, week or month, or a plain list."""

    @dg.asset(
        name=dataset.name,
        deps=list(dataset.after),
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
        context: dg.AssetExecutionContext, config: SyncConfig, sync: SyncResource, pushplus: PushPlusResource
    ) -> Iterator[dg.Output[None]]:
        request = Request(
            sessions=_ready_sessions(context, dataset, sync),
            codes=_asked_codes(dataset, config.symbols),
            sources=config.sources,
            force=config.force,
            failed=config.retry_failed,
            repair=config.repair,
        )
        unserved = None if config.named or context.run.job_name == ADHOC_JOB else sync.unserved(dataset, request)
        if unserved is not None:
            note = say("{why}. Skipped", why=unserved)
            context.log.warning(note)
            context.log_event(dg.AssetObservation(context.asset_key, metadata={SKIPPED: note}))
            yield everything_told()
            return
        tell = _Teller(context, dataset, sync, request)
        outcome = sync.sync(dataset, request, on_committed=tell.committed)
        tell.ended(outcome)
        if outcome.failed:
            judge_stored(context, dataset, sync.warehouse, pushplus)
            raise dg.Failure(
                description=_failure_text(outcome.failed),
                metadata={"failed": failures_table(outcome.failed.values())},
                allow_retries=False,
            )
        yield everything_told()

    return synced


def _asked_codes(dataset: Dataset, symbols: Sequence[str]) -> list[str]:
    """The symbols as codes of the data set. CodeError where symbols are named, and none is: never the whole market then."""
    codes = codes_of(dataset, symbols)
    if symbols and dataset.universe and not codes:
        raise CodeError(f"{dataset.name} has no rows of {', '.join(symbols)}: name codes of {' or '.join(dataset.universe)}")
    return codes


class _Teller:
    """Writes the asset's events: a materialization per partition (an observation, where only some codes were synced)."""

    def __init__(self, context: dg.AssetExecutionContext, dataset: Dataset, sync: SyncResource, request: Request) -> None:
        self._context, self._dataset, self._sync = context, dataset, sync
        self._partial = bool(request.codes)
        self._last = max(labels_of(dataset, sync.calendar, request.sessions), default=None)
        several = len(request.sessions) > 1
        self._known = context.instance.get_materialized_partitions(context.asset_key) if several else frozenset()

    def committed(self, unit: Unit, item: Item) -> None:
        """Tells of a session, week, month or list. Of a part (a code, a board) only where nothing more was asked for."""
        if unit.grain in (Grain.CODE, Grain.MEMBERS) and not self._partial:
            return
        metadata = unit_metadata(item)
        if self._last is None or unit.end == self._last:
            metadata |= preview(self._sync.warehouse, self._dataset, self._last)
        partition = self._key(unit) if self._dataset.dated and not self._partial else None
        self._log(partition, metadata)

    def ended(self, outcome: Outcome) -> None:
        """Tells of what was done before where Dagster does not know of it, and of a list that came board by board."""
        for unit, item in outcome.before.items():
            if unit.grain in (Grain.SNAPSHOT, Grain.SESSION):
                self._done_before(unit, item)
        if not self._dataset.dated and self._dataset.universe and outcome.synced and not self._partial:
            metadata = sum_metadata(outcome) | preview(self._sync.warehouse, self._dataset, None)
            self._log(None, metadata)

    def _done_before(self, unit: Unit, item: Item) -> None:
        """Says so in the log; writes the event where Dagster does not know of it (a crash between commit and event)."""
        self._context.log.info(
            f"{self._dataset.name} {unit} is complete: {item.rows} rows from {item.source}, synced {item.finished_at:%F %T}. "
            "Nothing was fetched; set force: true in the launchpad to fetch it again. 已同步，未重复获取"
        )
        if not self._partial and self._key(unit) not in self._known:
            self.committed(unit, item)

    def _key(self, unit: Unit) -> str:
        return key_of(self._dataset.partition, unit.start)

    def _log(self, partition: str | None, metadata: dict[str, Any]) -> None:
        event = dg.AssetObservation if self._partial else dg.AssetMaterialization
        self._context.log_event(event(self._context.asset_key, partition=partition, metadata=metadata))


def _ready_sessions(context: dg.AssetExecutionContext, dataset: Dataset, sync: SyncResource) -> list[dt.date]:
    if not dataset.dated:
        return []
    sessions = sessions_of(context.run.tags, sync.calendar, dataset.partition)
    latest = sync.calendar.latest(ready=dataset.ready)
    ready = [session for session in sessions if session <= latest]
    early = [session for session in sessions if session > latest]
    if early and (not dataset.periodic or not ready):
        raise dg.Failure(
            description=f"{dataset.name} {early[0]}: the session's data do not exist yet; the latest complete session is "
            f"{latest} (data are ready at {dataset.ready:%H:%M} Asia/Shanghai). 该交易日数据尚未产生",
            allow_retries=False,
        )
    if not sessions:
        context.log.warning("The exchange was closed on every day asked for: nothing to sync. 所选日期均休市")
    return ready


def _failure_text(failed: dict[Unit, Item]) -> str:
    first = next(iter(failed.values()))
    more = f" (and {len(failed) - 1} more, see `failed` below)" if len(failed) > 1 else ""
    return f"{first.error}{more}. What succeeded is kept; run it again. 已完成的部分已保存，可重新运行"
