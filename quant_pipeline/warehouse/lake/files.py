"""The lake's files: where each is, what it says of itself, and how it is written.

    lake/sandbox/daily_kline/year=2026/data.parquet      a data set by session: a file per year (Hive's way)
    lake/sandbox/stock_list/data.parquet                 a list: one file

A file says in its own footer which state of the table it holds: what is read of an opened file is what that footer says,
whatever takes its name in the meantime. Rows are sorted by the data set's key, so that row groups can be chosen by code.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.stretches import BY_CODE, Stretches, stretches_of
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.table_changes import EVERY_YEAR

FILE = "data.parquet"
_HELD = "quant_pipeline.held"
_CODES = "quant_pipeline.codes"
"""The codes in their order, and how many rows each has: the column itself need not be read for a whole year."""
_UNFINISHED = ".unfinished"
_LAYOUT = "2"
"""Of sorting, compression, row groups: another one makes every file out of date."""
_ROW_GROUP = 131_072
"""Rows: the codes of one are read as one. Of a year of bars it is 540 codes."""


def folder_of(settings: Settings) -> Path:
    """The mode's lake: sandbox and live data never share one."""
    return settings.home / "lake" / settings.mode.value


def file_of(folder: Path, dataset: Dataset, year: int) -> Path:
    """Where a year of the data set is kept; of a list, `year` is EVERY_YEAR."""
    return folder / dataset.name / FILE if year == EVERY_YEAR else folder / dataset.name / f"year={year}" / FILE


def kept_years(folder: Path, dataset: Dataset) -> Iterator[int]:
    """The years that have a file."""
    for path in (folder / dataset.name).glob(f"year=*/{FILE}"):
        with suppress(ValueError):
            yield int(path.parent.name.removeprefix("year="))


def label_of(dataset: Dataset, state: int) -> str:
    """What a file says that holds this state of the table, in the columns and the layout of now."""
    columns = ",".join(f"{column.name}:{column.type}" for column in dataset.stored_columns)
    return f"{_LAYOUT}.{hashlib.sha256(columns.encode()).hexdigest()[:16]}.{state}"


@dataclass(frozen=True)
class Held:
    """What a file says of itself. `first`, `last`: its sessions (null: it has no rows, or a list's)."""

    label: str
    rows: int
    first: str | None
    last: str | None
    written_at: str


class Opened(NamedTuple):
    """A file, open, what it says of itself, and whose rows it holds, one code after the other (of a list: None)."""

    file: BinaryIO
    held: Held
    stretches: Stretches | None


def opened(path: Path) -> Opened | None:
    """None where there is no file, or none of ours that can be read."""
    try:
        file = path.open("rb")
    except OSError:
        return None
    try:
        said = pl.read_parquet_metadata(file)
        held = Held(**json.loads(said[_HELD]))
        file.seek(0)
        codes, rows = json.loads(said[_CODES]) if _CODES in said else ([], None)
        return Opened(file, held, Stretches(pl.Series(codes, dtype=pl.String), pl.Series(rows)) if rows is not None else None)
    except (OSError, pl.exceptions.PolarsError, KeyError, TypeError, ValueError):
        file.close()
        return None


def write(path: Path, dataset: Dataset, rows: pl.DataFrame, label: str) -> Held:
    """Puts the rows in the file's place, whole or not at all, also where the power fails."""
    sessions = rows["trade_date"] if dataset.dated and rows.height else None
    first, last = (None, None) if sessions is None else (str(sessions.min()), str(sessions.max()))
    held = Held(label, rows.height, first, last, clock.now().isoformat(timespec="seconds"))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(_UNFINISHED)
    with unfinished.open("wb") as file:
        ordered = rows.sort(dataset.key)
        metadata = {_HELD: json.dumps(asdict(held))}
        if dataset.key == BY_CODE:
            codes, lengths = stretches_of(ordered["ts_code"])
            metadata[_CODES] = json.dumps([codes.to_list(), lengths.to_list()])
        _write(file, ordered, metadata)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    return held


def _write(file: BinaryIO, rows: pl.DataFrame, metadata: Mapping[str, str]) -> None:
    """By Arrow's writer: prices in cents are few different numbers, which it writes with a dictionary, in no more room than
    polars' plain numbers, and which are read in a third of the time."""
    import pyarrow.parquet  # with numpy: only for who writes

    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest()).replace_schema_metadata(dict(metadata))
    pyarrow.parquet.write_table(table, file, compression="zstd", row_group_size=_ROW_GROUP)


def drop_unfinished(folder: Path) -> None:
    """Removes what a killed writer left. Only for who alone may write."""
    for path in folder.rglob(f"*{_UNFINISHED}"):
        path.unlink(missing_ok=True)
