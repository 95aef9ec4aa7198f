"""Keeps the lake current: the years whose rows changed are written anew, and no others."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from quant_pipeline.language import say
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import OF_THE_LAKE
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake.files import drop_unfinished, file_of, kept_years, opened, write
from quant_pipeline.warehouse.lake.manifest import Manifest
from quant_pipeline.warehouse.lake.snapshot import Snapshot, snapshot
from quant_pipeline.warehouse.lake.state import years_of
from quant_pipeline.warehouse.reads import statement_of
from quant_pipeline.warehouse.table_changes import EVERY_YEAR, fold

_LOCK = 0x51504C4B  # "QPLK"


class LakeError(RuntimeError):
    """The lake cannot be written; the text says why, and what to do."""


@dataclass(frozen=True)
class Written:
    """A file that was written; of a list, `year` is EVERY_YEAR."""

    dataset: str
    year: int
    rows: int
    bytes: int
    path: Path


def sync(
    database: Database,
    folder: Path,
    *,
    datasets: Collection[Dataset] = tuple(OF_THE_LAKE.values()),
    told: Callable[[Written], None] = lambda _: None,
) -> list[Written]:
    """Writes what is out of date, each file whole or not at all; what it wrote, `told` as it is written.

    All that it writes is of one moment. A second process waits for the first one, and then finds nothing left to do. What a
    killed one leaves behind is out of date for every reader, and written by the next. LakeError when the folder cannot be
    written to.
    """
    written = []
    with _alone(database), _refusals(folder):
        folder.mkdir(parents=True, exist_ok=True)
        drop_unfinished(folder)
        with snapshot(database, None) as stored:
            manifest = Manifest(folder, database)
            for dataset, year in _looked_at(stored, folder, manifest, datasets):
                path, label = file_of(folder, dataset, year), stored.label(dataset, year)
                held = write(path, dataset, _rows(stored, dataset, year), label)
                manifest.add(dataset, path, held)
                manifest.save()
                written.append(Written(dataset.name, year, held.rows, path.stat().st_size, path))
                told(written[-1])
            manifest.save()
    return written


def _looked_at(stored: Snapshot, folder: Path, manifest: Manifest, datasets: Collection[Dataset]) -> list[tuple[Dataset, int]]:
    """What is out of date; what is current goes into the manifest."""
    stale = []
    for dataset in OF_THE_LAKE.values():
        for year in sorted({*years_of(stored, dataset), *kept_years(folder, dataset)}):
            path = file_of(folder, dataset, year)
            found = opened(path)
            if found is not None:
                found.file.close()
                manifest.add(dataset, path, found.held)
            if dataset in datasets and (found is None or found.held.label != stored.label(dataset, year)):
                stale.append((dataset, year))
    return stale


def _rows(stored: Snapshot, dataset: Dataset, year: int) -> pl.DataFrame:
    names = [column.name for column in dataset.stored_columns]
    days = (None, None) if year == EVERY_YEAR else (dt.date(year, 1, 1), dt.date(year, 12, 31))
    return stored.sql(statement_of(dataset, names, days, None))


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """One process writes a database's lake at a time."""
    with database.connect() as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        fold(connection)
        connection.commit()
        yield


@contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LakeError(
            say(
                "the lake in {folder} cannot be written ({why}): free what it needs, or set QUANT_HOME to another folder",
                folder=folder,
                why=error.strerror or error,
            )
        ) from None
