"""The first session that the user wants: from there on Dagster's pages count what is there, and what lacks.

A newcomer's first `run` brings 121 sessions: of all since 1990 that were one in a hundred, and every page would call the rest
missing. So it is the first session that was ever asked for, which a command remembers before it begins
(`sync --all-history` asks for all). QUANT_PARTITIONS_START sets it by hand, and then nothing moves it.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from quant_pipeline import settings
from quant_pipeline.market.calendar import FIRST_SESSION


def first_wanted() -> dt.date:
    """The setting, what is remembered, or the exchange's first session where there is neither."""
    try:
        current = settings.load()
    except settings.NoProject:
        return FIRST_SESSION
    return current.partitions_start or remembered(current) or FIRST_SESSION


def remembered(current: settings.Settings) -> dt.date | None:
    """What commands have asked for so far; None before the first of them."""
    try:
        return dt.date.fromisoformat(_place(current).read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None


def remember(current: settings.Settings, day: dt.date) -> None:
    """An earlier day than the remembered one takes its place; whoever has read it keeps it until the next start."""
    known = remembered(current)
    if known is not None and known <= day:
        return
    place = _place(current)
    place.parent.mkdir(parents=True, exist_ok=True)
    written = place.with_suffix(".new")
    written.write_text(f"{day}\n", encoding="ascii")
    written.replace(place)


def _place(current: settings.Settings) -> Path:
    return current.home / f"first_session_{current.mode}"
