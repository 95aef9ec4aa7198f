"""A report for the eyes of a person at a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from quant_pipeline.console.notes import show_note
from quant_pipeline.console.report import Report
from quant_pipeline.console.tables import Column, FittedTable
from quant_pipeline.console.words import chinese_name, duration, moment, state
from quant_pipeline.language import marked, say, say_many
from quant_pipeline.market.dataset import Partition
from quant_pipeline.market.datasets import DATASETS
from quant_pipeline.retelling import retold
from quant_pipeline.sources.failures import AWAY
from quant_pipeline.sync.plan import Plan, PlanError

_HITS_SHOWN = 15
_NAMED = 3
"""Data sets that are named; more are counted."""
_DEAR = 5.0
"""Minutes from which on a data set's cost is told though it cannot be planned yet."""
_GRAINS = {
    "session": marked("session"),
    "code": marked("code"),
    "members": marked("board"),
    "snapshot": marked("list"),
}
_DELIVERIES = {
    "pending": marked("waiting to be sent"),
    "accepted": marked("accepted, not yet confirmed"),
    "delivered": marked("delivered"),
    "failed": marked("failed"),
    "folded": marked("in a digest"),
    "logged": marked("logged only"),
}


def show(report: Report, console: Console, *, ui_url: str, pages_url: str, ui_runs: bool) -> None:
    """Prints the report as a short summary. `ui_runs`: whether the pages answer now, so that nobody need be told of them."""
    sandbox = report.mode == "sandbox"
    title = Text(say("session {session}", session=report.session))
    if not sandbox:
        title = Text.assemble((say("LIVE"), "bold"), " · ", title)
    else:
        title = Text.assemble((say("SANDBOX"), "bold yellow"), " ", say("simulated exchange, not the market"), " · ", title)
    console.rule(title)
    if report.nothing_to_do and report.hits is None:
        _notes(report, console)  # what `sync` was asked for was nothing, and it has said so
    elif report.nothing_to_do:
        _say(console, say("Nothing to do: everything up to {session} is synced, checked and screened.", session=report.session))
        _notes(report, console)
    else:
        _show_sync(report, console)
        _show_checks(report, console)
    if report.hits is not None:
        _show_hits(report, report.hits, console)
    for message in report.messages:
        _show_message(message, console)
    _say(console, say("Took {time}.", time=duration(report.seconds)))
    if report.hits is not None and report.stored:
        _say(console, say("The day at a glance: {url}", url=f"{pages_url}/day/{report.session}"))
    if report.run_id is not None and report.datasets:  # screens alone have no units
        _say(console, say("Each unit of it: quant-pipeline history --run {run}", run=report.id_to_paste))
    if report.hits is not None and report.stored and any(row["inserted"] for row in report.datasets) and not ui_runs:
        _say(console, say("Look around: make ui → {pages}, and Dagster's pages {ui}", pages=pages_url, ui=ui_url))
        if sandbox:
            text = say("Go live: put QUANT_MODE=live and TUSHARE_TOKEN=… into .env (.env.example explains each), run again.")
            _say(console, text)


def plan_facts(plans: Sequence[Plan], problems: Sequence[PlanError]) -> dict[str, Any]:
    """A plan's figures per data set, and in sum; what cannot be planned yet."""
    rows = [
        {
            "dataset": plan.dataset.name,
            "by": plan.grain.value,
            "units": len(plan.units),
            "calls": plan.calls,
            "source": plan.source,
            "minutes": round(plan.minutes, 2),
        }
        for plan in plans
    ]
    sums = {name: sum(row[name] for row in rows) for name in ("units", "calls", "minutes")}  # type: ignore[misc]
    return {"plan": rows, **sums, "problems": [str(problem) for problem in problems]}


def show_plan(
    plans: Sequence[Plan], problems: Sequence[PlanError], console: Console, *, failed: bool = False, repair: bool = False
) -> None:
    """Prints what a sync would fetch. `failed`, `repair`: only that was asked for."""
    facts = plan_facts(plans, problems)
    table = FittedTable(
        say("Plan (nothing was fetched)"),
        (
            Column(say("data set")),
            Column(say("name"), rank=2),
            Column(say("asked by"), rank=1),
            Column(say("units"), figures=True),
            Column(say("calls"), figures=True),
            Column(say("minutes"), figures=True),
            Column(say("source")),
        ),
    )
    for row in facts["plan"]:
        table.add(
            row["dataset"],
            chinese_name(DATASETS[row["dataset"]]),
            say(_GRAINS[row["by"]]),
            f"{row['units']:,}",
            f"{row['calls']:,}",
            f"{row['minutes']:.1f}",
            row["source"] or "-",
        )
    if not facts["units"]:
        _say_nothing(problems, console, failed=failed, repair=repair)
    else:
        console.print(table)
        _say(console, _cost(facts["calls"], facts["minutes"]))
    for problem in problems:
        show_note(console, say("not planned: {problem}", problem=retold(str(problem))))
    _warn_of_cost(problems, console)


