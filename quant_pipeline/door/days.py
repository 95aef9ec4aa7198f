"""Sessions in addresses: `/day/2026-11-20`."""

from __future__ import annotations

import datetime as dt

from quant_pipeline.door.errors import PageError
from quant_pipeline.look import figures
from quant_pipeline.market import clock
from quant_pipeline.market.calendar import Calendar, CalendarError


def session_of(calendar: Calendar, text: str, *, under: str) -> dt.date:
    """The session that the text names, 2026-11-20 or 20261120. PageError 400 for no date, 404 for a day without a session.

    `under`: the address that pages of sessions lie under, to lead to those beside a closed day.
    """
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise PageError(
            400,
            f"“{text}” 不是日期 Not a date",
            why="日期写作 2026-11-20 或 20261120。",
            to_do=f"例如 For example: {under}/2026-11-20",
        ) from None
    try:
        if calendar.is_session(day):
            return day
        before, after = calendar.on_or_before(day), calendar.between(day, min(clock.today(), calendar.last))[:1]
    except CalendarError as error:
        raise PageError(404, f"交易日历没有 {day} The calendar does not know it", why=str(error)) from None
    raise PageError(
        404,
        f"{day} 休市 No session",
        why=f"{day}（周{'一二三四五六日'[day.weekday()]}）不是交易日，没有行情。The exchange was closed.",
        links={
            f"{under}/{before}": f"← 前一个交易日 {figures.day(before)}",
            **{f"{under}/{session}": f"后一个交易日 {figures.day(session)} →" for session in after},
        },
    )
