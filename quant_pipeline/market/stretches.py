"""Rows by code: frames of which each code's rows stand together, and whose codes are told once, not row by row.

Ten years of the market are 12.5 million rows of 5,000 codes: what is the same in thousands of rows is not read, copied and
compared in each of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
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


def within(stretches: Stretches, inside: pl.Series) -> Stretches:
    """What is left of them where of their rows only those are of which `inside` says true."""
    import numpy as np

    before = np.append(0, np.cumsum(inside.to_numpy(), dtype=np.int32))
    lengths = pl.Series("rows", np.diff(before[offsets_of(stretches.lengths)]).astype(np.int64))
    return Stretches(stretches.codes.filter(lengths > 0), lengths.filter(lengths > 0))


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
        import numpy as np

        codes = frame["ts_code"]
        known = codes.unique().sort()
        numbers = codes.cast(pl.Enum(known)).to_physical().to_numpy().astype(np.int64)
        offsets = np.append(0, np.cumsum(np.bincount(numbers, minlength=len(known)))).astype(np.int64)
        (days,), first, span = _spanned([frame["trade_date"]])
        keys = _Keys([numbers * span - first + days], span, len(known))
        order, rows = _order(keys), frame.drop("ts_code")
        return cls(known, offsets, rows if order is None else rows.rechunk()[order])

    @property
    def lengths(self) -> Array:
        """How many rows each code has (int64)."""
        import numpy as np

        found: Array = np.diff(self.offsets)
        return found

    def stretches(self) -> Stretches:
        """The codes, and how many rows each has."""
        return Stretches(self.codes, pl.Series(self.lengths))

    def frame(self) -> pl.DataFrame:
        """The rows, each with its ts_code."""
        return self.rows.select(self.code_of_rows(), pl.all())

    def select(self, columns: Sequence[str]) -> pl.DataFrame:
        """These columns, of which ts_code may be one."""
        return (self.frame() if "ts_code" in columns else self.rows).select(columns)

    def beside(self, columns: pl.DataFrame) -> Self:
        """The rows with these columns beside them."""
        return replace(self, rows=self.rows.hstack(columns))

    def filled(self, more: ByCode) -> Self:
        """The rows with the values of `more`, each row of which is one of them, in the columns that it has."""
        import numpy as np

        known, asked = _keys(more, self).rows
        places = np.searchsorted(asked, known)
        columns = [self.rows[name].scatter(places, more.rows[name]) for name in more.rows.columns if name != "trade_date"]
        return replace(self, rows=self.rows.with_columns(columns))

    def without(self, left_out: pl.Series) -> Self:
        """The rows of which `left_out` says false."""
        import numpy as np

        if not left_out.any():
            return self
        kept = ~left_out
        offsets = np.append(0, np.cumsum(kept.to_numpy(), dtype=np.int64))[self.offsets]
        return replace(self, offsets=offsets, rows=self.rows.filter(kept))

    def steps(self, column: str) -> Self:
        """Of each code its first row, and those whose value is not that of the row before."""
        values = self.rows[column]
        same = values.eq_missing(values.shift(1)).to_numpy(writable=True)
        begins = self.offsets[:-1]
        same[begins[begins < len(same)]] = False
        return self.without(pl.Series(same)) if len(same) else self

    def at(self, rows: Array) -> pl.DataFrame:
        """The rows of these numbers, each with its ts_code."""
        import numpy as np

        numbers = np.searchsorted(self.offsets, rows, side="right") - 1
        return self.rows[rows].select(self.codes.gather(pl.Series(numbers)).alias("ts_code"), pl.all())

    def counted_before(self, day: dt.date) -> Array:
        """Of each code the number of rows of before that day (int64)."""
        import numpy as np

        earlier = np.append(0, np.cumsum((self.rows["trade_date"] < day).to_numpy(), dtype=np.int32))
        found: Array = np.diff(earlier[self.offsets]).astype(np.int64)
        return found

    def day_before(self, day: dt.date, rows: int) -> pl.Series:
        """Of each code the day of the row that stands so many before its first one of that day or later, of its first row where
        it has fewer; null of a code that has none so late."""
        import numpy as np

        before = self.counted_before(day)
        places = self.offsets[:-1] + np.maximum(before - rows, 0)
        late = pl.Series(self.lengths > before)
        return self.rows["trade_date"].gather(pl.Series(places).set(~late, None))

    def code_of_rows(self) -> pl.Series:
        """The column ts_code."""
        import numpy as np

        numbers = np.repeat(np.arange(len(self.codes), dtype=np.uint32), self.lengths)
        return self.codes.gather(pl.Series(numbers)).alias("ts_code")


class _Keys(NamedTuple):
    """Of the rows of some tables a number each for its ts_code and trade_date, the same in all tables: in order as the two
    are, a code's `days` apart from the next one's; `codes`: of how many codes in all."""

    rows: list[Array]
    days: int
    codes: int


def _keys(*tables: ByCode) -> _Keys:
    import numpy as np

    days, first, span = _spanned([table.rows["trade_date"] for table in tables])
    kind = pl.Enum(pl.concat([table.codes for table in tables]).unique().sort())
    rows = []
    for table, each in zip(tables, days, strict=True):
        numbers = table.codes.cast(kind).to_physical().to_numpy().astype(np.int64) * span - first
        rows.append(np.repeat(numbers, table.lengths) + each)
    return _Keys(rows, span, len(kind.categories))


def _spanned(days: Sequence[pl.Series]) -> tuple[list[Array], int, int]:
    """The days as numbers, the first of all, and how many there are from it to the last."""
    found = [each.cast(pl.Date).to_physical().to_numpy() for each in days]
    bounds = [bound for each in found if each.size for bound in (int(each.min()), int(each.max()))] or [0]
    return found, min(bounds), max(bounds) - min(bounds) + 1


def _order(keys: _Keys) -> Array | None:
    """The rows of the one table by their key, in the order that they have where it is the same; None: they are so already."""
    import numpy as np

    (key,) = keys.rows
    if (key[1:] >= key[:-1]).all():
        return None
    places = _places_of(key, keys) if _roomy(keys) else None
    if places is None or (order := places[places >= 0]).size < key.size:  # too far apart, or a key twice
        return np.argsort(key, kind="stable")
    return order


def beside(bars: ByCode, rows: ByCode, *, or_before: bool = False) -> pl.DataFrame:
    """Beside each bar the columns of the row of its ts_code and trade_date, null where there is none; `or_before`: of the
    code's last day up to it. Both sorted by code and day; the result has a row per bar, without the key."""
    import numpy as np

    keys = _keys(bars, rows)
    asked, known = keys.rows
    others = rows.rows.drop("trade_date")
    if len(asked) == len(known) and np.array_equal(asked, known):
        return others
    places = _places(keys, or_before=or_before)
    found = np.append(known, -1)[places]  # -1: before all that is known
    exact = found == asked
    if exact.all():  # as a rule: then what is not asked for is left out, which is faster than to fetch what is
        taken = np.zeros(len(known), dtype=bool)
        taken[places] = True
        return others.filter(pl.Series(taken))
    there = found // keys.days == asked // keys.days if or_before else exact
    return others.select(pl.all().gather(pl.Series(places).set(pl.Series(~there), None)))