def show_total(
    plans: Sequence[Plan], problems: Sequence[PlanError], console: Console, *, failed: bool = False, repair: bool = False
) -> None:
    """Prints in a line what is about to begin; and what cannot be counted yet. `failed`, `repair`: only that was asked for."""
    facts = plan_facts(plans, problems)
    steps = len({row["dataset"] for row in facts["plan"] if row["units"]})
    for problem in problems:
        if not problem.dataset:
            show_note(console, say("not planned: {problem}", problem=retold(str(problem))))
    for name in dict.fromkeys(problem.dataset for problem in problems if problem.dataset):
        lists = ", ".join(DATASETS[name].universe)
        show_note(console, say("{dataset} is counted once its lists are here: {lists}", dataset=name, lists=lists))
    _warn_of_cost(problems, console)
    if not steps:
        _say_nothing(problems, console, failed=failed, repair=repair)
        return
    count = say_many("Plan: {count} data set", "Plan: {count} data sets", steps)
    units = say_many("{count} unit", "{count:,} units", facts["units"])
    _say(console, f"{count}, {units}, {_cost(facts['calls'], facts['minutes'])}")


def _say_nothing(problems: Sequence[PlanError], console: Console, *, failed: bool, repair: bool) -> None:
    if failed:
        _say(console, say("Nothing to fetch: nothing failed at its last attempt."))
    elif repair and not problems:
        _say(console, say("Nothing to fetch: nothing is short, breaks a check or was restated."))
    elif not problems:
        _say(console, say("Nothing to fetch: all of it was synced before (--force fetches it again)."))


def _warn_of_cost(problems: Sequence[PlanError], console: Console) -> None:
    """What the data sets will take that can be asked for code by code only: it is told before it begins."""
    dear = [problem for problem in problems if problem.minutes >= _DEAR]
    if dear:
        text = say(
            "the sources in use give {datasets} code by code only: about {minutes:.0f} minutes more. `--datasets` names fewer, "
            "`--symbols` asks for some codes, other `--sources` give whole sessions",
            datasets=", ".join(problem.dataset for problem in dear),
            minutes=sum(problem.minutes for problem in dear),
        )
        show_note(console, text)


def _cost(calls: int, minutes: float) -> str:
    counted = say_many("{count} call", "{count:,} calls", calls)
    if minutes < 0.1:
        return say("{calls}, seconds at the sources' pace", calls=counted)
    return say("{calls}, at least {minutes:.1f} minutes at the sources' pace", calls=counted, minutes=minutes)


def _show_message(message: Mapping[str, Any], console: Console) -> None:
    status, sent_at = message["status"], message.get("sent_at")
    words = say(_DELIVERIES[status]) if status in _DELIVERIES else status
    if message.get("earlier") and status == "delivered" and sent_at is not None:
        words = say("delivered on {moment}, not sent again", moment=moment(sent_at))
    error = f" ({retold(message['error'])})" if message["error"] else ""
    console.print(Text.assemble(say("Message: {title}", title=message["title"]), " · ", (words, "bold"), error))


def _show_sync(report: Report, console: Console) -> None:
    screens_alone = report.hits is not None and not report.datasets
    title = Text.assemble(say("Screened: ") if screens_alone else say("Synced: "), state(report.status))
    table = FittedTable(
        title,
        (
            Column(say("data set")),
            Column(say("name"), rank=3),
            Column(say("units"), figures=True),
            Column(say("failed"), rank=1, figures=True),
            Column(say("sessions"), rank=4),
            Column(say("rows"), figures=True),
            Column(say("new"), rank=2, figures=True),
            Column(say("changed"), rank=5, figures=True),
            Column(say("rejected"), rank=6, figures=True),
            Column(say("calls"), rank=2, figures=True),
            Column(say("source"), rank=1),
        ),
    )
    for row in report.datasets:
        table.add(
            row["dataset"],
            chinese_name(DATASETS[row["dataset"]]),
            f"{row['units']:,}",
            Text(f"{row['failed']:,}" if row["failed"] else "", "red"),
            _sessions(row),
            *(f"{row[name]:,}" for name in ("rows", "inserted", "updated", "rejected", "calls")),
            row["sources"] or "-",
        )
    nothing_came = report.unanswered is not None and not any(row["units"] for row in report.datasets)
    if report.datasets and not nothing_came:
        console.print(table)
    elif report.status != "success" or screens_alone:  # else nothing was to be fetched, and that was said
        console.print(title)
    _show_failures(report.failures, console)
    if report.unanswered is not None:
        _show_unanswered(report.unanswered, console)
    for error in report.errors:
        _cross(console, error)
    _notes(report, console)


