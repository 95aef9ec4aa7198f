"""What the tables hold: rows, dates and codes per data set and source, and their size on disk."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from psycopg import sql

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import DATASETS
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

_DATES = ("trade_date", "cal_date")
# Codes are counted as groups: both levels are hashed in parallel, where count(DISTINCT) would sort every row.
_BY_CODE = """
SELECT source, sum(rows)::bigint AS rows, min(first) AS first, max(latest) AS latest, count(code) AS codes
FROM (
    SELECT source, {code} AS code, count(*) AS rows, min({date}) AS first, max({date}) AS latest FROM {table} GROUP BY 1, 2
) AS by_code
GROUP BY source ORDER BY rows DESC, source
"""
_SIZES = "SELECT name AS dataset, pg_total_relation_size(name::regclass) AS bytes FROM unnest(%(names)s::text[]) AS name"
_SCHEMA = pl.Schema(
    {
        "source": pl.String,
        "rows": pl.Int64,
        "first": pl.Date,
        "latest": pl.Date,
        "codes": pl.Int64,
        "dataset": pl.String,
        "zh": pl.String,
    }
)


def chosen(names: Sequence[str]) -> list[Dataset]:
    """The data sets of these names (default: all)."""
    return [dataset for name, dataset in DATASETS.items() if not names or name in names]


def stats_of(database: Database, datasets: Sequence[Dataset]) -> pl.DataFrame:
    """A row per data set and source: dataset, zh, source, rows, first, latest, codes, bytes.

    An empty table has one row without a source. `first` and `latest` are null for lists without dates, `codes` 0 where
    there are none; `bytes` is the whole table's, indexes included.
    """
    names = [dataset.name for dataset in datasets]
    found = pl.concat([_SCHEMA.to_frame(), *(_of(database, dataset) for dataset in datasets)], how="diagonal")
    sizes = read_sql(database, _SIZES, {"names": names})
    return found.join(sizes, on="dataset", how="left", maintain_order="left").select(
        "dataset", "zh", pl.exclude("dataset", "zh")
    )


def _of(database: Database, dataset: Dataset) -> pl.DataFrame:
    names = dataset.column_names
    date = next((sql.Identifier(name) for name in _DATES if name in names), sql.SQL("NULL::date"))
    code = sql.Identifier("ts_code") if "ts_code" in names else sql.SQL("NULL::text")
    query = sql.SQL(_BY_CODE).format(code=code, date=date, table=sql.Identifier(dataset.name))
    found = read_sql(database, query.as_string())
    if found.is_empty():
        found = pl.DataFrame({"rows": [0], "codes": [0]})
    return found.with_columns(dataset=pl.lit(dataset.name), zh=pl.lit(dataset.zh))
