"""Rows by code: frames of which each code's rows stand together, and whose codes are told once, not row by row.

Ten years of the market are 12.5 million rows of 5,000 codes: what is the same in thousands of rows is not read, copied and
compared in each of them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import polars as pl

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


BY_CODE = ("ts_code", "trade_date")
"""The key of rows by code and session."""


class Stretches(NamedTuple):
    """The codes of rows of which a code's stand together, each once, in their order, and how many rows each has (Int64)."""

    codes: pl.Series
    lengths: pl.Series


def stretches_of(codes: pl.Series) -> Stretches:
    """Of a column in which equal codes stand together."""
    begins = (codes != codes.shift(1)).fill_null(True).arg_true().cast(pl.Int64)
    ends = begins.shift(-1, fill_value=len(codes))
    return Stretches(codes.gather(begins), (ends - begins).alias("rows"))


@dataclass(frozen=True)
class ByCode:
    """`codes`: each once · `offsets`: where each one's rows begin, and the end (int64) · `rows`: the other columns."""

    codes: pl.Series
    offsets: Array
    rows: pl.DataFrame

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Self:
        """The frame's rows; those of a ts_code stand together."""
        codes, lengths = stretches_of(frame["ts_code"])
        return cls(codes, offsets_of(lengths), frame.drop("ts_code"))

    @classmethod
    def sorted(cls, frame: pl.DataFrame) -> Self:
        """The frame's rows, whatever their order."""
        return cls.of(by_code(frame))

    @property
    def lengths(self) -> Array:
        """How many rows each code has (int64)."""
        import numpy as np

        found: Array = np.diff(self.offsets)
        return found

    def frame(self) -> pl.DataFrame:
        """The rows, each with its ts_code."""
        return self.rows.select(self.code_of_rows(), pl.all())

    def beside(self, columns: pl.DataFrame) -> Self:
        """The rows with these columns beside them."""
        return replace(self, rows=self.rows.hstack(columns))

    def without(self, left_out: pl.Series) -> Self:
        """The rows of which `left_out` says false."""
        import numpy as np

        if not left_out.any():
            return self
        kept = ~left_out
        offsets = np.append(0, np.cumsum(kept.to_numpy(), dtype=np.int64))[self.offsets]
        return replace(self, offsets=offsets, rows=self.rows.filter(kept))

    def at(self, rows: Array) -> pl.DataFrame:
        """The rows of these numbers, each with its ts_code."""
        import numpy as np

        numbers = np.searchsorted(self.offsets, rows, side="right") - 1
        return self.rows[rows].select(self.codes.gather(pl.Series(numbers)).alias("ts_code"), pl.all())

    def begun_at(self, begins: Array) -> Self:
        """Of each code the rows from this number on, up to its last."""
        import numpy as np

        if np.array_equal(begins, self.offsets[:-1]):
            return self
        lengths = self.offsets[1:] - begins
        offsets = np.append(0, np.cumsum(lengths))
        return replace(self, offsets=offsets, rows=self.rows[rows_from(begins, lengths)])

    def counted_before(self, day: dt.date) -> Array:
        """Of each code the number of rows of before that day (int64)."""
        import numpy as np

        earlier = np.append(0, np.cumsum((self.rows["trade_date"] < day).to_numpy()))
        found: Array = np.diff(earlier[self.offsets])
        return found

    def code_of_rows(self) -> pl.Series:
        """The column ts_code."""
        import numpy as np

        numbers = np.repeat(np.arange(len(self.codes), dtype=np.uint32), self.lengths)
        return self.codes.gather(pl.Series(numbers)).alias("ts_code")


def by_code(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows sorted by ts_code and trade_date; the frame itself where they are already.

    Numbers are sorted, not texts, by what is fast where some sorted frames stand one after the other.
    """
    key = _keys(ByCode.of(frame))[0]
    return frame if (key[1:] >= key[:-1]).all() else frame.rechunk()[key.argsort(kind="stable")]


_DAYS = 1 << 32
"""More than there are days: a code's number and a day make one number that is in order as the two are."""


def _keys(*tables: ByCode) -> list[Array]:
    """Of each table's rows a number for the ts_code and trade_date (int64), the same in all."""
    import numpy as np

    kind = pl.Enum(pl.concat([table.codes for table in tables]).unique().sort())
    keys = []
    for table in tables:
        numbers = table.codes.cast(kind).to_physical().to_numpy().astype(np.int64) * _DAYS
        keys.append(np.repeat(numbers, table.lengths) + table.rows["trade_date"].cast(pl.Date).to_physical().to_numpy())
    return keys


def beside(bars: ByCode, rows: ByCode, *, or_before: bool = False) -> pl.DataFrame:
    """Beside each bar the columns of the row of its ts_code and trade_date, null where there is none; `or_before`: of the
    code's last day up to it. Both sorted by code and day; the result has a row per bar, without the key."""
    import numpy as np

    asked, known = _keys(bars, rows)
    others = rows.rows.drop("trade_date")
    if len(asked) == len(known) and np.array_equal(asked, known):
        return others
    places = np.searchsorted(known, asked, side="right") - 1
    found = np.append(known, -1)[places]  # -1: before all that is known
    there = found // _DAYS == asked // _DAYS if or_before else found == asked
    return others.select(pl.all().gather(pl.Series(places).set(pl.Series(~there), None)))


def beside_codes(bars: ByCode, of_codes: pl.DataFrame) -> pl.DataFrame:
    """Beside each bar the columns of its code's row, null where there is none."""
    import numpy as np

    known = pl.DataFrame({"ts_code": bars.codes}).join(of_codes, on="ts_code", how="left", maintain_order="left")
    return known.drop("ts_code").select(pl.all().gather(pl.Series(np.repeat(np.arange(len(bars.codes)), bars.lengths))))


def rows_from(begins: Array, lengths: Array) -> Array:
    """The numbers of the rows of stretches that begin there, one stretch after the other."""
    import numpy as np

    found: Array = np.repeat(begins - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
    return found


def offsets_of(lengths: pl.Series) -> Array:
    """Where stretches of these lengths begin that follow each other, and the end (int64)."""
    import numpy as np  # a tenth of a second of every process that only declares what it may read

    return np.append(0, np.cumsum(lengths.to_numpy())).astype(np.int64)
