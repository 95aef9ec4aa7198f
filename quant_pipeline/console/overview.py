"""The command `report`: a day at a glance in a few lines, and its copy that stands alone."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from rich.text import Text

from quant_pipeline.console.insight import Output
from quant_pipeline.language import say
from quant_pipeline.look.figures import count, number, percent, yi
from quant_pipeline.market import clock
from quant_pipeline.market.calendar import CalendarError
from quant_pipeline.market.xshg import xshg
from quant_pipeline.overview import report
from quant_pipeline.overview.day import NotStored, day_of
from quant_pipeline.overview.parts import Day, Indexes, Lacking, Turnover
from quant_pipeline.overview.row import row_of
from quant_pipeline.overview.stored import latest_stored
from quant_pipeline.settings import Settings
from quant_pipeline.sync.calendar_acceptance import stored_calendar
from quant_pipeline.warehouse.database import Database


class NothingStored(ValueError):
    """There is no bar at all, or none of that session."""


class NotSaved(RuntimeError):
    """The copy cannot be written; the text says where and why."""


def saved_day(settings: Settings, database: Database, session: dt.date | None) -> tuple[Day, Path]:
    """The session (default: the latest one that is stored), and where its copy was saved.

    CalendarError for a day without a session, NothingStored where there is no bar of it, or none at all, NotSaved.
    """
    calendar = stored_calendar(database, xshg(), clock.today())
    chosen = session or latest_stored(database, clock.today())
    if chosen is None:
        raise NothingStored(say("nothing is stored yet: quant-pipeline run"))
    if not calendar.is_session(chosen):
        before = calendar.on_or_before(chosen)
        raise CalendarError(
            say("{date} is not a session of the exchange; the one before is {before}", date=chosen, before=before)
        )
    try:
        day = day_of(database, calendar, chosen, off=settings.without)
    except NotStored as error:
        text = say("no bar of {session} is stored: {command}", session=error.session, command=error.command)
        raise NothingStored(text) from None
    try:
        return day, report.save(settings, day, clock.now())
    except OSError as error:
        folder = report.path_of(settings, chosen).parent
        raise NotSaved(
            say("the copy cannot be saved in {folder}: {why}", folder=folder, why=error.strerror or str(error))
        ) from None


def overview_output(settings: Settings, day: Day, path: Path) -> Output:
    """The day in lines, and as its row of market_overview."""
    page = f"{settings.pages_url}/day/{day.session}"
    (row,) = row_of(day).to_dicts()
    facts = {"session": day.session, "report": str(path), "page": page, "row": row, "lacking": _lacking(day)}
    return Output(facts, [*_lines(day), Text(say("Saved: {path}", path=path)), Text(say("Page: {url}", url=page))])


def _lines(day: Day) -> list[Text]:
    breadth, limits = day.breadth, day.limits
    lines = [Text(f"{day.session}", "bold")]
    if not day.whole:
        missing, due = count(len(day.missing)), count(day.due)
        lines.append(Text(say("Incomplete: {missing} of {due} shares have no bar", missing=missing, due=due), "yellow"))
    lines.append(
        Text.assemble(
            (say("up {count}", count=count(breadth.up)), "red"), " · ",
            say("flat {count}", count=count(breadth.flat)), " · ",
            (say("down {count}", count=count(breadth.down)), "green"), " · ",
            say("median {change}", change=percent(breadth.median)),
        )
    )  # fmt: skip
    lines.append(
        Text(
            say(
                "limit-up {up}, broken {broken}, longest row {highest} · limit-down {down}",
                up=limits.up, broken=limits.broken, highest=limits.highest, down=limits.down,
            )
        )
    )  # fmt: skip
    if isinstance(day.turnover, Turnover):
        amount, mean = yi(day.turnover.amount, 0), percent(day.turnover.against_mean)
        lines.append(
            Text(
                say("turnover {amount} 亿元, against the {sessions} sessions before {change}",
                    amount=amount, sessions=day.turnover.compared, change=mean)
            )
        )  # fmt: skip
    if isinstance(day.indexes, Indexes):
        shown = (f"{each.name} {number(each.close)} {percent(each.pct_chg)}" for each in day.indexes.quotes[:4])
        lines.append(Text(" · ".join(shown)))
    for name, command in _lacking(day).items():
        words = (
            say("{name} is not stored: {command}", name=name, command=command) if command else say("{name}: none", name=name)
        )
        lines.append(Text(words, "yellow"))
    return lines


def _lacking(day: Day) -> dict[str, str]:
    """Data set or screen that the day has not -> the command that brings it."""
    parts = (day.indexes, day.turnover, day.boards, day.hot, day.halts, day.listings, day.ex_dates, *day.screens)
    return {each.name: each.command for each in parts if isinstance(each, Lacking)}
