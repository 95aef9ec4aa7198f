"""The sandbox's limits and the platform's, written apart from one another, over every code of years in which rules changed.

Neither imports the other: a slip in one of the tables shows here.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from quant_pipeline.market.codes import Board, board_of
from quant_pipeline.market.trading_rules import (
    NO_LIMIT,
    delisting_period,
    price_limits,
    session_number,
    special_treatment,
)
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.listing_boards import limit_prices

CHANGES = {
    1996: "1996-12-16",
    1998: "1998-04-22",
    2013: "2013-12-31",
    2014: "2014-01-02",
    2020: "2020-08-24",
    2021: "2021-11-15",
    2023: "2023-04-10",
    2026: "2026-07-06",
}
MAIN, CHINEXT = Board.SSE_MAIN, Board.CHINEXT
# Year, board, after the change, ST, session since the listing (7: later), session of the delisting period: what was met.
CASES = {
    *((1996, MAIN, after, False, 7, None) for after in (False, True)),
    *((1998, MAIN, after, True, 7, None) for after in (False, True)),
    *((2013, board, False, False, session, None) for board in (MAIN, CHINEXT) for session in (1, 2)),
    *((2014, MAIN, True, False, session, None) for session in (1, 2)),
    *((2014, MAIN, True, False, 7, session) for session in (1, 2)),
    *((2020, CHINEXT, after, st, 7, None) for after in (False, True) for st in (False, True)),
    *((2020, CHINEXT, after, False, session, None) for after in (False, True) for session in range(1, 7)),
    *((2020, Board.STAR, True, False, session, None) for session in (1, 5, 6)),
    *((2021, Board.SZSE_MAIN, False, False, 7, session) for session in (1, 2)),
    *((2021, CHINEXT, False, False, 7, session) for session in (1, 2)),
    *((2023, MAIN, after, False, session, None) for after in (False, True) for session in range(1, 7)),
    *((2023, Board.STAR, True, False, 7, session) for session in (1, 2)),
    *((2026, board, after, True, 7, None) for board in (MAIN, Board.SZSE_MAIN) for after in (False, True)),
    *((2026, Board.BSE, False, False, session, None) for session in (1, 2)),
}


def _cells(exchange: Exchange, number: int) -> pl.DataFrame:
    """A row per listed code and session of the year: what the rules ask for, and what the sandbox says (up and down, 元)."""
    year, register = exchange.year(number), exchange.register
    row, column = np.nonzero(year.events.listed)
    code = year.events.codes[column]
    pre = year.walk.pre_close[row, column].astype(np.float64)
    down, up = limit_prices(pre, year.events.regime[row, column], register.is_bse[code])
    days = exchange.sessions.days
    names = register.name_rows.select("code", "name", since=pl.Series(days[register.name_rows["start"].to_numpy()]))
    cells = pl.DataFrame(
        {
            "code": code.astype(np.int64),
            "ts_code": pl.Series(register.ts_code[code].tolist(), dtype=pl.String),
            "trade_date": days[year.ordinals.start + row],
            "list_date": days[register.listed[code]],
            "pre_close": pre / 100,
            "said_up": np.where(np.isinf(up), np.nan, up / 100),
            "said_down": np.where(np.isinf(up), np.nan, down / 100),
        }
    ).with_columns(pl.col("said_up", "said_down").fill_nan(None))
    day = pl.col("trade_date")
    return (
        cells.sort("trade_date")
        .join_asof(names.sort("since"), left_on="trade_date", right_on="since", by="code", check_sortedness=False)
        .with_columns(
            board=board_of(pl.col("ts_code")),
            is_st=special_treatment(pl.col("name"), day),
            session=session_number(pl.col("list_date"), day, xshg()),
            delisting_session=pl.when(delisting_period(pl.col("name"))).then(session_number(pl.col("since"), day, xshg())),
            after=day >= dt.date.fromisoformat(CHANGES[number]),
        )
    )


@pytest.fixture(scope="module")
def cells() -> dict[int, pl.DataFrame]:
    return {number: price_limits(_cells(Exchange(codes=800, first_year=number), number)) for number in CHANGES}


def test_the_sandbox_s_limits_are_those_of_the_rules(cells: dict[int, pl.DataFrame]) -> None:
    free = pl.col("limit_rule") == NO_LIMIT
    same = (pl.col("said_up") == pl.col("up_limit")) & (pl.col("said_down") == pl.col("down_limit"))
    alike = pl.when(free).then(pl.col("said_up").is_null()).otherwise(same)
    for found in cells.values():
        assert found["limit_rule"].null_count() == 0
        assert found.filter(~alike.fill_null(False)).head(5).rows(named=True) == []


def test_every_rule_that_changed_was_met_before_and_after(cells: dict[int, pl.DataFrame]) -> None:
    met = {
        (number, *case)
        for number, found in cells.items()
        for case in found.select("board", "after", "is_st", pl.col("session").clip(1, 7), "delisting_session").unique().rows()
    }
    assert {(number, board.value, *rest) for number, board, *rest in CASES} - met == set()
