"""Reconciliation: the stored rows against second sources, as a report of what differs and a check that names it."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from quant_pipeline import settings
from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.describe import column_schema, description
from quant_pipeline.assets.events import NOTHING, Events, everything_told
from quant_pipeline.assets.labels import labelled
from quant_pipeline.assets.lineage import reduced
from quant_pipeline.assets.metadata import origin, table
from quant_pipeline.language import marked, told
from quant_pipeline.market.dataset import Partition
from quant_pipeline.market.reports import RECONCILIATION
from quant_pipeline.notify.messages import sources_differ
from quant_pipeline.partitions import SESSIONS, asked_sessions, sessions_of
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.sync import SyncResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.retelling import for_readers
from quant_pipeline.selections import ON
from quant_pipeline.sync.reconcile import COMPARED, ROTATION, Heard
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read, read_sql

_SHOWN = 100
_NAMED = 3
_LATEST_SESSIONS = 20
_HEARD = """
SELECT dataset, second_source, codes, compared, differing, failed, error FROM reconciliation_runs
WHERE sync_run = coalesce(
    (SELECT sync_run FROM reconciliation_runs WHERE sync_run = %(run)s LIMIT 1),
    (SELECT sync_run FROM reconciliation_runs ORDER BY finished_at DESC LIMIT 1)
)
ORDER BY dataset, second_source
"""
_FINDINGS = """
SELECT trade_date, dataset, ts_code, field, stored, stored_source, second, second_source, difference, tolerated,
       updated_at >= coalesce((SELECT started_at FROM sync_runs WHERE id = %(run)s), 'infinity') AS new
FROM reconciliation WHERE trade_date BETWEEN %(start)s AND %(end)s
ORDER BY new DESC, trade_date DESC, dataset, ts_code, field, second_source
"""


class ReconciliationConfig(dg.Config):
    """What to compare. 对账选项"""

    rotation: int = Field(
        ROTATION,
        ge=1,
        le=250,
        description="In so many sessions every code comes round with the sources that are asked code by code; 1: all at once. "
        "多少个交易日内轮完全部股票",
    )


@dg.asset(
    name=RECONCILIATION.name,
    deps=reduced(each.name for each in COMPARED if each.partition is Partition.SESSION and each.name in ON),
    group_name=RECONCILIATION.group,
    description=description(RECONCILIATION),
    kinds={"polars", "postgres"},
    owners=["team:market-data"],
    metadata={"dagster/column_schema": column_schema(RECONCILIATION), "dagster/table_name": RECONCILIATION.name},
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    dagster_type=NOTHING,
    output_required=False,
    hooks={tell_failure},
)
def reconciliation(
    context: dg.AssetExecutionContext, config: ReconciliationConfig, sync: SyncResource
) -> Iterator[dg.Output[None]]:
    sessions = asked_sessions(context.run.tags, sync.calendar, Partition.SESSION, sync.calendar.latest())
    events = Events(context)
    chosen = [dataset for dataset in COMPARED if dataset.name in ON]
    heard = [told for dataset in chosen for told in sync.reconcile(dataset, sessions, config.rotation)]
    found = read(sync.warehouse.database, RECONCILIATION, start=sessions[0], end=sessions[-1])
    for session in sessions:
        rows = found.filter(pl.col("trade_date") == session)
        metadata = origin() | {"dagster/row_count": rows.height}
        if not rows.is_empty():
            metadata["differences"] = table(rows.head(_SHOWN))
        if session == sessions[-1]:
            metadata |= _report(heard)
        events.materialized(metadata, session.isoformat())
    yield everything_told()


def _report(heard: Sequence[Heard]) -> dict[str, Any]:
    report: dict[str, Any] = {
        "values_compared": sum(told.compared for told in heard),
        "values_differing": sum(told.differing for told in heard),
        "second_sources": ", ".join(sorted({told.source for told in heard})) or "none could be asked 无可用的第二数据源",
    }
    columns = ["dataset", "second_source", "codes", "compared", "differing", "failed", "error"]
    rows = [
        (told.dataset, told.source, len(told.codes), told.compared, told.differing, told.failed, told.error or "")
        for told in heard
    ]
    return report | ({"compared": table(pl.DataFrame(rows, schema=columns, orient="row"))} if rows else {})


@dg.asset_check(
    asset=RECONCILIATION.name,
    name="sources_agree",
    description="多源一致 · No stored value differs from what a second source says by more than its field's tolerance: each "
    "session, code and field is judged by itself. A warning names what differs.",
)
def sources_agree(
    context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource, notifier: NotifierResource
) -> dg.AssetCheckResult:
    calendar = warehouse.calendar()
    sessions = sessions_of(context.run.tags, calendar) or list(calendar.window(calendar.latest(), _LATEST_SESSIONS))
    start = min(sessions[0], calendar.shift(sessions[-1], -ROTATION))  # by code, a whole rotation is compared at once
    heard = read_sql(warehouse.database, _HEARD, {"run": context.run.run_id})
    found = _findings(warehouse.database, context.run.run_id, start, sessions[-1])
    new = found.filter("new").drop("new")
    if not new.is_empty():
        current = settings.load()
        message = sources_differ(
            differences=[_in_words(row) for row in new.head(_SHOWN).iter_rows(named=True)],
            count=new.height,
            run_id=context.run.run_id,
            ui_url=current.ui_url,
            sandbox=current.sandboxed,
        )
        notifier.tell(f"sources-differ:{context.run.run_id}", message)
    metadata = origin() | {"differing": found.height, "new": new.height}
    if not heard.is_empty():
        metadata["compared"] = table(heard.with_columns(pl.col("error").fill_null("")))
    if not found.is_empty():
        metadata["rows"] = table(found.head(_SHOWN))
    nothing_said = heard["failed"].sum() > 0 and heard["compared"].sum() == 0
    return dg.AssetCheckResult(
        passed=found.is_empty() and not nothing_said,
        severity=dg.AssetCheckSeverity.WARN,
        description=for_readers(_text(found, heard)),
        metadata=labelled(metadata),
    )


def _findings(database: Database, run: str, start: dt.date, end: dt.date) -> "pl.DataFrame":
    """The differences of these sessions, the run's own first."""
    return read_sql(database, _FINDINGS, {"run": run, "start": start, "end": end})


_SILENT = marked("{source} did not answer {count} times for {dataset}: {error}")


def _text(found: "pl.DataFrame", heard: "pl.DataFrame") -> str:
    """What differs, what was compared, and what could not be."""
    if heard.is_empty() and found.is_empty():
        return marked("no second source could be asked: nothing was compared")
    compared = ", ".join(sorted(set(heard["second_source"]))) or "-"
    text = told(
        "{count} values differ, {total} compared with {sources}",
        count=found.height,
        total=heard["compared"].sum(),
        sources=compared,
    )
    if not found.is_empty():
        named = "; ".join(" ".join(_in_words(row)) for row in found.head(_NAMED).iter_rows(named=True))
        text += f"; {named}" + ("; …" if found.height > _NAMED else "")
    failed = heard.filter(pl.col("failed") > 0)
    for row in failed.iter_rows(named=True):
        text += "; " + told(
            _SILENT, source=row["second_source"], count=row["failed"], dataset=row["dataset"], error=row["error"]
        )
    return text


def _in_words(row: dict[str, Any]) -> tuple[str, str]:
    where = f"{row['dataset']} {row['ts_code']} {row['trade_date']} {row['field']}"
    return where, f"{row['stored']:.10g} ({row['stored_source']}), {row['second']:.10g} ({row['second_source']})"
