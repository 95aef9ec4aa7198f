"""What a fault does to the rows of an answer."""

from __future__ import annotations

import polars as pl

from quant_pipeline.sandbox.control.faults import Fault, Kind

PRICES = ("open", "high", "low", "close")


def spoil(fault: Fault, page: pl.DataFrame) -> pl.DataFrame:
    """Carries out what a fault does to the rows of one page, whatever they are about."""
    match fault.kind:
        case Kind.EMPTY:
            return page.clear()
        case Kind.WRONG_ROWS:
            return page.head(round(len(page) * (1 - fault.affected)))
        case Kind.BAD_VALUES:
            return _with_bad_values(page)
        case Kind.NAN:
            return page.with_columns(
                pl.when(~_affected(fault)).then(pl.col(name)).alias(name) for name in _columns(fault, page)
            )
        case Kind.SCALED:
            return page.with_columns(
                pl.when(_affected(fault)).then(pl.col(name) * fault.factor).otherwise(pl.col(name)).alias(name)
                for name in _columns(fault, page)
            )
        case Kind.UNREADABLE:
            return page.with_columns(_unreadable(fault, page, name) for name in _columns(fault, page))
        case Kind.SWAPPED:
            one, other = fault.columns[:2]
            both = one in page.columns and other in page.columns
            return page.rename({one: other, other: one}) if both else page
        case Kind.REORDERED:
            columns = page.get_columns()
            return pl.DataFrame(
                [column.alias(name) for name, column in zip(page.columns, columns[1:] + columns[:1], strict=True)]
            )
        case Kind.NUMERIC_CODES if "ts_code" in page.columns:
            return page.with_columns(pl.col("ts_code").str.slice(0, 6).cast(pl.Int64, strict=False))
        case Kind.CONTRADICTING if "open" in page.columns:
            twice = page.head(fault.count)
            return pl.concat([page, twice.with_columns((pl.col(p) * 1.03).round(2) for p in PRICES if p in page.columns)])
    return page


def refilled(fault: Fault, frame: pl.DataFrame, offset: int, size: int) -> pl.DataFrame:
    """The page of an answer that never ends: as many rows as were asked for, the same ones or ever new ones."""
    if frame.is_empty():
        return frame
    page = frame.select(pl.all().gather(pl.int_range(size) % len(frame)))
    if fault.fresh and "ts_code" in page.columns:
        number = (pl.int_range(size) + offset) % 1_000_000
        page = page.with_columns(ts_code=pl.format("{}.SZ", number.cast(pl.String).str.zfill(6)))
    return page


def _affected(fault: Fault) -> pl.Expr:
    """Whether a row is one of the share, which is spread evenly."""
    row = pl.int_range(pl.len())
    return ((row + 1) * fault.affected).floor() > (row * fault.affected).floor()


def _columns(fault: Fault, page: pl.DataFrame) -> list[str]:
    return [name for name in fault.columns if name in page.columns]


def _unreadable(fault: Fault, page: pl.DataFrame, name: str) -> pl.Series:
    spoilt = page.select(_affected(fault)).to_series()
    return pl.Series(name, [fault.text if bad else value for value, bad in zip(page[name], spoilt, strict=True)], pl.Object)


def _with_bad_values(frame: pl.DataFrame) -> pl.DataFrame:
    """The first row's high (or first figure) is broken, the second has no date, the third stands twice."""
    row = pl.int_range(pl.len())
    broken = next((name for name in ("high", *frame.columns) if frame.schema.get(name) == pl.Float64), None)
    date = next((name for name in frame.columns if name.endswith("_date")), None)
    changes = []
    if broken:
        changes.append(pl.when(row == 0).then(-pl.col(broken)).otherwise(pl.col(broken)).alias(broken))
    if date:
        changes.append(pl.when(row == 1).then(None).otherwise(pl.col(date)).alias(date))
    return pl.concat([frame.with_columns(changes), frame.slice(2, 1)])
