"""`run --date` for a session that is not the newest: what it fetches for it, and what it cannot or does not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

from quant_pipeline.console.launch import Launched
from quant_pipeline.console.tasks import Task
from quant_pipeline.language import say, say_many
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.sync.checks.freshness import FRESH


def past_session(calendar: Calendar, session: dt.date, todo: Sequence[Task]) -> list[str]:
    """Nothing for the newest session; else in words what is fetched from when on, and what is not of that day."""
    latest = calendar.latest()
    if session >= latest:
        return []
    before = say_many(
        "{session} lies {count} session before the newest, {latest}",
        "{session} lies {count:,} sessions before the newest, {latest}",
        len(calendar.between(session, latest)) - 1,
        session=session,
        latest=latest,
    )
    spans = [
        say("{datasets} from {start} on", datasets=", ".join(dated), start=task.window.start)
        for task in todo
        if (dated := [dataset.name for dataset in task.datasets if dataset.dated])
    ]
    fetched = say("Fetched, where missing: {spans}", spans="; ".join(spans)) if spans else say("No session's data are missing")
    return [
        say("{before}. {fetched}. What lies after it is not fetched (`sync --start` is)", before=before, fetched=fetched),
        say(
            "Lists of codes and the members of THS boards are those of today, not of {session}. Its screens are stored; no "
            "message is sent of them",
            session=session,
        ),
    ]


def without_the_newest(calendar: Calendar, session: dt.date, launched: Launched) -> Launched:
    """The run as its command tells of it: where what was asked for ends before the newest session, nobody waits for that one,
    and that it is not there is no finding. Dagster's pages keep it, which show how the tables stand."""
    if session >= calendar.latest_known():
        return launched
    return replace(launched, checks=tuple(check for check in launched.checks if check.check_name != FRESH.name))
