"""What the tables hold: rows, dates and codes per data set and source, and their size on disk."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import DATASETS
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.rows import Row
from quant_pipeline.warehouse.table_counts import counts_of

_NONE: Row = {"source": None, "rows": 0, "first": None, "latest": None, "codes": 0}
_SIZES = "SELECT name AS dataset, pg_total_relation_size(name::regclass) AS bytes FROM unnest(%(names)s::text[]) AS name"


def chosen(names: Sequence[str]) -> list[Dataset]:
    """The data sets of these names (default: all)."""
    return [dataset for name, dataset in DATASETS.items() if not names or name in names]


def stats_of(database: Database, datasets: Sequence[Dataset]) -> pl.DataFrame:
    """The same as `figures_of`, as a frame."""
    types = {"zh": pl.String, "source": pl.String, "first": pl.Date, "latest": pl.Date}
    return pl.DataFrame(figures_of(database, datasets), schema_overrides=types)


def figures_of(database: Database, datasets: Sequence[Dataset]) -> list[Row]:
    """A row per data set and source: dataset, zh, source, rows, first, latest, codes, bytes.

    An empty table has one row without a source. `first` and `latest` are null for lists without dates, `codes` 0 where
    there are none; `bytes` is the whole table's, indexes included.
    """
    counts = counts_of(database, datasets)
    with database.connect() as connection:
        sizes = dict(connection.execute(_SIZES, {"names": [dataset.name for dataset in datasets]}).fetchall())
    return [
        {
            "dataset": dataset.name,
            "zh": dataset.zh,
            "source": row["source"],
            "rows": row["rows"],
            "first": _day(row["first"]),
            "latest": _day(row["latest"]),
            "codes": row["codes"],
            "bytes": sizes[dataset.name],
        }
        for dataset in datasets
        for row in counts[dataset.name] or [_NONE]
    ]


def _day(text: str | None) -> dt.date | None:
    return None if text is None else dt.date.fromisoformat(text)
