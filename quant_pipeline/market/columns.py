"""The vocabulary of a Dataset spec: column types, columns and row rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import polars as pl


class ColumnType(StrEnum):
    """What a column holds. The warehouse maps it to PostgreSQL, the validation to polars."""

    TEXT = "text"
    DATE = "date"
    FLOAT = "double precision"
    INT = "bigint"

    @property
    def polars(self) -> pl.DataType:
        return _in_polars()[self]


@cache
def _in_polars() -> dict[ColumnType, pl.DataType]:
    return {
        ColumnType.TEXT: pl.String(),
        ColumnType.DATE: pl.Date(),
        ColumnType.FLOAT: pl.Float64(),
        ColumnType.INT: pl.Int64(),
    }


@dataclass(frozen=True)
class Column:
    """One column of a data set.

    `unit` is the unit that is stored (元, 手, 千元, %, …); `required` columns may not be null.
    """

    name: str
    type: ColumnType
    zh: str
    doc: str
    unit: str = ""
    required: bool = False


@dataclass(frozen=True)
class Rule:
    """A sanity rule for one row. `holds` is True for a good row; null counts as good (an absent value breaks no rule)."""

    name: str
    doc: str
    holds: Callable[[], pl.Expr]


def text(name: str, zh: str, doc: str, *, required: bool = False) -> Column:
    """A text column."""
    return Column(name, ColumnType.TEXT, zh, doc, required=required)


def date(name: str, zh: str, doc: str, *, required: bool = False) -> Column:
    """A calendar day (exchange time, no clock)."""
    return Column(name, ColumnType.DATE, zh, doc, required=required)


def number(name: str, zh: str, doc: str, unit: str = "", *, required: bool = False) -> Column:
    """A floating-point column with its unit."""
    return Column(name, ColumnType.FLOAT, zh, doc, unit, required)


def integer(name: str, zh: str, doc: str, unit: str = "", *, required: bool = False) -> Column:
    """A whole-number column."""
    return Column(name, ColumnType.INT, zh, doc, unit, required)
