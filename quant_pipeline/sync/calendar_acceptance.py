"""What a published calendar is worth: compared with the built-in one, with the bars that are stored and with common sense."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping

import polars as pl

from quant_pipeline.language import told
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.published_days import differing_days, doubtful_days
from quant_pipeline.market.validation import Checked
from quant_pipeline.sources.failures import Implausible, Incomplete
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

_NAMED = 3
_TRADED = """
SELECT day FROM unnest(%(days)s::date[]) AS day
WHERE EXISTS (SELECT FROM daily_kline WHERE trade_date = day)
"""
_STORED_CLOSED = "SELECT cal_date FROM trade_calendar WHERE exchange = 'SSE' AND is_open = 0"
_PUBLISHED = "SELECT cal_date, is_open = 1 AS open FROM trade_calendar WHERE exchange = 'SSE'"


def stored_calendar(database: Database, builtin: Calendar, today: dt.date) -> Calendar:
    """The built-in calendar, overruled by the stored one as far as that can be believed."""
    published = published_days(database)
    last = _last[0]
    if last is None or last.builtin is not builtin or last.published != published:
        last = _last[0] = _Weighed(published, builtin)
    return last.believed(today, _traded(database, last.differing))


def published_days(database: Database) -> dict[dt.date, bool]:
    """The stored calendar: day -> open?"""
    with database.connect() as connection:
        return dict(connection.execute(_PUBLISHED).fetchall())


def traded_days(database: Database, builtin: Calendar, published: Mapping[dt.date, bool]) -> frozenset[dt.date]:
    """Those of the published days for which it matters of which bars are stored."""
    return _traded(database, differing_days(builtin, published))


def _traded(database: Database, days: list[dt.date]) -> frozenset[dt.date]:
    if not days:
        return frozenset()
    with database.connect() as connection:
        return frozenset(day for (day,) in connection.execute(_TRADED, {"days": days}).fetchall())


class _Weighed:
    """The rows of a stored calendar and what has come of them: each step of a run and each page asks for the calendar anew,
    and 13,000 days are weighed again only where a row, the day or a day's bars have changed."""

    def __init__(self, published: Mapping[dt.date, bool], builtin: Calendar) -> None:
        self.published, self.builtin = published, builtin
        self.differing = differing_days(builtin, published)
        self._believed: tuple[tuple[dt.date, frozenset[dt.date]], Calendar] | None = None

    def believed(self, today: dt.date, traded: frozenset[dt.date]) -> Calendar:
        if not self.differing:  # 20 ms, which most commands need not pay
            return self.builtin
        asked, known = (today, traded), self._believed
        if known is None or known[0] != asked:
            known = self._believed = asked, self.builtin.overruled_by(self.published, today=today, traded=traded)
        return known[1]


_last: list[_Weighed | None] = [None]
"""What was read last in this process."""


def demand_believable(database: Database, checked: Checked, builtin: Calendar, today: dt.date) -> None:
    """Raises Incomplete for a source's answer that lacks days or contradicts what is known of them, Implausible for one that
    closes days to come which are sessions as far as is known: that is not taken on one source's word, if another can be asked.
    """
    rows = checked.good
    published = dict(rows.filter(pl.col("exchange") == "SSE").select("cal_date", pl.col("is_open") == 1).iter_rows())
    closed = frozenset(read_sql(database, _STORED_CLOSED)["cal_date"])
    new = new_closures(published, builtin, today=today, traded=traded_days(database, builtin, published), closed=closed)
    if new:
        named = ", ".join(map(str, new[:_NAMED])) + (", …" if len(new) > _NAMED else "")
        text = told("told closed, unlike the built-in calendar: {days}", days=named)
        raise Implausible(text, checked, impossible=False, claim=tuple(new))


def new_closures(
    published: Mapping[dt.date, bool],
    builtin: Calendar,
    *,
    today: dt.date,
    traded: Collection[dt.date],
    closed: Collection[dt.date],
) -> list[dt.date]:
    """The published days (day -> open?) to come that are told closed and were not before; Incomplete for a calendar that is
    not whole or not believable.

    `traded`: days of which bars are stored · `closed`: days that are closed in the stored calendar.
    """
    last = min(today, builtin.last)
    wanted = (builtin.first + dt.timedelta(days=n) for n in range((max(published, default=last) - builtin.first).days + 1))
    lacking = [day for day in wanted if day not in published]
    if lacking or max(published, default=dt.date.min) < last:
        what = (
            told("{count} days are missing, {first} first", count=len(lacking), first=lacking[0])
            if lacking
            else told("it ends on {last}", last=max(published))
        )
        raise Incomplete(told("the calendar is cut: {what}", what=what))
    doubted = doubtful_days(builtin, published, today=today, traded=traded, accepted=closed)
    if doubted:
        named = [f"{day}: {why}" for day, why in list(doubted.items())[:_NAMED]]
        more = "; …" if len(doubted) > _NAMED else ""
        text = told("the calendar contradicts what is known of {count} days: {days}", count=len(doubted), days="; ".join(named))
        raise Incomplete(text + more)
    return [day for day in closures_ahead(published, builtin) if day not in closed]


def closures_ahead(published: Mapping[dt.date, bool], builtin: Calendar) -> list[dt.date]:
    """The published days that are told closed and are sessions of the built-in calendar, in order."""
    differing = differing_days(builtin, published)
    return sorted(day for day in differing if day <= builtin.last and not published[day])
