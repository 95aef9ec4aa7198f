"""How the lake stands: which of its files are current. Nothing is written."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import OF_THE_LAKE
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake.files import file_of, kept_years, opened
from quant_pipeline.warehouse.lake.snapshot import Snapshot, snapshot
from quant_pipeline.warehouse.table_changes import EVERY_YEAR

_BOUNDS = """
SELECT extract(year FROM min(trade_date))::integer AS first, extract(year FROM max(trade_date))::integer AS last FROM {}
"""


@dataclass(frozen=True)
class KeptFile:
    """A year of a data set (EVERY_YEAR: a list). `current`: readers take the file; else they read the table.

    `written_at` None: there is no file yet.
    """

    dataset: str
    year: int
    current: bool
    rows: int
    bytes: int
    written_at: str | None


def state(database: Database, folder: Path) -> list[KeptFile]:
    """Every file that there is, or that the next sync would write."""
    with snapshot(database, None) as stored:
        return [
            _kept(stored, folder, dataset, year)
            for dataset in OF_THE_LAKE.values()
            for year in sorted({*years_of(stored, dataset), *kept_years(folder, dataset)})
        ]


def years_of(stored: Snapshot, dataset: Dataset) -> Collection[int]:
    """The years of which the table may have rows."""
    if not dataset.dated:
        return [EVERY_YEAR]
    first, last = stored.sql(sql.SQL(_BOUNDS).format(sql.Identifier(dataset.name)).as_string()).row(0)
    return [] if first is None else range(first, last + 1)


def _kept(stored: Snapshot, folder: Path, dataset: Dataset, year: int) -> KeptFile:
    path = file_of(folder, dataset, year)
    found = opened(path)
    if found is None:
        return KeptFile(dataset.name, year, current=False, rows=0, bytes=0, written_at=None)
    with found.file:
        held, size = found.held, path.stat().st_size
    return KeptFile(dataset.name, year, held.label == stored.label(dataset, year), held.rows, size, held.written_at)
