"""The built-in calendar of the Shanghai exchange, from the library exchange_calendars."""

from __future__ import annotations

import datetime as dt
import json
import os
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import platformdirs

from quant_pipeline.market.calendar import FIRST_SESSION, Calendar

_LIBRARY = "exchange_calendars"


@lru_cache(maxsize=1)
def xshg() -> Calendar:
    """The sessions of SSE, SZSE and BSE from 1990-12-19 to the end of the library's last year.

    The library brings pandas along, which takes a second or more to import: so its sessions are remembered in the user's
    cache folder, per version of the library. Without a cache that can be written they are asked for each time.
    """
    remembered = platformdirs.user_cache_path("quant_pipeline") / f"xshg-{version(_LIBRARY)}.json"
    days = _read(remembered)
    if days is None:
        days = _ask_library()
        _write(remembered, days)
    sessions = [dt.date.fromisoformat(day) for day in days]
    return Calendar(sessions, last=dt.date(sessions[-1].year, 12, 31))


def _ask_library() -> list[str]:
    import exchange_calendars

    calendar = exchange_calendars.get_calendar("XSHG", start=FIRST_SESSION.isoformat())
    return [session.date().isoformat() for session in calendar.sessions]


def _read(file: Path) -> list[str] | None:
    with suppress(OSError, ValueError):
        days = json.loads(file.read_text(encoding="ascii"))
        if isinstance(days, list) and days and days[0] == FIRST_SESSION.isoformat():
            return days
    return None


def _write(file: Path, days: list[str]) -> None:
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(days), encoding="ascii")
        unfinished.replace(file)
