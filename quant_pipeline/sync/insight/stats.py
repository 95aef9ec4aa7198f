"""What the tables hold: rows, dates and codes per data set and source, and their size on disk."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import DATASETS
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql
from quant_pipeline.warehouse.table_counts import counts_of

_SIZES = "SELECT name AS dataset, pg_total_relation_size(name::regclass) AS bytes FROM unnest(%(names)s::text[]) AS name"
_SCHEMA = {
    "dataset": pl.String,
    "zh": pl.String,
    "source": pl.String,
    "rows": pl.Int64,
    "first": pl.String,
    "latest": pl.String,
    "codes": pl.Int64,
}


def chosen(names: Sequence[str]) -> list[Dataset]:
    """The data sets of these names (default: all)."""
    return [dataset for name, dataset in DATASETS.items() if not names or name in names]


def stats_of(database: Database, datasets: Sequence[Dataset]) -> pl.DataFrame:
    """A row per data set and source: dataset, zh, source, rows, first, latest, codes, bytes.

    An empty table has one row without a source. `first` and `latest` are null for lists without dates, `codes` 0 where
    there are none; `bytes` is the whole table's, indexes included.
    """
    counts = counts_of(database, datasets)
    rows = [
        {"dataset": dataset.name, "zh": dataset.zh, **row}
        for dataset in datasets
        for row in counts[dataset.name] or [{"rows": 0, "codes": 0}]
    ]
    found = pl.DataFrame(rows, schema=_SCHEMA).with_columns(pl.col("first", "latest").str.to_date())
    sizes = read_sql(database, _SIZES, {"names": [dataset.name for dataset in datasets]})
    return found.join(sizes, on="dataset", how="left", maintain_order="left")
