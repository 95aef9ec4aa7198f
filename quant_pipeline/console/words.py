"""The words that several pages of the terminal have in common: states, data sets, moments."""

from __future__ import annotations

import datetime as dt

from rich.text import Text

from quant_pipeline import language
from quant_pipeline.language import say
from quant_pipeline.market import clock
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.sync.insight.history import STATUSES

_STYLES = {
    "success": "green",
    "success_with_errors": "yellow",
    "partial": "yellow",
    "failed": "red",
    "died": "red",
    "interrupted": "yellow",
    "running": "cyan",
}
SHORT = 8
"""Letters of a run's id that are enough to name it."""


def state(status: str) -> Text:
    """A run's or unit's status in words and its colour."""
    return Text(say(STATUSES[status]) if status in STATUSES else status, _STYLES.get(status, ""))


def chinese_name(dataset: Dataset) -> str:
    """For the column beside the data set's id: nothing where the reader reads English."""
    return dataset.zh if language.current() == "zh" else ""


def moment(at: dt.datetime | None) -> str:
    """Month, day and minute in exchange time."""
    return f"{at.astimezone(clock.EXCHANGE_ZONE):%m-%d %H:%M}" if at else "-"


def duration(seconds: float) -> str:
    """`8 s`, `2 min 30 s`, `3 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return say("{seconds} s", seconds=f"{seconds:.1f}" if seconds < 10 else whole)
    if whole < 3600:
        return say("{minutes} min {seconds:02} s", minutes=whole // 60, seconds=whole % 60)
    return say("{hours} h {minutes:02} min", hours=whole // 3600, minutes=whole % 3600 // 60)
