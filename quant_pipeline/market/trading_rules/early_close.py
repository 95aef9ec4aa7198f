"""Sessions that the circuit breaker ended early: there are bars, but who waited for the close did not trade."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class EarlyClose:
    """A session that ended at that time, for every code."""

    session: dt.date
    at: dt.time
    source: str


EARLY_CLOSES: Final = (
    EarlyClose(dt.date(2016, 1, 4), dt.time(13, 33), "both exchanges: -7 % of CSI 300, after a halt 13:12-13:27"),
    EarlyClose(dt.date(2016, 1, 7), dt.time(9, 59), "both exchanges: -7 % of CSI 300, after a halt 9:42-9:57"),
)
"""The rule was in force from 2016-01-01 and suspended from 2016-01-08 on."""
