"""What became of an order, and why: the words of every row of `backtest_orders`."""

from __future__ import annotations

from enum import IntEnum

from quant_pipeline.language import marked, say


class Side(IntEnum):
    """Which way an order trades."""

    BUY = 0
    SELL = 1

    @property
    def words(self) -> str:
        """In the reader's language."""
        return say(_SIDE[self])


class Status(IntEnum):
    """What became of an order."""

    FILLED = 0
    PART_FILLED = 1
    REFUSED = 2
    """It could not be traded, and was not to wait."""
    EXPIRED = 3
    """It waited for as many sessions as it was to, in vain."""
    WITHDRAWN = 4
    WAITING = 5
    """It still waited when the range ended."""

    @property
    def words(self) -> str:
        """In the reader's language."""
        return say(_STATUS[self])


class Reason(IntEnum):
    """Why an order was not filled, or not whole."""

    NONE = 0
    HALTED = 1
    LIMIT_UP = 2
    LIMIT_DOWN = 3
    CASH = 4
    LOT = 5
    T_PLUS_1 = 6
    NOT_HELD = 7
    VOLUME = 8
    NOT_LISTED = 9
    DELISTED = 10
    OPPOSITE = 11
    SUPERSEDED = 12
    ST_MAXIMUM = 13
    ENDED_EARLY = 14

    @property
    def words(self) -> str:
        """In the reader's language."""
        return say(_REASON[self]) if self else ""


class Kind(IntEnum):
    """What a row of `backtest_trades` is: a fill, or what happened to shares that were held."""

    BUY = 0
    SELL = 1
    DIVIDEND = 2
    """Cash and new shares of a dividend that a record tells."""
    STEP = 3
    """The step of the adjustment factor that no record explains, booked as cash."""
    WRITE_OFF = 4
    """Shares of a delisted code, at the stated part of their last close."""

    @property
    def words(self) -> str:
        """In the reader's language."""
        return say(_KIND[self])


_SIDE = {Side.BUY: marked("buy"), Side.SELL: marked("sell")}
_STATUS = {
    Status.FILLED: marked("filled"),
    Status.PART_FILLED: marked("part-filled"),
    Status.REFUSED: marked("refused"),
    Status.EXPIRED: marked("expired"),
    Status.WITHDRAWN: marked("withdrawn"),
    Status.WAITING: marked("waiting at the end"),
}
_REASON = {
    Reason.HALTED: marked("halted: no bar in the session"),
    Reason.LIMIT_UP: marked("at its up limit: nobody sells"),
    Reason.LIMIT_DOWN: marked("at its down limit: nobody buys"),
    Reason.CASH: marked("not enough cash"),
    Reason.LOT: marked("less than the lot that the board trades"),
    Reason.T_PLUS_1: marked("bought in this session: T+1"),
    Reason.NOT_HELD: marked("no such shares are held"),
    Reason.VOLUME: marked("more than the allowed part of the session's volume"),
    Reason.NOT_LISTED: marked("not listed, or no bars of it are stored"),
    Reason.DELISTED: marked("delisted"),
    Reason.OPPOSITE: marked("an opposite signal came while it waited"),
    Reason.SUPERSEDED: marked("a newer target came while it waited"),
    Reason.ST_MAXIMUM: marked("more shares under special treatment than an account may buy in a session"),
    Reason.ENDED_EARLY: marked("the circuit breaker had ended the session"),
}
_KIND = {
    Kind.BUY: marked("buy"),
    Kind.SELL: marked("sell"),
    Kind.DIVIDEND: marked("dividend"),
    Kind.STEP: marked("factor step booked as cash"),
    Kind.WRITE_OFF: marked("delisted: written off"),
}