_FEW = 16
"""Rows that are less than such a part of the others are looked for among these, not these among them."""
_ROOM = 4
"""Days of codes per row up to which a table of all days is filled rather than each row looked for: rows by session have two."""


def _places(keys: _Keys, *, or_before: bool) -> Array:
    """Of each row of the first table the number of the second one's row of its key (`or_before`: or else of the last one
    before it); where there is none, -1, or a row of another key."""
    import numpy as np

    asked, known = keys.rows
    if or_before and len(known) * _FEW < len(asked):
        return np.repeat(np.arange(-1, len(known)), np.diff(np.searchsorted(asked, known), prepend=0, append=len(asked)))
    if not _roomy(keys):
        return np.searchsorted(known, asked, side="right") - 1
    places = _places_of(known, keys)
    found: Array = (np.maximum.accumulate(places, out=places) if or_before else places)[asked]
    return found


def _roomy(keys: _Keys) -> bool:
    """Whether there is memory for all days of all codes: then nothing need be sorted or looked for."""
    return keys.codes * keys.days <= _ROOM * sum(map(len, keys.rows))


def _places_of(key: Array, keys: _Keys) -> Array:
    """Of every day of every code the number of the row that has this key; -1: there is none."""
    import numpy as np

    places = np.full(keys.codes * keys.days, -1, dtype=np.int32)
    places[key] = np.arange(len(key), dtype=np.int32)
    return places


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
