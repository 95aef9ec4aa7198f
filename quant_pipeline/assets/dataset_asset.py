"""The asset of a sourced data set, made from its spec."""

import datetime as dt
from collections.abc import Iterator, Sequence

import dagster as dg
from pydantic import Field

from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.describe import column_schema, description
from quant_pipeline.assets.events import NOTHING, everything_told
from quant_pipeline.assets.metadata import failures_table, preview, unit_metadata
from quant_pipeline.market.codes import parse
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.partitions import SESSIONS, sessions_of
from quant_pipeline.resources.sync import SyncResource
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.ledger import Item

OWNERS = ["team:market-data"]


class SyncConfig(dg.Config):
    """How to sync. 同步选项"""

    force: bool = Field(False, description="Fetch again what was synced before. 强制重新获取已同步的数据")
    sources: list[str] = Field([], description="Only these sources, in this order. 仅使用这些数据源")
    symbols: list[str] = Field([], description="Only these codes (600000.SH, 000001, …). 仅同步这些股票")


def dataset_asset(dataset: Dataset) -> dg.AssetsDefinition:
    """The asset that syncs the data set: a partition per session, or a plain list."""

    @dg.asset(
        name=dataset.name,
        deps=list(dataset.after),
        group_name=dataset.group,
        description=description(dataset),
        kinds={"postgres", "python"},
        owners=OWNERS,
        tags={"quant/dataset": dataset.name},
        metadata={"dagster/column_schema": column_schema(dataset), "dagster/table_name": dataset.name},
        partitions_def=SESSIONS if dataset.dated else None,
        backfill_policy=dg.BackfillPolicy.single_run() if dataset.dated else None,
        dagster_type=NOTHING,
        output_required=False,
        hooks={tell_failure},
    )
    def synced(context: dg.AssetExecutionContext, config: SyncConfig, sync: SyncResource) -> Iterator[dg.Output[None]]:
        sessions = _ready_sessions(context, dataset, sync)
        codes = [parse(symbol) for symbol in config.symbols] if dataset.dated else []
        tell = _Teller(context, dataset, sync, sessions, partial=bool(codes))
        outcome = sync.sync(
            dataset, sessions, codes=codes, sources=config.sources, force=config.force, on_committed=tell.committed
        )
        for unit, item in outcome.before.items():
            tell.done_before(unit, item)
        if outcome.failed:
            raise dg.Failure(
                description=_failure_text(outcome.failed),
                metadata={"failed": failures_table(outcome.failed.values())},
                allow_retries=False,
            )
        yield everything_told()

    return synced


class _Teller:
    """Writes the asset's events: a materialization per session (an observation, where only some codes were synced)."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        dataset: Dataset,
        sync: SyncResource,
        sessions: Sequence[dt.date],
        *,
        partial: bool,
    ) -> None:
        self._context, self._dataset, self._sync, self._partial = context, dataset, sync, partial
        self._last = max(sessions, default=None)
        self._known = context.instance.get_materialized_partitions(context.asset_key) if len(sessions) > 1 else frozenset()

    def committed(self, unit: Unit, item: Item) -> None:
        metadata = unit_metadata(item)
        if self._last is None or unit.end == self._last:
            metadata |= preview(self._sync.warehouse, self._dataset, self._last)
        partition = str(unit) if self._dataset.dated and not self._partial else None
        event = dg.AssetObservation if self._partial else dg.AssetMaterialization
        self._context.log_event(event(self._context.asset_key, partition=partition, metadata=metadata))

    def done_before(self, unit: Unit, item: Item) -> None:
        """Says so in the log; writes the event where Dagster does not know of it (a crash between commit and event)."""
        self._context.log.info(
            f"{self._dataset.name} {unit} is complete: {item.rows} rows from {item.source}, synced {item.finished_at:%F %T}. "
            "Nothing was fetched; set force: true in the launchpad to fetch it again. 已同步，未重复获取"
        )
        if not self._partial and str(unit) not in self._known:
            self.committed(unit, item)


def _ready_sessions(context: dg.AssetExecutionContext, dataset: Dataset, sync: SyncResource) -> list[dt.date]:
    if not dataset.dated:
        return []
    sessions = sessions_of(context.run.tags, sync.calendar)
    latest = sync.calendar.latest()
    early = [session for session in sessions if session > latest]
    if early:
        raise dg.Failure(
            description=f"{dataset.name} {early[0]}: the session's data do not exist yet; the latest complete session is "
            f"{latest} (data are ready at 17:00 Asia/Shanghai). 该交易日数据尚未产生",
            allow_retries=False,
        )
    if not sessions:
        context.log.warning("The exchange was closed on every day asked for: nothing to sync. 所选日期均休市")
    return sessions


def _failure_text(failed: dict[Unit, Item]) -> str:
    first = next(iter(failed.values()))
    more = f" (and {len(failed) - 1} more, see `failed` below)" if len(failed) > 1 else ""
    return f"{first.error}{more}. What succeeded is kept; run it again. 已完成的部分已保存，可重新运行"
