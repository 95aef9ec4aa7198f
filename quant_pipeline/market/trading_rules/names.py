"""What a share's name of the day says of the rules it is under: special treatment (ST), the delisting period."""

from __future__ import annotations

import datetime as dt

import polars as pl

_SPECIAL = r"^(?:XD|XR|DR|[NGC])?\s*S?\*?(?:ST|PT)"
_UNREFORMED = r"^S[^A-Z*]"
_UNREFORMED_SINCE = dt.date(2007, 1, 8)
"""From this day on shares that had not yet been reformed (S佳通) had the limits of ST."""
_REFORM_OVER = dt.date(2014, 1, 1)
"""By then all but a handful of shares were reformed: before it, no ST mark says that a share was none of those."""
_REFORMED_LISTINGS = dt.date(2006, 6, 19)
"""Whatever was listed from this day on had no unreformed shares."""
_LEAVING = dt.timedelta(days=90)
"""Within so many days before the delisting a share may be in its delisting period, where an ST mark says nothing."""
_DELISTING = r"^退市|退$"


def special_treatment(name: pl.Expr, trade_date: pl.Expr) -> pl.Expr:
    """Whether a share of that name, on that day, is one of those with narrower limits: ST, *ST, PT, and S from 2007-01-08."""
    unreformed = name.str.contains(_UNREFORMED) & (trade_date >= _UNREFORMED_SINCE)
    return name.str.contains(_SPECIAL) | unreformed


def st_of_the_day() -> pl.Expr:
    """Whether a share was under special treatment on the row's day: by its name of that day, else by a source's mark; null
    where neither decides it.

    Of rows with trade_date · name (of that day) · is_st (the mark, 1 or 0) · name_today · list_date · delist_date. The mark
    does not know the unreformed shares (S) of 2007-2013, nor who was in its delisting period. Who is unreformed today was
    so then.
    """
    day, listed, mark = pl.col("trade_date"), pl.col("list_date"), pl.col("is_st")
    unreformed = pl.col("name_today").str.contains(_UNREFORMED).fill_null(False) & (day >= _UNREFORMED_SINCE)
    in_reform = day.is_between(_UNREFORMED_SINCE, _REFORM_OVER, closed="left")
    perhaps_unreformed = in_reform & (listed < _REFORMED_LISTINGS).fill_null(True)
    marked = (
        pl.when((day >= pl.col("delist_date") - _LEAVING).fill_null(False))
        .then(None)
        .when((mark == 1) | unreformed)
        .then(True)
        .when((mark == 0) & ~perhaps_unreformed)
        .then(False)
    )
    return pl.coalesce(special_treatment(pl.col("name"), day), marked)


def delisting_period(name: pl.Expr) -> pl.Expr:
    """Whether a share of that name is in its delisting period: 退市海润, 海润退."""
    return name.str.contains(_DELISTING)
