"""Who was a member of an index, and from when to when: the monthly lists as spells."""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Sequence

import polars as pl

Spell = tuple[str, dt.date, dt.date]
"""A code, and the first and the last session of a membership."""


def spells(members: pl.DataFrame, index: str, sessions: Sequence[dt.date]) -> list[Spell]:
    """The memberships of the index within the sessions, by code and day.

    `members`: trade_date, index_code, con_code, a list per label. Members on a day are those of the last list up to it, as
    backtests have them: before the first list nobody is one, after the last one its members stay.
    """
    of_index = members.filter(pl.col("index_code") == index, pl.col("trade_date") <= sessions[-1])
    lists = {day: set(rows["con_code"]) for (day,), rows in of_index.group_by("trade_date") if isinstance(day, dt.date)}
    labels = sorted(lists)
    # Where each list begins to hold, as a place among the sessions, and where the next one does.
    begins = [bisect.bisect_left(sessions, label) for label in labels]
    found: list[Spell] = []
    since: dict[str, int] = {}
    for label, begin in zip(labels, begins, strict=True):
        now = lists[label]
        for code in since.keys() - now:
            found.append((code, sessions[since.pop(code)], sessions[begin - 1]))
        for code in now - since.keys():
            since[code] = begin
    found += [(code, sessions[begin], sessions[-1]) for code, begin in since.items()]
    return sorted(each for each in found if each[1] <= each[2])
