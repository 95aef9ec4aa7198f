"""Sina's packed series, as the script `hk_js_decode` that AKShare runs unpacks them: bits in the letters of base64.

Only what the sandbox needs is written: fields of a fixed width, and every date that is not the next weekday in full.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

_ALPHABET = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", dtype=np.uint8)
_LETTER = 6
_DAY_ZERO = dt.date(1990, 12, 19)
_DAY = 18
_BARS, _SESSIONS = 3466, 139
"""The kinds of series: the script has a reader for each."""
_FIRST_EDITION = 63
_GROWN = (4, 4, 4, 4, 8, 10)
_WIDTHS = (21, 21, 21, 21, 39, 45)
"""Bits of open, high, low, close, volume and amount: the script's 9, 9, 9, 9, 15, 15, grown by three for each of _GROWN."""
_RUN_GROWN = 4
_RUN = 12

Bar = tuple[dt.date, int, int, int, int, int, int]
"""A day's open, high, low and close in 分, volume in 股, amount in 元."""


class _Bits:
    """What was written so far, the lowest bit of each number first."""

    def __init__(self, kind: int) -> None:
        self._texts: list[str] = []
        self.number(kind, 12)
        self.number(_FIRST_EDITION, _LETTER)

    def flags(self, bits: str) -> None:
        self._texts.append(bits)

    def number(self, value: int, width: int) -> None:
        """A negative one as its two's complement."""
        self._texts.append(f"{value & ((1 << width) - 1):0{width}b}"[::-1])

    def growth(self, steps: int) -> None:
        """By how many steps (more than none) a width grows."""
        self._texts.append("1" + "1" * (steps - 1) + "0")

    def day(self, day: dt.date) -> None:
        self.number(1, 3)
        self.number((day - _DAY_ZERO).days, _DAY)

    def letters(self) -> str:
        text = "".join(self._texts)
        bits = np.frombuffer(text.ljust(-(-len(text) // _LETTER) * _LETTER, "0").encode(), dtype=np.uint8) - ord("0")
        return _ALPHABET[bits.reshape(-1, _LETTER) @ (1 << np.arange(_LETTER))].tobytes().decode()


def packed_bars(bars: Iterable[Bar]) -> str:
    """A series of daily bars, oldest first."""
    bits = _Bits(_BARS)
    before: dt.date | None = None
    close = volume = amount = 0
    for day, opened, high, low, closed, shares, money in bars:
        if before is None:
            bits.flags("111" + "110000" + "000")  # settings: amounts stand for themselves; two decimals, as ever
            bits.flags("1")  # widths, and the day
            for steps in _GROWN:
                bits.flags("1")
                bits.growth(steps)
            bits.flags("1")
            bits.day(day)
            bits.flags("0")
        elif day == _next_weekday(before):
            bits.flags("0")
        else:
            bits.flags("10111")
            bits.day(day)
        figures = (opened - close, high - opened, opened - low, closed - opened, shares - volume, money - amount)
        for figure, width in zip(figures, _WIDTHS, strict=True):
            bits.number(figure, width)
        before, close, volume, amount = day, closed, shares, money
    bits.flags("11000")
    return bits.letters()


def packed_sessions(days: Sequence[dt.date]) -> str:
    """A calendar: the sessions (weekdays all) between closed weekdays, run by run."""
    bits = _Bits(_SESSIONS)
    for end in (days[0], days[-1]):
        bits.number((end - _DAY_ZERO).days, _DAY)
    lengths = [0]
    for before, day in pairwise((days[0] - dt.timedelta(days=1), *days)):
        closed = max(int(np.busday_count(before + dt.timedelta(days=1), day)), 0)
        lengths += [0] * closed
        lengths[-1] += 1
    for place, length in enumerate(lengths):
        bits.flags("0" if place else "1")
        if not place:
            bits.growth(_RUN_GROWN)
        bits.number(length, _RUN)
    return bits.letters()


def _next_weekday(day: dt.date) -> dt.date:
    return day + dt.timedelta(days=3 if day.weekday() == 4 else 1)
