"""The simulated exchange's sessions: the real calendar and, past its end, simulated years."""

from __future__ import annotations

import datetime as dt
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from quant_pipeline.market import calendar
from quant_pipeline.market.xshg import xshg

Days = npt.NDArray[np.datetime64]

LAST_YEAR = 2050
"""The last simulated year."""
NEXT_YEAR_PUBLISHED = (12, 20)
"""Month and day on which the next year's sessions become known."""
_HOLIDAYS = frozenset({(1, 1), *((5, day) for day in range(1, 4)), *((10, day) for day in range(1, 8))})


class SandboxTimeError(ValueError):
    """A day that the simulated exchange cannot know."""


class Sessions:
    """Every session from 1990-12-19 to the end of LAST_YEAR; an `ordinal` is a session's place in `days`."""

    def __init__(self, real: calendar.Calendar) -> None:
        simulated = np.arange(np.datetime64(real.last) + 1, np.datetime64(f"{LAST_YEAR + 1}-01-01"))
        open_days = [day for day in simulated[np.is_busday(simulated)].astype(object) if (day.month, day.day) not in _HOLIDAYS]
        self.days: Days = np.array([*real.sessions, *open_days], dtype="datetime64[D]")

    def ordinal(self, day: dt.date | np.datetime64) -> int:
        """The ordinal of the first session on or after `day`."""
        return int(np.searchsorted(self.days, np.datetime64(day)))

    def of_year(self, year: int) -> range:
        """The ordinals of a year's sessions. SandboxTimeError outside the simulated years."""
        if not calendar.FIRST_SESSION.year <= year <= LAST_YEAR:
            raise SandboxTimeError(f"the simulated exchange knows the years up to {LAST_YEAR}, not {year}")
        return range(self.ordinal(dt.date(year, 1, 1)), self.ordinal(dt.date(year + 1, 1, 1)))

    def through(self, moment: dt.datetime, ready: dt.time) -> int:
        """How many sessions lie behind `moment`, when a session counts from the time of day `ready` on."""
        day = moment.date() if moment.time() >= ready else moment.date() - dt.timedelta(days=1)
        if day.year > LAST_YEAR:
            raise SandboxTimeError(f"the clock says {day}; the simulated exchange ends with {LAST_YEAR}")
        return int(np.searchsorted(self.days, np.datetime64(day), side="right"))

    @cached_property
    def dates(self) -> npt.NDArray[np.object_]:
        """Each session as Tushare writes it: '20261120'."""
        return np.char.replace(self.days.astype(str), "-", "").astype(object)


@lru_cache(maxsize=1)
def all_sessions() -> Sessions:
    """The sessions over the built-in calendar."""
    return Sessions(xshg())
