"""The one clock. No other code asks the operating system what day it is."""

from __future__ import annotations

import datetime as dt
import os
from zoneinfo import ZoneInfo

from quant_pipeline.language import say

EXCHANGE_ZONE = ZoneInfo("Asia/Shanghai")
NOW_VARIABLE = "QUANT_NOW"


def now() -> dt.datetime:
    """The present moment in exchange time (Asia/Shanghai, aware).

    `QUANT_NOW` (ISO 8601; without an offset it is exchange time) sets it for tests, rehearsals and the sandbox, and is
    inherited by child processes. ValueError when it cannot be read.
    """
    fixed = os.environ.get(NOW_VARIABLE)
    if not fixed:
        return dt.datetime.now(EXCHANGE_ZONE)
    try:
        moment = dt.datetime.fromisoformat(fixed)
    except ValueError:
        text = say("{variable}={value!r} is not a date and time; write 2026-11-20T18:00", variable=NOW_VARIABLE, value=fixed)
        raise ValueError(text) from None
    return moment.replace(tzinfo=EXCHANGE_ZONE) if moment.tzinfo is None else moment.astimezone(EXCHANGE_ZONE)


def today() -> dt.date:
    """Today's date in exchange time."""
    return now().date()
