"""What the commands `status`, `history` and `stats` show: facts for --json, tables for a person."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from quant_pipeline.console.tables import Column, FittedTable
from quant_pipeline.console.words import SHORT, chinese_name, duration, moment, state
from quant_pipeline.language import marked, say, say_many
from quant_pipeline.market.datasets import DATASETS
from quant_pipeline.retelling import retold
from quant_pipeline.sync.insight.commands import commands_of, parts_of
from quant_pipeline.sync.insight.history import Found, Page
from quant_pipeline.sync.insight.running import RunningSync
from quant_pipeline.sync.insight.status import BRING, RETRY, DatasetStatus, Standing, Status
from quant_pipeline.warehouse.rows import Row

_GAPS_SHOWN = 3


@dataclass(frozen=True)
class Output:
    """What a command shows, in both forms."""

    facts: dict[str, Any]
    shown: Sequence[RenderableType]
    as_written: bool = False
    """Whether long lines are neither folded nor cut: those of a log."""


def status_output(status: Status) -> Output:
    """Each data set's watermark, holes and age; above them the syncs that are going on."""
    facts = {
        "at": status.at,
        "latest_session": status.latest,
        "running": [_running_facts(each) for each in status.running],
        "stale": [each.dataset for each in status.datasets if each.stale],
        "datasets": [asdict(each) for each in status.datasets],
    }
    table = FittedTable(
        say("Status: the latest complete session is {session}", session=status.latest or "?"),
        (
            Column(say("data set")),
            Column(say("name"), rank=2),
            Column(say("first"), rank=6),
            Column(say("last")),
            Column(say("behind"), figures=True),
            Column(say("missing"), rank=1, figures=True),
            Column(say("failed"), rank=1, figures=True),
            Column(say("latest rows"), rank=3, figures=True),
            Column(say("synced at"), rank=4),
            Column(say("source"), rank=5),
        ),
    )
    for each in status.datasets:
        table.add(*_status_cells(each))
    return Output(facts, [*(_running_line(each) for each in status.running), table, *_hints(status)])


def log_output(folder: Path, lines: Sequence[str]) -> Output:
    """The end of the log file, as it was written."""
    shown = [Text(line) for line in lines] or [Text(say("Nothing was logged yet in {folder}", folder=folder))]
    return Output({"folder": str(folder), "lines": list(lines)}, shown, as_written=True)


def history_output(page: Page[list[Row]], *, parts: bool = False) -> Output:
    """A page of the last syncs: a row per call of a command (or per part of it: each job that it ran is one)."""
    shown = parts_of(page) if parts else commands_of(page)
    table = FittedTable(
        say("History: times are Asia/Shanghai"),
        (
            Column(say("run")),
            Column(say("by"), rank=1),
            Column(say("status")),
            Column(say("started")),
            Column(say("took"), figures=True),
            Column(say("done"), figures=True),
            Column(say("failed"), rank=1, figures=True),
            Column(say("new rows"), rank=2, figures=True),
            Column(say("changed"), rank=3, figures=True),
            Column(say("rejected"), rank=5, figures=True),
            Column(say("calls"), rank=2, figures=True),
            Column(say("parts"), rank=6, figures=True),
            Column(say("sources"), rank=4),
        ),
    )
    for row in shown:
        table.add(
            row["run"][:SHORT],
            row["trigger"].removeprefix("quant-pipeline "),
            state(row["status"]),
            moment(row["started_at"]),
            duration(row["seconds"]),
            f"{row['units_done_of_asked']:,}/{row['units_asked']:,}",
            Text(f"{row['units_failed']:,}" if row["units_failed"] else "", "red"),
            *(f"{row[name]:,}" for name in ("rows_inserted", "rows_updated", "rows_rejected", "calls")),
            str(len(row["parts"])) if len(row["parts"]) > 1 else "",
            " ".join(source for source in row["by_source"] if source != "-"),
        )
    errors = [Text(f"✗ {row['run'][:SHORT]}: {retold(row['error'])}", "red") for row in shown if row["error"]]
    command = "quant-pipeline history" + (" --parts" if parts else "")
    hint = (
        [Text(say("The units of one: quant-pipeline history --run {run}", run=shown[0]["run"][:SHORT]), "dim")] if shown else []
    )
    if not shown:
        return Output(_paged(page) | {"runs": shown}, [Text(say("Nothing was synced yet: quant-pipeline run"))])
    return Output(_paged(page) | {"runs": shown}, [table, *errors, *hint, _page_line(page, command)])


def run_output(found: Found, page: Page[list[Row]]) -> Output:
    """A page of the units of one run, or of all runs of one command: failed ones first."""
    table = FittedTable(
        say("Run {run}", run=found.id),
        (
            Column(say("data set")),
            Column(say("unit"), words=24),
            Column(say("status")),
            Column(say("rows"), figures=True),
            Column(say("new rows"), rank=2, figures=True),
            Column(say("changed"), rank=3, figures=True),
            Column(say("missing"), rank=1, figures=True),
            Column(say("calls"), rank=1, figures=True),
            Column(say("took"), rank=4, figures=True),
            Column(say("finished"), rank=6),
            Column(say("source"), rank=5),
        ),
    )
    rows = page.rows
    for row in rows:
        table.add(
            row["dataset"],
            row["unit"],
            state(row["status"]),
            *(f"{row[name]:,}" for name in ("rows", "inserted", "updated", "missing", "calls")),
            duration(row["seconds"]),
            moment(row["finished_at"]),
            row["source"] or "-",
        )
    errors = [Text(f"✗ [{row['error_class'] or '-'}] {retold(row['error'])}", "red") for row in rows if row["error"]]
    facts = {"run": found.id, "parts": found.runs} | _paged(page) | {"items": rows}
    if not page.total:
        nothing = say(
            "Run {run} fetched nothing: what is complete is not fetched again "
            "(--force, or force: true in the launchpad, does).",
            run=found.id,
        )
        return Output(facts, [Text(nothing)])
    more = _page_line(page, f"quant-pipeline history --run {found.id[:SHORT]}")
    return Output(facts, [table, *errors, more])


