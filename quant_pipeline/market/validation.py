"""Validation: every incoming frame against its spec. Good rows go on, bad rows are kept whole, each with its reason."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import polars as pl

from quant_pipeline.language import marked, told
from quant_pipeline.market.columns import Column, ColumnType
from quant_pipeline.market.dataset import Dataset

REASON = "reason"
_UNREADABLE = (marked("{column} is no {kind}"), marked("{column} holds a zero byte"))


class SpecError(ValueError):
    """The frame as a whole is not what the spec describes (columns are missing); no row of it can be judged."""


@dataclass(frozen=True)
class Checked:
    """`good`: the spec's columns in its types. `bad`: rows whole, as they came, with `reason` (what they break).

    `unreadable`: how many values of which columns no row was refused for, though they could not be read ("--", "null", a
    text where a number belongs): the columns are not required, and the good rows have null there.
    """

    good: pl.DataFrame
    bad: pl.DataFrame
    unreadable: Mapping[str, int] = field(default_factory=dict)


def validate(
    dataset: Dataset, frame: pl.DataFrame, *, expected_session: dt.date | None, sessions: Collection[dt.date]
) -> Checked:
    """Judges every row of a source's answer; SpecError when columns of the spec are missing.

    Values are cast to the spec's types ("20261120" is a date, 1.0 a whole number). One that cannot be makes its row bad
    in a required column; in any other it becomes null and is counted (`Checked.unreadable`). Bad too are rows with a null
    in a required column, a broken rule, a trade_date that is not one of `sessions`, or not the `expected_session` that was
    asked for. Nothing is filled in: a row without a date is bad. Columns that the spec does
    not know are dropped. A list (not by session) may lack columns that are not required: servers differ in them, and they
    come as null. Rows equal in all columns collapse into one, rows that complete each other by the data set's rule (`merge`)
    too; others that agree in the key only are all bad.
    """
    absent = [column for column in dataset.columns if column.name not in frame.columns]
    if missing := [column.name for column in absent if dataset.dated or column.required]:
        came = ", ".join(frame.columns) or "nothing"
        raise SpecError(
            told(
                "{dataset}: the answer lacks {columns} (it has {came})",
                dataset=dataset.name,
                columns=", ".join(missing),
                came=came,
            )
        )
    frame = frame.with_columns(pl.lit(None, pl.String).alias(column.name) for column in absent)
    try:
        cast = frame.select(_cast(column, frame.schema[column.name]) for column in dataset.columns)
    except pl.exceptions.PolarsError as error:
        raise SpecError(
            told("{dataset}: the answer cannot be read as the spec's types ({error})", dataset=dataset.name, error=error)
        ) from error
    unreadable = _unreadable(dataset, frame, cast)
    cast = cast.with_columns(pl.when(~where).then(pl.col(name)).alias(name) for name, where in unreadable.items())
    reasons = _reasons(dataset, frame, cast, unreadable, expected_session, sessions)
    good = reasons == ""
    sound = cast if good.all() else cast.filter(good)
    if _repeats(dataset, sound):
        sound = _merged(dataset, sound.unique(maintain_order=True))
        twice = pl.struct(dataset.key).is_duplicated()
        contradicting = sound.filter(twice).select(dataset.key).unique()
        sound = sound.filter(~twice)
        of_them = cast.select(pl.struct(dataset.key).is_in(contradicting.to_struct("key").implode())).to_series()
        reasons = pl.select(pl.when(of_them & good).then(pl.lit("contradicting_duplicate")).otherwise(reasons)).to_series()
    optional = (column.name for column in dataset.columns if not column.required)
    counted = {name: int((unreadable[name] & (reasons == "")).sum()) for name in optional if name in unreadable}
    bad = frame.with_columns(reasons.alias(REASON)).filter(pl.col(REASON) != "")
    return Checked(sound, bad, {name: count for name, count in counted.items() if count})


def keys_of(dataset: Dataset, rows: pl.DataFrame) -> pl.DataFrame:
    """The keys of raw rows, those that were refused say, in the spec's types; rows without a readable key are left out."""
    key = [dataset.column(name) for name in dataset.key]
    if any(column.name not in rows.columns for column in key):
        return pl.DataFrame(schema={column.name: column.type.polars for column in key})
    return rows.select(_cast(column, rows.schema[column.name]).alias(column.name) for column in key).drop_nulls().unique()


