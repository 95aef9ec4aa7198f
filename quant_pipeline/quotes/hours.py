"""When quotes move, and so when they are asked for: the auctions and sessions of the exchange's own calendar."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.market.codes import Board, CodeError, board
from quant_pipeline.market.xshg import xshg

OPENING_AUCTION = dt.time(9, 15)
OPEN = dt.time(9, 30)
CLOSE = dt.time(15, 0)
_SETTLED = dt.time(15, 1)
"""The closing auction's price comes some seconds after 15:00: until then it is asked for."""
_AFTER_HOURS = dt.time(15, 30)
"""STAR and ChiNext trade at the closing price from 15:05 to 15:30: their volume grows."""
_NOON = dt.time(11, 30)
_MORNING = (OPENING_AUCTION, _NOON)
_AFTERNOON = dt.time(13, 0)
CONTINUOUS = ((OPEN, _NOON), (_AFTERNOON, dt.time(14, 57)))
"""Continuous trading: what is traded at all has a new quote every few seconds. The closing auction has none."""


def ends_late(ts_code: str) -> bool:
    """Whether the code is traded after the close."""
    try:
        return board(ts_code) in (Board.STAR, Board.CHINEXT)
    except CodeError:
        return False


def is_due(ts_code: str, now: dt.datetime, calendar: Calendar | None = None) -> bool:
    """Whether the code's quote may move at `now` (aware). CalendarError past the calendar's end."""
    return last_due(ts_code, now, calendar) == now


def last_due(ts_code: str, now: dt.datetime, calendar: Calendar | None = None) -> dt.datetime:
    """The last moment, `now` or before it, at which the code's quote could move; `calendar`: by default the built-in one.

    CalendarError past the calendar's end.
    """
    moment = now.astimezone(EXCHANGE_ZONE)
    known = calendar or xshg()
    session = known.on_or_before(moment.date())
    while True:
        for start, end in reversed(list(_windows(ts_code, session))):
            if start <= moment:
                return now if moment <= end else end
        session = known.on_or_before(session - dt.timedelta(days=1))


def _windows(ts_code: str, session: dt.date) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    for start, end in (_MORNING, (_AFTERNOON, _AFTER_HOURS if ends_late(ts_code) else _SETTLED)):
        yield dt.datetime.combine(session, start, EXCHANGE_ZONE), dt.datetime.combine(session, end, EXCHANGE_ZONE)
