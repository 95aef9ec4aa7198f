"""The boards: their prefixes, when they listed, and the price-limit rules of each session.

Limit prices are whole 分; the rules and their roundings are those of the exchanges.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class ListingBoard(IntEnum):
    """The boards of the three exchanges."""

    MAIN = 0
    CHINEXT = 1
    STAR = 2
    BSE = 3


BOARD_NAMES = ("主板", "创业板", "科创板", "北交所")
MAIN_LIMITS = dt.date(1996, 12, 16)
"""From this day on the main boards have limits: 10 %."""
ST_LIMITS = dt.date(1998, 4, 22)
"""From this day on ST shares have narrower ones: 5 %."""
ISSUE_PRICE_LIMITS = dt.date(2014, 1, 1)
"""From this day on a listing's first session is limited by the issue price, +44 % and -36 %; before, it had no limits."""
CHINEXT_REFORM = dt.date(2020, 8, 24)
"""From this day on ChiNext has 20 % limits, ST or not, and five sessions without any after a listing."""
DELISTING_REFORM = dt.date(2020, 12, 31)
"""From this day on a delisting period has 15 sessions instead of 30, and its first one has no limits."""
MAIN_REFORM = dt.date(2023, 4, 10)
"""From this day on a main-board listing has no limits on its first five sessions."""
ST_REFORM = dt.date(2026, 7, 6)
"""From this day on the main boards' ST shares have the limits of all others."""
CHANGES = (MAIN_LIMITS, ST_LIMITS, CHINEXT_REFORM, ST_REFORM)
"""The days on which `usual_regime` or `st_regime` changes."""
LONGEST_DELISTING = 30
LEFT_OUT_OF_REFORM = ("300216.SZ", "300156.SZ", "300090.SZ")
"""These ChiNext codes kept 10 % after its reform, until the one of delisting."""
MOST_FREE_SESSIONS = 5
_ALWAYS = dt.date(1990, 1, 1)


@dataclass(frozen=True)
class Block:
    """A block of codes that shares a prefix: how many are alive at the present, when they were listed, how it grows."""

    prefix: str
    suffix: str
    exchange: str
    board: ListingBoard
    alive: int
    first: dt.date
    last: dt.date
    yearly: int = 0
    """Listings a year after the present, out of a market of 5,400 codes."""


_PRESENT = dt.date(2026, 12, 31)
BLOCKS = (
    Block("000", "SZ", "SZSE", ListingBoard.MAIN, 400, dt.date(1991, 4, 3), dt.date(2000, 12, 31)),
    Block("001", "SZ", "SZSE", ListingBoard.MAIN, 150, dt.date(2021, 4, 6), _PRESENT, 20),
    Block("002", "SZ", "SZSE", ListingBoard.MAIN, 905, dt.date(2004, 6, 25), dt.date(2020, 12, 31)),
    Block("300", "SZ", "SZSE", ListingBoard.CHINEXT, 925, dt.date(2009, 10, 30), dt.date(2020, 12, 31)),
    Block("301", "SZ", "SZSE", ListingBoard.CHINEXT, 480, dt.date(2021, 1, 4), _PRESENT, 18),
    Block("600", "SH", "SSE", ListingBoard.MAIN, 745, dt.date(1990, 12, 19), dt.date(2012, 12, 31)),
    Block("601", "SH", "SSE", ListingBoard.MAIN, 200, dt.date(2006, 6, 1), dt.date(2022, 12, 31)),
    Block("603", "SH", "SSE", ListingBoard.MAIN, 600, dt.date(2012, 6, 1), _PRESENT, 10),
    Block("605", "SH", "SSE", ListingBoard.MAIN, 115, dt.date(2020, 6, 1), dt.date(2022, 12, 31), 14),
    Block("688", "SH", "SSE", ListingBoard.STAR, 595, dt.date(2019, 7, 22), _PRESENT, 12),
    Block("920", "BJ", "BSE", ListingBoard.BSE, 285, dt.date(2021, 11, 15), _PRESENT, 18),
)


class Regime(IntEnum):
    """The price-limit rule of one code in one session: the rows of `RATES`."""

    TEN = 0
    ST = 1
    TWENTY = 2
    THIRTY = 3
    FIRST_DAY = 4
    FREE = 5


RATES = np.array([(100, 100), (50, 50), (200, 200), (300, 300), (440, 360), (0, 0)], dtype=np.float64)
"""Up and down limit of each regime in thousandths of pre_close."""


def usual_regime(board: npt.NDArray[np.int8], day: dt.date) -> npt.NDArray[np.int8]:
    """Each board's regime on that day, for a code that is neither new nor ST."""
    main = Regime.TEN if day >= MAIN_LIMITS else Regime.FREE
    chinext = Regime.TWENTY if day >= CHINEXT_REFORM else Regime.TEN
    return np.array([main, chinext, Regime.TWENTY, Regime.THIRTY], dtype=np.int8)[board]


def st_regime(board: npt.NDArray[np.int8], day: dt.date) -> npt.NDArray[np.int8]:
    """Each board's regime on that day, for a code that is ST or *ST."""
    narrow = {ListingBoard.MAIN: (ST_LIMITS, ST_REFORM), ListingBoard.CHINEXT: (ST_LIMITS, CHINEXT_REFORM)}
    regime = usual_regime(board, day)
    for each, (since, until) in narrow.items():
        if since <= day < until:
            regime[board == each] = Regime.ST
    return regime


def free_sessions(board: npt.NDArray[np.int8], listed: npt.NDArray[np.datetime64]) -> Ints:
    """How many sessions without limits a listing on that day begins with."""
    since = np.array([MAIN_REFORM, CHINEXT_REFORM, _ALWAYS, _ALWAYS], dtype="datetime64[D]")[board]
    reformed = np.where(board == ListingBoard.BSE, 1, MOST_FREE_SESSIONS)
    return np.where(listed >= since, reformed, np.where(listed < np.datetime64(ISSUE_PRICE_LIMITS), 1, 0))


def delisting_sessions(day: npt.NDArray[np.datetime64]) -> Ints:
    """How many sessions a delisting period (退市整理期) has, from what day the longest one would begin on."""
    return np.where(day >= np.datetime64(DELISTING_REFORM), 15, LONGEST_DELISTING)


def limit_prices(pre_close: Floats, regime: npt.NDArray[np.int8], is_bse: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The session's down and up limit in 分 (whole numbers), from pre_close in 分.

    Rounded half up; the BSE rounds the up limit down and the down limit up. Without limits: 1 分 and infinity.
    """
    rates = RATES[regime]
    # exact: whole numbers over 1000, well below 2**53, so that ties are ties
    up = pre_close * (1000.0 + rates[..., 0]) / 1000.0
    down = pre_close * (1000.0 - rates[..., 1]) / 1000.0
    up = np.where(is_bse, np.floor(up), np.floor(up + 0.5))
    down = np.where(is_bse, np.ceil(down), np.floor(down + 0.5))
    free = regime == Regime.FREE
    return np.where(free, 1.0, down), np.where(free, np.inf, up)
