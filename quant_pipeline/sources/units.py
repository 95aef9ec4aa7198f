"""A unit of work: what one answer of a source is asked for."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset, Partition


class Grain(StrEnum):
    """How a source can be asked for a data set."""

    SNAPSHOT = "snapshot"
    """The whole list."""
    SESSION = "session"
    """All codes of one session; of a weekly or monthly data set: of the period that ends with it."""
    CODE = "code"
    """One code over a range of sessions."""
    MEMBERS = "members"
    """The members of one concept or industry (a THS board) out of the whole list, as of a session."""


@dataclass(frozen=True, order=True)
class Unit:
    """One unit: a session of the whole market, one code over a range, a snapshot or one board's members as of a session.

    `start` and `end` are sessions; they are equal for all but CODE (for SNAPSHOT and MEMBERS they say as of when).
    """

    grain: Grain
    start: dt.date
    end: dt.date
    ts_code: str | None = None

    @classmethod
    def session(cls, day: dt.date) -> Unit:
        return cls(Grain.SESSION, day, day)

    @classmethod
    def snapshot(cls, as_of: dt.date) -> Unit:
        return cls(Grain.SNAPSHOT, as_of, as_of)

    @classmethod
    def code(cls, ts_code: str, start: dt.date, end: dt.date) -> Unit:
        return cls(Grain.CODE, start, end, ts_code)

    @classmethod
    def members(cls, ts_code: str, as_of: dt.date) -> Unit:
        return cls(Grain.MEMBERS, as_of, as_of, ts_code)

    @classmethod
    def parse(cls, name: str, *, snapshot: bool) -> Unit:
        """The unit of that name in the ledger, of a list (`snapshot`) or of a data set by session."""
        code, _, days = name.rpartition(" ")
        start, _, end = days.partition("..")
        first = dt.date.fromisoformat(start)
        if code:
            return cls.code(code, first, dt.date.fromisoformat(end)) if end else cls.members(code, first)
        return cls.snapshot(first) if snapshot else cls.session(first)

    def __str__(self) -> str:
        """The unit's name in the ledger and in messages: `2026-11-20`, `600000.SH 2026-11-02..2026-11-20`,
        `885001.TI 2026-11-20`."""
        if self.grain is Grain.CODE:
            return f"{self.ts_code} {self.start}..{self.end}"
        return f"{self.ts_code} {self.start}" if self.grain is Grain.MEMBERS else self.start.isoformat()


def is_running(dataset: Dataset, last: dt.date, calendar: Calendar) -> bool:
    """Whether `last` lies in a week or month of the data set that goes on after it."""
    match dataset.partition:
        case Partition.WEEK:
            return calendar.week_end(last) > last
        case Partition.MONTH:
            return calendar.month_end(last) > last
    return False