def _show_failures(failures: Sequence[Mapping[str, Any]], console: Console) -> None:
    """What failed or is not whole: a row per data set and reason. What nobody could be asked for is a sentence of its own."""
    told = [failure for failure in failures if failure["error_class"] not in AWAY]
    if not told:
        return
    table = FittedTable(
        Text(say("Failed or not whole"), "red"),
        (Column(say("data set")), Column(say("unit"), words=22), Column(say("why"), words=24)),
    )
    for failure in told:
        why = str(failure["error"] or "").removeprefix(f"{failure['dataset']} {failure['unit']}: ")
        more = say(" and {count:,} more", count=failure["units"] - 1) if failure["units"] > 1 else ""
        table.add(failure["dataset"], failure["unit"] + more, Text(retold(why)))
    console.print(table)


def _show_unanswered(unanswered: Mapping[str, Any], console: Console) -> None:
    """In a sentence what no source could be asked for, why, and what to do."""
    units = say_many("{count} unit", "{count:,} units", unanswered["units"])
    names = unanswered["datasets"]
    of = ", ".join(names) if len(names) <= _NAMED else say_many("{count} data set", "{count} data sets", len(names))
    text = say(
        "Sources could not be reached: {units} of {datasets} failed ({why}). Look at the network, the proxy (HTTPS_PROXY) and "
        "the sources' addresses (`quant-pipeline doctor` tries each), then run it again: what failed comes then.",
        units=units, datasets=of, why=retold(unanswered["why"]),
    )  # fmt: skip
    _cross(console, text)


def _sessions(row: Mapping[str, Any]) -> str:
    if not row["first"]:
        if not row["codes"]:
            return say("a list")
        return say("by board") if DATASETS[row["dataset"]].partition is Partition.SNAPSHOT else say("by code")
    return str(row["first"]) if row["first"] == row["last"] else f"{row['first']} .. {row['last']}"


def _notes(report: Report, console: Console) -> None:
    for note in (*report.failovers, *report.skipped):
        show_note(console, note)


def _show_checks(report: Report, console: Console) -> None:
    failed = len(report.checks_failed)
    if not failed and not report.checks_passed:
        return
    line = Text.assemble(say("Checks: "), (say("{count:,} passed", count=report.checks_passed), "green"))
    if failed:
        line.append(", ").append(say("{count:,} failed", count=failed), "red")
    console.print(line)
    for check in report.checks_failed:
        _cross(console, f"{check['asset']}.{check['check']} ({check['severity']}): {retold(check['text'])}", indent="  ")


def _show_hits(report: Report, found: list[dict[str, Any]], console: Console) -> None:
    for screen in sorted({hit["screen"] for hit in found}):
        hits = [hit for hit in found if hit["screen"] == screen]
        table = FittedTable(
            say_many("Screen {screen}: {count} hit", "Screen {screen}: {count:,} hits", len(hits), screen=screen),
            (
                Column(say("code")),
                Column(say("name")),
                Column(say("close"), figures=True),
                Column(say("change %"), figures=True),
                Column(say("score"), rank=1, figures=True),
                Column(say("figures"), rank=2),
            ),
        )
        for hit in hits[:_HITS_SHOWN]:
            table.add(hit["ts_code"], hit["name"] or "", *_numbers(hit), _figures(hit["figures"]))
        console.print(table)
        if len(hits) > _HITS_SHOWN:
            query = f"SELECT * FROM screen_results WHERE trade_date = '{report.session}' AND screen = '{screen}'"
            _say(console, say("  … and {count:,} more: {query}", count=len(hits) - _HITS_SHOWN, query=query))
    if not report.stored:
        _say(console, say("Screens: none could look, no bar of {session} is stored.", session=report.session))
    elif report.unscreened:  # found nothing, for it has looked at nothing
        names = ", ".join(report.unscreened)
        _say(
            console,
            say("Screens that have not looked at this session: {names}. They do once what failed is there.", names=names),
        )
    elif not found and not any(error.startswith("screen_") for error in report.errors):
        _say(console, say("Screens: no hits in this session."))


def _numbers(hit: Mapping[str, Any]) -> list[str]:
    return [
        "" if hit[name] is None else f"{hit[name]:.{digits}f}" for name, digits in (("close", 2), ("pct_chg", 2), ("score", 3))
    ]


def _figures(text: str | None) -> str:
    """The figures behind a hit; one that a strategy could not count is left out."""
    told = ((name, value) for name, value in json.loads(text or "{}").items() if value is not None)
    return " ".join(f"{name}={value:.2f}" if isinstance(value, float) else f"{name}={value}" for name, value in told)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False)


def _cross(console: Console, text: str, *, indent: str = "") -> None:
    console.print(Text.assemble(indent, ("✗ ", "red"), retold(text)), highlight=False)
