"""What a published calendar is worth: compared with the built-in one, with the bars that are stored and with common sense."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Mapping

import polars as pl

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.published_days import differing_days, doubtful_days
from quant_pipeline.sources.failures import Incomplete
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

_NAMED = 3
_TRADED = """
SELECT day FROM unnest(%(days)s::date[]) AS day
WHERE EXISTS (SELECT FROM daily_kline WHERE trade_date = day)
"""
_STORED_CLOSED = "SELECT cal_date FROM trade_calendar WHERE exchange = 'SSE' AND is_open = 0"
_PUBLISHED = "SELECT cal_date, is_open = 1 AS open FROM trade_calendar WHERE exchange = 'SSE'"
_logger = logging.getLogger(__name__)


def stored_calendar(database: Database, builtin: Calendar, today: dt.date) -> Calendar:
    """The built-in calendar, overruled by the stored one as far as that can be believed."""
    published = dict(read_sql(database, _PUBLISHED).iter_rows())
    return builtin.overruled_by(published, today=today, traded=traded_days(database, builtin, published))


def traded_days(database: Database, builtin: Calendar, published: Mapping[dt.date, bool]) -> frozenset[dt.date]:
    """Those of the published days for which it matters of which bars are stored."""
    differing = differing_days(builtin, published)
    return frozenset(read_sql(database, _TRADED, {"days": differing})["day"]) if differing else frozenset()


def demand_believable(database: Database, rows: pl.DataFrame, builtin: Calendar, today: dt.date) -> None:
    """Raises Incomplete for a source's answer that lacks days or contradicts what is known of them."""
    published = dict(rows.filter(pl.col("exchange") == "SSE").select("cal_date", pl.col("is_open") == 1).iter_rows())
    closed = frozenset(read_sql(database, _STORED_CLOSED)["cal_date"])
    judge_calendar(published, builtin, today=today, traded=traded_days(database, builtin, published), closed=closed)


def judge_calendar(
    published: Mapping[dt.date, bool],
    builtin: Calendar,
    *,
    today: dt.date,
    traded: Collection[dt.date],
    closed: Collection[dt.date],
) -> None:
    """Raises Incomplete for published days (day -> open?) that are not whole or not believable; logs what they change.

    `traded`: days of which bars are stored · `closed`: days that are closed in the stored calendar.
    """
    last = min(today, builtin.last)
    wanted = (builtin.first + dt.timedelta(days=n) for n in range((max(published, default=last) - builtin.first).days + 1))
    lacking = [day for day in wanted if day not in published]
    if lacking or max(published, default=dt.date.min) < last:
        what = f"{len(lacking)} days are missing, {lacking[0]} first" if lacking else f"it ends on {max(published)}"
        raise Incomplete(f"the calendar is cut: {what}")
    doubted = doubtful_days(builtin, published, today=today, traded=traded, accepted=closed)
    if doubted:
        named = [f"{day} {why}" for day, why in list(doubted.items())[:_NAMED]]
        more = f"; {len(doubted) - _NAMED} more" if len(doubted) > _NAMED else ""
        raise Incomplete(f"the calendar contradicts what is known of {len(doubted)} days: {'; '.join(named)}{more}")
    for day in differing_days(builtin, published):
        if day <= builtin.last and day not in closed:
            _logger.warning("trade_calendar: %s is %s, unlike the built-in calendar", day, _words(published[day]))


def _words(is_open: bool) -> str:
    return "a session" if is_open else "closed"
