"""What the command `sources` shows: the health of each source and API, and the record of their moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from quant_pipeline.console.insight import Output
from quant_pipeline.console.tables import Cell, Column, FittedTable
from quant_pipeline.language import say
from quant_pipeline.retelling import retold
from quant_pipeline.settings import Settings
from quant_pipeline.sources import controls
from quant_pipeline.sources.controls import CIRCUITS, EVENTS, WHOLE
from quant_pipeline.sources.registry import policies, priorities, registered
from quant_pipeline.sync.insight.health import SLOW_ABOVE, UNHEALTHY_BELOW, health_of, troubles
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.rows import Row


def sources(database: Database, settings: Settings, *, events: bool, reset: str | None, priority: str | None) -> Output:
    """Does what was asked for by hand, then shows. ValueError names what does not exist."""
    done = []
    if reset is not None:
        target = controls.source_api_of(reset, known_apis(database))
        done += controls.reset(database, target) or [say("{target}: nothing to reset", target=target)]
    if priority is not None:
        target, wanted = controls.priority_of(priority, known_apis(database))
        written = say("as the environment says") if wanted is None else say("off") if wanted == 0 else wanted
        if controls.set_priority(database, target, wanted):
            done.append(say("{target}: priority {priority}", target=target, priority=written))
        else:
            done.append(say("{target}: priority {priority} already", target=target, priority=written))
    if events:
        return events_output(controls.events(database), done)
    health = health_of(database, policies(settings.rate_limits), priorities())
    return sources_output(health, troubles(health), done)


def sources_output(rows: Sequence[Row], troubles: Mapping[str, str], done: Sequence[str] = ()) -> Output:
    """Each source's and API's health; above it what was just `done` by hand, below it what deserves a look."""
    table = FittedTable(
        say("Sources: rate and times are those of the last 50 calls"),
        (
            Column(say("source")),
            Column("API"),
            Column(say("priority")),
            Column(say("circuit"), rank=1),
            Column(say("a minute"), rank=6, figures=True),
            Column(say("of quota"), rank=5, figures=True),
            Column(say("1 h"), rank=4, figures=True),
            Column(say("24 h"), rank=3, figures=True),
            Column(say("ok %"), figures=True),
            Column(say("avg s"), rank=1, figures=True),
            Column(say("p95 s"), rank=2, figures=True),
        ),
    )
    for row in rows:
        table.add(*_health_cells(row))
    whys = {f"{row['source']}.{row['api']}": _why(row) for row in rows if row["reason"]} | dict(troubles)
    notes = [Text(f"! {name}: {retold(why)}", "yellow") for name, why in whys.items()]
    facts = {"sources": rows, "unhealthy": dict(troubles), "done": list(done)}
    return Output(facts, [*_ticked(done), table, *notes])


def events_output(rows: Sequence[Row], done: Sequence[str] = ()) -> Output:
    """The last moves and changes of circuits."""
    table = FittedTable(
        say("Events: priorities, circuits, failovers"),
        (
            Column(say("at")),
            Column(say("source")),
            Column("API"),
            Column(say("event")),
            Column(say("reason"), words=24),
        ),
    )
    for row in rows:
        table.add(
            f"{row['at']:%m-%d %H:%M:%S}",
            row["source"],
            row["api"],
            _event(row["kind"]),
            retold(row["reason"]),
        )
    shown = table if rows else Text(say("No event yet: no circuit opened, no source was put back, no other answered instead."))
    return Output({"events": rows, "done": list(done)}, [*_ticked(done), shown])


def known_apis(database: Database) -> dict[str, set[str]]:
    """source -> the names of its APIs: those that serve a data set, have a pace of their own, or were called before."""
    called = controls.called_apis(database)
    return {
        name: {serving.api for serving in source.servings.values()}
        | {*source.default_policies} - {WHOLE}
        | set(called.get(name, ()))
        for name, source in registered().sources.items()
    }


def _ticked(done: Sequence[str]) -> list[Text]:
    return [Text(f"✓ {each}", "green") for each in done]


def _health_cells(row: Mapping[str, Any]) -> list[Cell]:
    whole = row["api"] == WHOLE
    marks = [*([say("set")] if row["set"] else []), *([say("demoted")] if row["demoted_at"] else [])]
    priority = " ".join([say("off") if row["priority"] == 0 else str(row["priority"]), *marks])
    state = "blocked" if row["circuit"] == "closed" and row["blocked_until"] else row["circuit"]
    return [
        Text(row["source"], "bold") if whole else "",
        say("all") if whole else row["api"],
        priority if whole or marks else "",
        "" if whole and state == "closed" else Text(say(CIRCUITS[state]), "green" if state == "closed" else "red"),
        f"{row['calls_minute']:,}",
        f"{row['quota_used']:.0f} % / {row['quota']}" if row["quota"] else "",
        f"{row['calls_hour']:,}",
        f"{row['calls_day']:,}",
        _figure(row["success_rate"], ".0f", bad=(row["success_rate"] or 0) < UNHEALTHY_BELOW),
        _figure(row["seconds_avg"], ".2f", bad=(row["seconds_avg"] or 0) > SLOW_ABOVE),
        _figure(row["seconds_p95"], ".2f", bad=False),
    ]


def _event(kind: str) -> str:
    return say(EVENTS[kind]) if kind in EVENTS else kind


def _why(row: Mapping[str, Any]) -> str:
    """Why it is left alone, waited for or put back, since when and until when."""
    begins, ends = row["open_since"] or row["demoted_at"], row["retry_at"] or row["blocked_until"]
    since = say("since {at:%m-%d %H:%M:%S}, ", at=begins) if begins else ""
    until = say("until {at:%m-%d %H:%M:%S}: ", at=ends) if ends else ""
    return f"{since}{until}{retold(row['reason'])}"


def _figure(value: float | None, form: str, *, bad: bool) -> Text:
    return Text("") if value is None else Text(f"{value:{form}}", "red" if bad else "")
