"""From when on what was bought may be sold: the next session (T+1), or at once (T+0), by kind and date.

What a sale brings can buy in the same session, at all times: only drawing it out of the account waits for T+1.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from quant_pipeline.market.codes import Board, board

_EXCHANGE_OPENS = dt.date(1990, 12, 19)
_A_SHARES_SH = (Board.SSE_MAIN, Board.STAR)
_A_SHARES_SZ = (Board.SZSE_MAIN, Board.CHINEXT)


@dataclass(frozen=True)
class SameDayRule:
    """Between two days, both included (None: to this day): who may sell in the session in which he bought (T+0)."""

    since: dt.date
    until: dt.date | None
    boards: tuple[Board, ...]
    source: str
    beginnings: tuple[str, ...] = ("",)
    """How the codes begin."""


SAME_DAY: Final = (
    SameDayRule(
        dt.date(1992, 5, 21), dt.date(1994, 12, 31), _A_SHARES_SH,
        "mbalib T+1: T+0 in Shanghai from 1992-05 (the day is that of the freed prices) to 1994-12-31",
    ),
    SameDayRule(
        dt.date(1993, 11, 1), dt.date(1994, 12, 31), _A_SHARES_SZ,
        "mbalib T+1: T+0 in Shenzhen from 1993-11 (its first day stands for one that is not told) to 1994-12-31",
    ),
    SameDayRule(_EXCHANGE_OPENS, dt.date(2001, 11, 30), (Board.B_SHARE,), "mbalib T+1: B shares T+1 from 2001-12-01"),
    SameDayRule(dt.date(2001, 12, 1), None, (Board.CONVERTIBLE_BOND,), "T+0 from 2001-12; before that not known"),
    SameDayRule(
        dt.date(2015, 1, 19), None, (Board.ETF,),
        "rules of both exchanges of 2015-01-19 (day from one source): bond, money-market, gold, cross-border; "
        "of Shanghai's codes 511, 513, 518, 520 are these",
        ("511", "513", "518", "520"),
    ),
)  # fmt: skip
"""Whatever stands in no row is T+1: A shares since 1995-01-01, and before the rows, where nothing is known. Shenzhen's funds
(159) do not tell by their codes which are T+0: they are taken as T+1."""


def sessions_until_sellable(ts_code: str, day: dt.date) -> int:
    """0 where what was bought on that day may be sold in the same session, else 1."""
    kind = board(ts_code)
    return int(not any(_applies(rule, ts_code, kind, day) for rule in SAME_DAY))


def _applies(rule: SameDayRule, ts_code: str, kind: Board, day: dt.date) -> bool:
    in_force = rule.since <= day and (rule.until is None or day <= rule.until)
    return in_force and kind in rule.boards and ts_code.startswith(rule.beginnings)