def _merged(dataset: Dataset, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows, where those of one key that complete each other are one."""
    if dataset.merge is None or not _repeats(dataset, rows):
        return rows
    merged = dataset.merge(rows.filter(pl.struct(dataset.key).is_duplicated()))
    return pl.concat([rows.join(merged, on=dataset.key, how="anti"), merged])


def _repeats(dataset: Dataset, rows: pl.DataFrame) -> bool:
    """Whether a key stands there twice. One look at the keys spares nearly every answer the rest."""
    return rows.select(dataset.key).n_unique() < rows.height


def _unreadable(dataset: Dataset, raw: pl.DataFrame, cast: pl.DataFrame) -> dict[str, pl.Series]:
    """For each column with such values: where there is a value, but none of the spec's type, or a text that PostgreSQL
    cannot store."""
    # Counted in one pass: of nearly every answer nothing is to be looked at more closely.
    absent = raw.select(_present(name, raw.schema[name]).null_count() for name in dataset.column_names).row(0, named=True)
    texts = [column.name for column in dataset.columns if column.type is ColumnType.TEXT]
    zeros = cast.select(_holds_zero(name).any() for name in texts).row(0, named=True) if texts else {}
    found = {}
    for name in dataset.column_names:
        if cast[name].null_count() > absent[name]:
            found[name] = cast[name].is_null() & ~_absent(raw, name)
        if zeros.get(name):
            zero = cast.select(_holds_zero(name)).to_series()
            found[name] = found[name] | zero if name in found else zero
    return found


def _holds_zero(name: str) -> pl.Expr:
    return pl.col(name).str.contains("\0", literal=True).fill_null(False)


def _absent(raw: pl.DataFrame, name: str) -> pl.Series:
    return raw.select(_present(name, raw.schema[name]).is_null()).to_series()


def _reasons(
    dataset: Dataset,
    raw: pl.DataFrame,
    cast: pl.DataFrame,
    unreadable: Mapping[str, pl.Series],
    expected: dt.date | None,
    sessions: Collection[dt.date],
) -> pl.Series:
    """Per row, what it breaks, joined by ", "; empty for a sound row."""
    broken: list[tuple[str, pl.Expr]] = []
    for column in (each for each in dataset.columns if each.required):
        if column.name in unreadable:
            wrong = told(_UNREADABLE[column.type is ColumnType.TEXT], column=column.name, kind=column.type.name.lower())
            broken.append((wrong, pl.lit(unreadable[column.name])))
        if cast[column.name].null_count() and (absent := _absent(raw, column.name)).any():
            broken.append((told("{column} is missing", column=column.name), pl.lit(absent)))
    broken += [(rule.name, ~rule.holds()) for rule in dataset.rules]
    if dataset.dated:
        day = pl.col("trade_date")
        if expected is not None:
            broken.append((told("trade_date is not {day}, which was asked for", day=expected), day != expected))
        broken.append((marked("trade_date is not a session"), ~day.is_in(pl.Series(list(sessions), dtype=pl.Date).implode())))
    # A comparison with null is null, and so no reason: an absent value breaks no rule.
    words = [pl.when(check).then(pl.lit(why)) for why, check in broken]
    if not words:  # a list in which nothing is required that is absent
        return pl.repeat("", cast.height, eager=True)
    return cast.select(pl.concat_str(words, separator=", ", ignore_nulls=True)).to_series()


def _present(name: str, dtype: pl.DataType) -> pl.Expr:
    """The value, or null where there is none: null, NaN, or blank text."""
    value = pl.col(name)
    if dtype.is_float():
        return value.fill_nan(None)
    if dtype == pl.String:
        text = value.str.strip_chars()
        return pl.when(text != "").then(text)
    return value


def _cast(column: Column, dtype: pl.DataType) -> pl.Expr:
    """The column in the spec's type; null where there is no value, or none of that type."""
    value = _present(column.name, dtype)
    match column.type:
        case ColumnType.TEXT:
            return value.cast(pl.String, strict=False)
        case ColumnType.DATE:
            return _date(value, dtype)
        case ColumnType.FLOAT:
            number = value.cast(pl.Float64, strict=False)
            return pl.when(number.is_finite()).then(number)
        case ColumnType.INT:
            if dtype.is_integer():
                return value.cast(pl.Int64, strict=False)
            number = value.cast(pl.Float64, strict=False)
            return pl.when(number == number.round()).then(number.cast(pl.Int64, strict=False))


def _date(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if dtype.is_temporal():
        return value.cast(pl.Date)
    if dtype.is_numeric():  # 20261120, or 20261120.0 where pandas had a gap in the column
        value = value.cast(pl.Int64, strict=False).cast(pl.String)
    elif dtype != pl.String:
        return value.cast(pl.Date, strict=False)
    return pl.coalesce(value.str.to_date(form, strict=False) for form in ("%Y%m%d", "%Y-%m-%d"))
