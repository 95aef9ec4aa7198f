"""How many shares an order may ask for, by board, side and kind of order: lots, steps, the odd rest, maxima.

`buyable` and `sellable` are whole-number arithmetic that calls nothing, so that numba compiles them as they are.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from quant_pipeline.market.codes import Board

_EXCHANGE_OPENS = dt.date(1990, 12, 19)
_MAIN = (Board.SSE_MAIN, Board.SZSE_MAIN, Board.B_SHARE)


@dataclass(frozen=True)
class LotRule:
    """From `since` on, of a board's orders: at least `minimum` shares (units, bonds), then in steps of `step`; at most so
    many in a limit order (限价) and in a market order (市价). A holding's rest that is smaller is sold in one go."""

    since: dt.date
    boards: tuple[Board, ...]
    minimum: int
    step: int
    most_limit: int
    most_market: int
    source: str


LOTS: Final = (
    LotRule(
        _EXCHANGE_OPENS, _MAIN, 100, 100, 1_000_000, 1_000_000,
        "SSE rules 2023 3.3.8-9, SZSE rules 3.3.8, 3.3.10, the maxima as in the rules of 2006; before those not known",
    ),
    LotRule(dt.date(2009, 10, 30), (Board.CHINEXT,), 100, 100, 1_000_000, 1_000_000, "trading rules of the SZSE, 2006"),
    LotRule(dt.date(2020, 8, 24), (Board.CHINEXT,), 100, 100, 300_000, 150_000, "创业板交易特别规定 2.8"),
    LotRule(dt.date(2019, 7, 22), (Board.STAR,), 200, 1, 100_000, 50_000, "科创板股票交易特别规定 art. 20"),
    LotRule(
        dt.date(2020, 7, 27), (Board.BSE,), 100, 1, 1_000_000, 1_000_000,
        "精选层 of the NEEQ; BSE rules from 2021-11-15 (the maxima from one report on their draft)",
    ),
    LotRule(_EXCHANGE_OPENS, (Board.ETF,), 100, 100, 1_000_000, 1_000_000, "SSE and SZSE rules: funds as shares"),
    LotRule(
        _EXCHANGE_OPENS, (Board.CONVERTIBLE_BOND,), 10, 10, 100_000, 100_000,
        "SSE and SZSE rules: bonds of 100 元, a lot of 1,000 元; the maxima are field knowledge, no text",
    ),
)  # fmt: skip
"""A board's rule is the last one whose day has come. No rule text has a main board that steps by one share after 100."""


@dataclass(frozen=True)
class RiskWarningCap:
    """From `since` on: the most shares of one risk-warning stock (ST, *ST) that an account may buy in a session."""

    since: dt.date
    boards: tuple[Board, ...]
    most: int
    source: str


RISK_WARNING_CAPS: Final = (
    RiskWarningCap(dt.date(2013, 1, 1), (Board.SSE_MAIN,), 500_000, "SSE rules of the risk-warning board, 2013-01-01"),
    RiskWarningCap(
        dt.date(2026, 7, 6), (Board.SZSE_MAIN, Board.CHINEXT, Board.STAR, Board.BSE), 500_000,
        "summaries of the trading rules of 2026, all boards",
    ),
)  # fmt: skip


def lot_rule(board: Board, day: dt.date) -> LotRule | None:
    """The board's lots on that day; None where nobody knows them: an unknown board, a day before it opened."""
    known = [rule for rule in LOTS if board in rule.boards and rule.since <= day]
    return max(known, key=lambda rule: rule.since, default=None)


def risk_warning_cap(board: Board, day: dt.date) -> int | None:
    """The most shares of one risk-warning stock of the board that an account may buy on that day; None: no such cap."""
    return next((cap.most for cap in RISK_WARNING_CAPS if board in cap.boards and cap.since <= day), None)


def buyable(wanted: int, minimum: int, step: int) -> int:
    """The largest number of shares up to `wanted` that may be bought; 0: less than a lot."""
    return minimum + (wanted - minimum) // step * step if wanted >= minimum else 0


def sellable(wanted: int, held: int, minimum: int, step: int) -> int:
    """The largest number of shares up to `wanted` that a holder of `held` may sell: lots, with or without the whole odd rest;
    or all that is held. 0: none."""
    wanted = min(wanted, held)
    if wanted == held:
        return held
    lots = minimum + (wanted - minimum) // step * step if wanted >= minimum else 0
    rest = held % step
    with_rest = rest + (wanted - rest) // step * step if 0 < rest <= wanted else 0
    return max(lots, with_rest)