def stats_output(stats: Sequence[Row]) -> Output:
    """What the tables hold."""
    total, size = sum(row["rows"] for row in stats), sum({row["dataset"]: row["bytes"] for row in stats}.values())
    table = FittedTable(
        say_many("Statistics: {count} row, {size} MB", "Statistics: {count:,} rows, {size} MB", total, size=_megabytes(size)),
        (
            Column(say("data set")),
            Column(say("name"), rank=2),
            Column(say("source")),
            Column(say("rows"), figures=True),
            Column(say("first"), rank=3),
            Column(say("latest"), rank=1),
            Column(say("codes"), rank=4, figures=True),
            Column("MB", rank=5, figures=True),
        ),
    )
    before = None
    for row in stats:
        first = row["dataset"] != before
        before = row["dataset"]
        table.add(
            row["dataset"] if first else "",
            chinese_name(DATASETS[row["dataset"]]) if first else "",
            row["source"] or "-",
            f"{row['rows']:,}",
            str(row["first"] or ""),
            str(row["latest"] or ""),
            f"{row['codes']:,}" if row["codes"] else "",
            _megabytes(row["bytes"]) if first else "",
        )
    return Output({"stats": list(stats), "rows": total, "bytes": size}, [table])


def _running_facts(sync: RunningSync) -> dict[str, Any]:
    return asdict(sync) | {
        "done": sync.done,
        "share": round(sync.share, 4),
        "rows_per_second": round(sync.rows_per_second, 1),
        "seconds_left": None if sync.seconds_left is None else round(sync.seconds_left, 1),
    }


def _running_line(sync: RunningSync) -> Text:
    line = say(
        "▶ Running: {trigger} (run {run}, since {since}), {dataset}: {done:,} of {planned:,} units ({share:.0%}), "
        "{rows:,} rows",
        trigger=sync.trigger,
        run=sync.command[:SHORT],
        since=moment(sync.started_at),
        dataset=sync.dataset or say("starting"),
        done=sync.done,
        planned=sync.planned,
        share=sync.share,
        rows=sync.rows,
    )
    if sync.failed:
        line += say(", {count:,} failed", count=sync.failed)
    if sync.seconds_left is not None:
        line += say(", {time} left", time=duration(sync.seconds_left))
    return Text(line, "cyan")


_STANDINGS = {
    Standing.STALE: marked("{age} stale"),
    Standing.NEVER: marked("never synced"),
    Standing.FILLING: marked("being filled"),
    Standing.AWAITED: marked("to come"),
}


def _status_cells(each: DatasetStatus) -> list[str | Text]:
    age = "?" if each.behind is None else str(each.behind)
    words = say(_STANDINGS[each.standing], age=age) if each.standing in _STANDINGS else age
    colour = {Standing.STALE: "yellow", Standing.NEVER: "yellow", Standing.FILLING: "cyan", Standing.AWAITED: "cyan"}
    return [
        each.dataset,
        chinese_name(DATASETS[each.dataset]),
        str(each.first or "–"),
        str(each.last or "–"),
        Text(words, colour.get(each.standing, "green")),
        Text(str(each.missing or ""), "yellow"),
        Text(str(each.failed or ""), "red"),
        f"{each.rows:,}",
        moment(each.synced_at),
        ", ".join(each.sources) or "-",
    ]


def _hints(status: Status) -> list[Text]:
    """In words: what is old, what lacks, and how to mend it."""
    hints = [Text(f"! {each.dataset}: {each.words}", "yellow") for each in status.late if each.last]
    if hints:
        hints.append(Text(say("Fetch what came since: {command}", command=BRING)))
    never = [each.dataset for each in status.late if each.last is None]
    if len(never) == len(status.datasets):
        hints.append(Text(say("! nothing is synced yet: quant-pipeline run"), "yellow"))
    elif never:
        hints.append(Text(say("! nothing is synced yet: {datasets}", datasets=", ".join(never)), "yellow"))
    if status.coming:
        names = ", ".join(each.dataset for each in status.coming)
        hints.append(Text(say("The sync that is going on is still bringing: {datasets}", datasets=names), "cyan"))
    for each in status.with_gaps:
        spans = ", ".join(_span(*gap) for gap in each.gaps[:_GAPS_SHOWN])
        more = say(", and {count:,} more", count=len(each.gaps) - _GAPS_SHOWN) if len(each.gaps) > _GAPS_SHOWN else ""
        text = say("! {dataset} lacks {count:,}: {spans}", dataset=each.dataset, count=each.missing, spans=spans)
        hints.append(Text(text + more, "yellow"))
        hints.append(Text(say("Fetch them: {command}", command=each.fill)))
    if status.with_failures:
        hints.append(Text(say("Try the failed units again: {command}", command=RETRY)))
    return hints


def _span(start: dt.date, end: dt.date) -> str:
    return str(start) if start == end else f"{start} .. {end}"


def _paged(page: Page[list[Row]]) -> dict[str, int]:
    return {"page": page.page, "pages": page.pages, "per_page": page.per_page, "total": page.total}


def _page_line(page: Page[list[Row]], command: str) -> Text:
    line = say("Page {page} of {pages}, {total:,} in all", page=page.page, pages=page.pages, total=page.total)
    if page.page < page.pages:
        line += say(", next: {command}", command=f"{command} --page {page.page + 1}")
    return Text(line, "dim")


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f}"
