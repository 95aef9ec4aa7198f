"""Lots, odd rests and order maxima by board and date."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_pipeline.market.codes import Board
from quant_pipeline.market.trading_rules import buyable, lot_rule, risk_warning_cap, sellable

_LOTS = st.sampled_from([(100, 100), (200, 1), (100, 1), (10, 10)])


@pytest.mark.parametrize(
    ("board", "day", "known"),
    [
        (Board.SSE_MAIN, "1995-01-03", (100, 100, 1_000_000, 1_000_000)),
        (Board.SZSE_MAIN, "2026-07-06", (100, 100, 1_000_000, 1_000_000)),
        (Board.CHINEXT, "2020-08-21", (100, 100, 1_000_000, 1_000_000)),
        (Board.CHINEXT, "2020-08-24", (100, 100, 300_000, 150_000)),
        (Board.STAR, "2019-07-22", (200, 1, 100_000, 50_000)),
        (Board.BSE, "2021-11-15", (100, 1, 1_000_000, 1_000_000)),
        (Board.ETF, "2024-01-02", (100, 100, 1_000_000, 1_000_000)),
        (Board.CONVERTIBLE_BOND, "2024-01-02", (10, 10, 100_000, 100_000)),
        (Board.CHINEXT, "2009-10-29", None),
        (Board.STAR, "2019-07-19", None),
        (Board.UNKNOWN, "2024-01-02", None),
    ],
)
def test_lots_and_maxima_are_the_board_s_of_that_day(board: Board, day: str, known: tuple[int, ...] | None) -> None:
    rule = lot_rule(board, dt.date.fromisoformat(day))
    assert (rule and (rule.minimum, rule.step, rule.most_limit, rule.most_market)) == known


@pytest.mark.parametrize(
    ("wanted", "minimum", "step", "bought"),
    [(250, 100, 100, 200), (99, 100, 100, 0), (199, 200, 1, 0), (200, 200, 1, 200), (253, 200, 1, 253), (101, 100, 1, 101)],
)
def test_a_purchase_is_of_whole_lots(wanted: int, minimum: int, step: int, bought: int) -> None:
    assert buyable(wanted, minimum, step) == bought


@pytest.mark.parametrize(
    ("wanted", "held", "minimum", "step", "sold"),
    [
        (250, 250, 100, 100, 250),  # all of it, with the odd rest
        (50, 50, 100, 100, 50),
        (150, 250, 100, 100, 150),  # a lot and the whole odd rest
        (140, 250, 100, 100, 100),  # a part of the odd rest cannot be sold
        (50, 250, 100, 100, 50),  # the odd rest alone, in one go
        (40, 250, 100, 100, 0),
        (300, 250, 100, 100, 250),  # no more than is held
        (150, 300, 200, 1, 0),  # STAR: 200 at least
        (201, 300, 200, 1, 201),
        (150, 150, 200, 1, 150),  # its rest below 200 in one go
        (100, 150, 200, 1, 0),
        (101, 150, 100, 1, 101),  # BSE
        (99, 150, 100, 1, 0),
        (7, 17, 10, 10, 7),  # bonds
    ],
)
def test_a_sale_is_of_lots_and_of_the_odd_rest_in_one_go(wanted: int, held: int, minimum: int, step: int, sold: int) -> None:
    assert sellable(wanted, held, minimum, step) == sold


@given(_LOTS, st.integers(0, 3_000), st.integers(0, 3_000))
def test_what_may_be_sold_is_the_most_of_all_that_is_allowed(lots: tuple[int, int], wanted: int, held: int) -> None:
    minimum, step = lots

    def allowed(shares: int) -> bool:
        whole = shares >= minimum and (shares - minimum) % step == 0
        return shares in (0, held) or whole or (step > 1 and shares % step == held % step)

    expected = max(shares for shares in range(min(wanted, held) + 1) if allowed(shares))
    assert sellable(wanted, held, minimum, step) == expected
    most = max((shares for shares in range(minimum, wanted + 1) if (shares - minimum) % step == 0), default=0)
    assert buyable(wanted, minimum, step) == most


@pytest.mark.parametrize(
    ("board", "day", "most"),
    [
        (Board.SSE_MAIN, "2012-12-31", None),
        (Board.SSE_MAIN, "2013-01-04", 500_000),
        (Board.SZSE_MAIN, "2026-07-03", None),
        (Board.SZSE_MAIN, "2026-07-06", 500_000),
        (Board.STAR, "2026-07-06", 500_000),
        (Board.ETF, "2026-07-06", None),
    ],
)
def test_of_a_risk_warning_stock_an_account_buys_500_000_a_day(board: Board, day: str, most: int | None) -> None:
    assert risk_warning_cap(board, dt.date.fromisoformat(day)) == most
