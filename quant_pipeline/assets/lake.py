"""The lake: the stored rows as Parquet, for fast reads here and in other tools."""

from typing import Any

import dagster as dg
import polars as pl

from quant_pipeline import settings
from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.events import NOTHING
from quant_pipeline.assets.labels import labelled
from quant_pipeline.assets.metadata import origin, table
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.selections import ON
from quant_pipeline.warehouse.lake import Written, folder_of, sync

_LISTED = 50


def _when_bars_arrive() -> dg.AutomationCondition[Any]:
    """After bars or factors came, and the run that brought them has ended; a hot list of every hour writes no lake."""
    new = dg.AutomationCondition.any_deps_updated().allow(dg.AssetSelection.assets(DAILY_KLINE.name, ADJ_FACTOR.name))
    quiet = ~dg.AutomationCondition.any_deps_in_progress() & ~dg.AutomationCondition.in_progress()
    return (new.since_last_handled() & quiet).with_label("when_bars_arrive")


@dg.asset(
    deps=list(ON),
    group_name="lake",
    description="数据湖 · 各表按数据集和年份存为 Parquet（zstd），供快速读取，DuckDB、polars、pandas 可直接使用；"
    "只重写有变动的年份。同命令 quant-pipeline lake sync\n\n"
    "The tables as Parquet by data set and year, for fast reads, and for DuckDB, polars, pandas as it is; only years that "
    "changed are written anew: as `quant-pipeline lake sync`.",
    kinds={"parquet", "polars"},
    owners=["team:market-data"],
    automation_condition=_when_bars_arrive(),
    dagster_type=NOTHING,
    hooks={tell_failure},
)
def lake(warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
    folder = folder_of(settings.load())
    written = sync(warehouse.database, folder)
    shown = {
        "path": dg.MetadataValue.path(str(folder)),
        **origin(),
        "files_written": len(written),
        "rows": sum(each.rows for each in written),
        "megabytes": round(sum(each.bytes for each in written) / 1e6, 1),
        "files": table(_table(written)),
    }
    return dg.MaterializeResult(metadata=labelled(shown))


def _table(written: list[Written]) -> "pl.DataFrame":
    schema = {"数据集 data set": pl.String, "年份 year": pl.Int64, "行数 rows": pl.Int64, "KB": pl.Int64}
    rows = [(each.dataset, each.year or None, each.rows, round(each.bytes / 1e3)) for each in written[:_LISTED]]
    return pl.DataFrame(rows, schema=schema, orient="row")
