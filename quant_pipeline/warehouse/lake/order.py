"""One frame of several that are sorted by code each, and follow each other in time: what files by year are.

Every part holds a code's rows as one stretch, so that stretches are put in their places, and no row is sorted. Parts are read
straight into the memory of the whole: at ten million rows fresh memory costs as much as reading does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.stretches import ByCode, Stretches, offsets_of, rows_from, stretches_of

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_AT_ONCE = 2
"""Parts that are read at a time: one is decoded while another is put in its place."""


@dataclass(frozen=True)
class Part:
    """The rows of some sessions, sorted by their key, not read yet. `read`: these columns of them, every time the same rows;
    `counted`: whose rows they are, where there is a shorter way than to read it."""

    read: Callable[[Sequence[str]], pl.DataFrame]
    counted: Callable[[], Stretches] | None = None

    def stretches(self) -> Stretches:
        """Whose rows they are."""
        return self.counted() if self.counted else stretches_of(self.read(["ts_code"])["ts_code"])


def part_of(table: ByCode) -> Part:
    """Rows that are here already."""
    return Part(table.select, table.stretches)


def steps_of(part: Part, column: str) -> Part:
    """Of the part each code's first row, and those whose value is not that of the row before: trade_date and this column."""
    codes, lengths = part.stretches()
    return part_of(ByCode(codes, offsets_of(lengths), part.read(["trade_date", column])).steps(column))


def together(
    parts: Sequence[Part], types: Mapping[str, pl.DataType], wanted: Callable[[pl.Series], pl.Series] | None = None
) -> ByCode:
    """The columns (all but ts_code, with their types) of the parts, which follow each other in time, sorted by code and day.

    `wanted`: says of codes which ones are, true or false; the rows of others are left out.
    """
    columns = list(types)
    found = [part.stretches() for part in parts]
    if len(parts) == 1 and wanted is None:
        return ByCode(found[0].codes, offsets_of(found[0].lengths), parts[0].read(columns))
    import numpy as np  # a tenth of a second of every process that only opens the lake

    codes = pl.concat([each.codes for each in found])
    lengths = pl.concat([each.lengths for each in found]).to_numpy()
    left_out = pl.Series(np.zeros(len(codes), dtype=bool)) if wanted is None else ~wanted(codes)
    stretches = pl.DataFrame({"left_out": left_out, "code": codes, "number": np.arange(len(codes))})
    stretches = stretches.sort("left_out", "code", "number")  # what is left out stands behind the others, and is cut off
    order = stretches["number"].to_numpy()
    ends = np.cumsum(lengths[order])
    begins = np.empty(len(codes), dtype=np.int64)
    begins[order] = ends - lengths[order]
    firsts = np.cumsum([0, *(len(each.codes) for each in found)])
    memory = _Memory(types, int(lengths.sum()))

    def put(number: int) -> None:
        mine = slice(firsts[number], firsts[number + 1])
        first_row = int(lengths[: firsts[number]].sum())
        memory.put(parts[number].read(columns), first_row, rows_from(begins[mine], lengths[mine]))

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(put, range(len(parts))))
    kept = len(codes) - int(left_out.sum())
    each_code, of_code = stretches_of(stretches["code"].head(kept))
    offsets = np.append(0, ends)[offsets_of(of_code)]
    return ByCode(each_code, offsets, memory.frame().head(int(offsets[-1])))


def followed(dataset: Dataset, earlier: ByCode, later: ByCode) -> ByCode:
    """The rows of both as one: of no code is a day of `earlier` after one of `later`."""
    parts = [part_of(table) for table in (earlier, later)]
    return together(parts, types_of(dataset, later.rows.columns))


def types_of(dataset: Dataset, columns: Sequence[str]) -> dict[str, pl.DataType]:
    """Of these columns but ts_code, which `together` counts by."""
    types = {column.name: column.type.polars for column in dataset.stored_columns}
    return {name: types[name] for name in columns if name != "ts_code"}


class _Memory:
    """The columns of the whole, filled part by part. Numbers and days go to their places at once, texts at the end."""

    def __init__(self, types: Mapping[str, pl.DataType], rows: int) -> None:
        import numpy as np

        kinds = {pl.Float64: np.float64, pl.Int64: np.int64, pl.Date: np.int32}
        self._types, self._rows = types, rows
        self._values = {name: np.empty(rows, kinds[type(kind)]) for name, kind in types.items() if type(kind) in kinds}
        self._null: dict[str, Array] = {}
        self._others = {name: kind for name, kind in types.items() if name not in self._values}
        self._texts: dict[int, tuple[pl.DataFrame, Array]] = {}

    def put(self, frame: pl.DataFrame, first_row: int, places: Array) -> None:
        """The rows of a part, the first of which is the `first_row` of all parts, belong in these places."""
        import numpy as np

        for name, values in self._values.items():
            at = 0
            for chunk in frame[name].to_physical().get_chunks():
                where = places[at : at + len(chunk)]
                at += len(chunk)
                if chunk.null_count():
                    self._null.setdefault(name, np.zeros(self._rows, dtype=bool))[where] = chunk.is_null().to_numpy()
                    chunk = chunk.fill_null(0)
                values[where] = chunk.to_numpy()
        if self._others and frame.height:
            self._texts[first_row] = frame.select(*self._others), places

    def frame(self) -> pl.DataFrame:
        """All columns, whole."""
        columns = {name: pl.Series(name, values).cast(self._types[name]) for name, values in self._values.items()}
        for name, null in self._null.items():
            columns[name] = columns[name].set(pl.Series(null), None)
        if self._others:
            import numpy as np

            rows = np.empty(self._rows, dtype=np.uint32)
            for first, (_, places) in self._texts.items():
                rows[places] = np.arange(first, first + len(places), dtype=np.uint32)
            texts = pl.concat([pl.DataFrame(schema=self._others), *(self._texts[first][0] for first in sorted(self._texts))])
            columns |= texts.select(pl.all().gather(pl.Series(rows))).to_dict()
        return pl.DataFrame([columns[name] for name in self._types])
