"""After how many bars the numbers of a recursion are those of the whole history: to 1e-6 of what it began with."""

from __future__ import annotations

import math

_LEFT = 1e-6


def ema_settles(window: int) -> int:
    """Of EMA(window), alpha = 2 / (window + 1): how many bars until the first one weighs a millionth."""
    return _settles(2 / (window + 1))


def sma_settles(window: int) -> int:
    """Of SMA(window, 1), alpha = 1 / window."""
    return _settles(1 / window)


def tens(bars: int) -> int:
    """The next ten: what is read is the same for parameters that are nearly the same."""
    return -(-bars // 10) * 10


def _settles(alpha: float) -> int:
    return 1 if alpha >= 1 else math.ceil(math.log(_LEFT) / math.log(1 - alpha))
