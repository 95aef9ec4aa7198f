"""Price limits (涨跌停) by the exchanges' rules: for sessions whose `price_limits` are not there; where they are, they win.

A limit is pre_close x (1 ± r), rounded half up to a tick; the BSE rounds the up limit down and the down limit up.
Source: the exchanges' trading rules; the roundings were checked against real sessions of every board.
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import polars as pl

from quant_pipeline.market.codes import Board, board_of

FIRST_LIMITS = dt.date(1996, 12, 16)
"""Before this day the limits were others, or none: the rules here do not tell."""
FIRST_DAY_RULE = dt.date(2014, 1, 1)
"""A listing's first day is limited to +44 % and -36 % of the issue price; before, it was not limited."""
CHINEXT_REFORM = dt.date(2020, 8, 24)
"""ChiNext: 20 % (ST too), and listings from this day on begin with five sessions without limits."""
BOND_LIMITS = dt.date(2022, 8, 1)
"""Convertible bonds: 20 %, after a first day with rules of its own; before, no limits."""
MAIN_REFORM = dt.date(2023, 4, 10)
"""Main boards: listings from this day on (registration) begin with five sessions without limits."""
_FREE_SESSIONS = 5


class Limits(NamedTuple):
    """The lowest and the highest price of a session [元]; None where there is no limit, or the rules do not tell it."""

    down: float | None
    up: float | None


def price_limits(
    ts_code: str, session: dt.date, pre_close: float, *, st: bool = False, listed: dt.date | None = None, nth: int | None = None
) -> Limits:
    """One code's limits in one session. `listed` and `nth` (1 on the first day) are needed for a listing's first sessions
    only. Funds have none here: theirs depend on the index that they follow."""
    row = pl.DataFrame(
        {"ts_code": [ts_code], "trade_date": [session], "pre_close": [pre_close], "st": [st], "listed": [listed], "nth": [nth]},
        schema_overrides={"listed": pl.Date, "nth": pl.Int64},
    )
    down, up = limits_of(st=pl.col("st"), listed=pl.col("listed"), nth=pl.col("nth"))
    return Limits(*row.select(down=down, up=up).row(0))


def limits_of(*, st: pl.Expr, listed: pl.Expr, nth: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Down and up limit [元] for rows with ts_code, trade_date and pre_close (the ex-rights one).

    `st`: whether the code was ST or *ST that day · `listed`: its first day · `nth`: the how many-th session since then (1
    is the first; null or large: long listed). Null where there is no limit, or the rules do not tell it: the first days
    above, funds, and what the exchanges set case by case (after a long halt, in a delisting period).
    """
    board = board_of(pl.col("ts_code"))
    down_rate, up_rate = _rates(board, st, listed, nth)
    ticks_per_yuan = _ticks_per_yuan(board)
    # Whole ticks and thousandths: a tie is a tie, as no product of floats would tell it.
    pre_close = (pl.col("pre_close") * ticks_per_yuan).round().cast(pl.Int64)
    down, up = pre_close * (1000 - down_rate), pre_close * (1000 + up_rate)
    on_bse = board == Board.BSE.value
    down = pl.when(on_bse).then((down + 999) // 1000).otherwise((down + 500) // 1000)
    up = pl.when(on_bse).then(up // 1000).otherwise((up + 500) // 1000)
    # Rounded once more: polars divides by a constant in a way that can miss the nearest float (0.35000000000000003).
    return (down / ticks_per_yuan).round(3), (up / ticks_per_yuan).round(3)


def _rates(board: pl.Expr, st: pl.Expr, listed: pl.Expr, nth: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Down and up rate in thousandths, null where there is no limit."""
    session = pl.col("trade_date")
    nth = nth.fill_null(_FREE_SESSIONS + 1)
    main = board.is_in([Board.SSE_MAIN.value, Board.SZSE_MAIN.value])
    chinext, star = board == Board.CHINEXT.value, board == Board.STAR.value
    registered = star | (chinext & (listed >= CHINEXT_REFORM)) | (main & (listed >= MAIN_REFORM))
    free = (
        (registered & (nth <= _FREE_SESSIONS))
        | (board.is_in([Board.BSE.value, Board.CONVERTIBLE_BOND.value]) & (nth == 1))
        | ((nth == 1) & (session < FIRST_DAY_RULE))
    )
    first_day = (nth == 1) & (main | chinext)
    bond = board == Board.CONVERTIBLE_BOND.value
    usual = (
        pl.when((session < FIRST_LIMITS) | (board == Board.ETF.value) | (bond & (session < BOND_LIMITS)))
        .then(None)
        .when(board == Board.BSE.value)
        .then(300)
        .when(star | bond | (chinext & (session >= CHINEXT_REFORM)))
        .then(200)
        .when(st)
        .then(50)
        .otherwise(100)
    )
    usual = pl.when(board.is_not_null() & ~free.fill_null(False)).then(usual)
    return (
        pl.when(first_day & usual.is_not_null()).then(360).otherwise(usual).cast(pl.Int64),
        pl.when(first_day & usual.is_not_null()).then(440).otherwise(usual).cast(pl.Int64),
    )


def _ticks_per_yuan(board: pl.Expr) -> pl.Expr:
    """100; 1000 for bonds and for Shanghai's B shares (in US dollars)."""
    fine = (board == Board.CONVERTIBLE_BOND.value) | pl.col("ts_code").str.starts_with("900")
    return pl.when(fine).then(1000).otherwise(100)
