"""Operations: what the platform tells of itself, as reports in the UI. They write no rows."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl

from quant_pipeline import settings
from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.events import NOTHING
from quant_pipeline.assets.metadata import origin, table
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sources import controls, registry
from quant_pipeline.switches import switched_off
from quant_pipeline.sync.insight import history, stats
from quant_pipeline.sync.insight.health import health_of, prune, troubles
from quant_pipeline.sync.insight.status import DatasetStatus, status_of

_Teller = Callable[[WarehouseResource], dict[str, Any]]


def _report(words: str) -> Callable[[_Teller], dg.AssetsDefinition]:
    """A report: the decorated function gives the metadata that it consists of."""

    def declare(tell: _Teller) -> dg.AssetsDefinition:
        @dg.asset(
            name=tell.__name__,
            group_name="operations",
            description=words,
            kinds={"postgres"},
            owners=["team:market-data"],
            dagster_type=NOTHING,
            hooks={tell_failure},
        )
        def report(warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
            return dg.MaterializeResult(metadata=origin() | tell(warehouse))

        return report

    return declare


@_report(
    "**同步状态** · How far each data set is synced, what lacks in between, how old its last good data are, and the syncs "
    "that are going on. As the command `quant-pipeline status`."
)
def sync_status(warehouse: WarehouseResource) -> dict[str, Any]:
    status = status_of(warehouse.database, warehouse.calendar(), off=switched_off())
    going_on = (f"{each.trigger}: {each.done} of {each.planned} units, {each.share:.0%}" for each in status.running)
    return {
        "latest_session": str(status.latest),
        "running": "; ".join(going_on) or "no 无",
        "stale": sum(each.stale for each in status.datasets),
        "missing": sum(each.missing for each in status.datasets),
        "failed": sum(each.failed for each in status.datasets),
        "data_sets": table(_readable(pl.DataFrame([_row(each) for each in status.datasets], infer_schema_length=None))),
    }


@_report("**同步历史** · The last syncs: what each was asked for, wrote and cost. As the command `quant-pipeline history`.")
def sync_history(warehouse: WarehouseResource) -> dict[str, Any]:
    page = history.runs(warehouse.database)
    return {"syncs": page.total, "last_syncs": table(_readable(page.rows))}


@_report(
    "**数据源健康** · Calls, success rate, times, quota, circuit and priority of each source and API, and the last moves. "
    "As the command `quant-pipeline sources`."
)
def source_health(warehouse: WarehouseResource) -> dict[str, Any]:
    current = settings.load()
    health = health_of(warehouse.database, registry.policies(current.rate_limits), registry.priorities())
    found = troubles(health)
    by_api = health.filter(pl.col("api") != controls.WHOLE)
    forgotten = prune(warehouse.database)
    return {
        "unhealthy": len(found),
        "troubles": dg.MetadataValue.md("\n".join(f"- `{name}`: {words}" for name, words in found.items()) or "none 无"),
        "calls_last_hour": int(by_api["calls_hour"].sum()),
        "calls_last_day": int(by_api["calls_day"].sum()),
        "old_calls_forgotten": forgotten,
        "sources": table(_readable(health)),
        "events": table(_readable(controls.events(warehouse.database))),
    }


@_report(
    "**数据统计** · Rows, dates and codes per data set and source, and size on disk. As the command `quant-pipeline stats`."
)
def data_stats(warehouse: WarehouseResource) -> dict[str, Any]:
    found = stats.stats_of(warehouse.database, stats.chosen([]))
    rows = dict(found.group_by("dataset", maintain_order=True).agg(pl.sum("rows")).iter_rows())
    return {
        "rows": sum(rows.values()),
        "megabytes": round(int(found.unique("dataset")["bytes"].sum()) / 1e6, 1),
        "by_source": table(_readable(found)),
        **{f"rows_{name}": count for name, count in rows.items()},
    }


REPORTS = [sync_status, sync_history, source_health, data_stats]


def _row(status: DatasetStatus) -> dict[str, Any]:
    gaps = (str(start) if start == end else f"{start} .. {end}" for start, end in status.gaps)
    return vars(status) | {"gaps": ", ".join(gaps), "sources": ", ".join(status.sources)}


def _readable(rows: pl.DataFrame) -> pl.DataFrame:
    """Moments to the second, figures to two digits."""
    return rows.with_columns(
        pl.selectors.datetime().dt.strftime("%Y-%m-%d %H:%M:%S"),
        pl.selectors.float().round(2),
    )
