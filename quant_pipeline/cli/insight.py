"""The commands that show what is: status, history, sources, stats."""

from __future__ import annotations

import click

from quant_pipeline.cli import completing
from quant_pipeline.cli.command import as_json, plain_errors, prepared, show, split, tell_lacking, upgraded
from quant_pipeline.cli.help import Command, option
from quant_pipeline.loading import only_looking


@click.command(cls=Command)
@as_json
def status(as_json: bool) -> None:
    """How far each data set is synced, and how the running sync comes along.

    Columns: first, last: the sessions from and up to which it is synced whole (of a list: as of when it was asked for).
    behind: how many sessions, closed weeks or closed months that are due came after the last one; stale: so many that it is
    time to fetch them; never synced: nothing of it is there; being filled, to come: the sync that is going on brings it.
    missing: how many sessions lack in between. failed: units whose last attempt failed. latest rows: those of the last
    session (of a list: all). Columns of which there is nothing to tell are left out.

    \b
    quant-pipeline status
    quant-pipeline status --json | jq -r '.datasets[] | select(.stale) | .words'
    """
    with plain_errors():
        only_looking()
        from quant_pipeline.console.insight import status_output
        from quant_pipeline.resources import opened
        from quant_pipeline.switches import switched_off
        from quant_pipeline.sync.insight.status import status_of

        settings, console = prepared(as_json)
        tell_lacking(settings, console)
        database = opened.database()
        shown = status_output(status_of(database, opened.calendar(database), off=switched_off()))
        show(shown, settings, console, as_json)


@click.command(cls=Command)
@option(
    "--run",
    "begins",
    metavar="ID",
    shell_complete=completing.runs,
    help="The units of that run, failed ones first (the id's beginning will do).",
)
@option("--parts", is_flag=True, help="Each job of a command as a row of its own.")
@option("--page", default=1, show_default=True, type=click.IntRange(min=1), help="Page, the latest first.")
@option("--per-page", type=click.IntRange(1, 1000), help="Rows a page (default: 20 runs, 100 units).")
@option("--logs", is_flag=True, help="The end of the log file instead (QUANT_HOME/logs, 30 days).")
@option("--lines", default=50, show_default=True, type=click.IntRange(min=1), help="So many lines of it.")
@as_json
def history(begins: str | None, parts: bool, page: int, per_page: int | None, logs: bool, lines: int, as_json: bool) -> None:
    """The last syncs: what each did, wrote and cost, and why it failed.

    A row is one call of a command, which may run several jobs; its id can be pasted into --run.

    \b
    quant-pipeline history
    quant-pipeline history --page 2 --per-page 50
    quant-pipeline history --run 3f2a91c0
    quant-pipeline history --logs --lines 200
    """
    with plain_errors():
        only_looking()
        from quant_pipeline import logbook
        from quant_pipeline.console import insight
        from quant_pipeline.sync.insight import history as ledger

        settings, console = prepared(as_json)
        if logs:
            output = insight.log_output(logbook.folder_of(settings), logbook.last_lines(settings, lines))
            show(output, settings, console, as_json)
            return
        database = upgraded()
        if begins is None:
            pages = ledger.runs if parts else ledger.by_command
            output = insight.history_output(pages(database, page=page, per_page=per_page or ledger.PER_PAGE), parts=parts)
        else:
            found = ledger.run_of(database, begins)
            count = per_page or ledger.PER_PAGE_OF_ITEMS
            output = insight.run_output(found, ledger.items(database, found.runs, page=page, per_page=count))
        show(output, settings, console, as_json)


@click.command(cls=Command)
@option("--events", is_flag=True, help="The last moves of priority and changes of circuits, with reasons.")
@option("--reset", metavar="SOURCE[.API]", help="Close its circuit, lift its wait and demotion.")
@option("--priority", metavar="SOURCE[.API]=N", help="1 is asked first, 0 is off, empty: as the environment says.")
@as_json
def sources(events: bool, reset: str | None, priority: str | None, as_json: bool) -> None:
    """Health of each source and API: calls, success rate, times, quota, circuit, priority.

    A priority set here overrules the environment's, and a running sync follows it. Nothing is called: no quota is spent.

    \b
    quant-pipeline sources
    quant-pipeline sources --events
    quant-pipeline sources --reset akshare.eastmoney
    quant-pipeline sources --priority baostock=1
    quant-pipeline sources --priority tushare.daily=       (back to TUSHARE_PRIORITY)
    """
    with plain_errors():
        only_looking()
        from quant_pipeline.console import sources as controls

        settings, console = prepared(as_json)
        tell_lacking(settings, console)
        show(controls.sources(upgraded(), settings, events=events, reset=reset, priority=priority), settings, console, as_json)


@click.command(cls=Command)
@option("--datasets", shell_complete=completing.datasets, help="Comma-separated data sets (default: all).")
@as_json
def stats(datasets: str | None, as_json: bool) -> None:
    """What the tables hold: rows, dates and codes per data set and source, size on disk.

    \b
    quant-pipeline stats
    quant-pipeline stats --datasets daily_kline,adj_factor --json
    """
    with plain_errors():
        only_looking()
        from quant_pipeline.console.choices import known_datasets
        from quant_pipeline.console.insight import stats_output
        from quant_pipeline.market.datasets import DATASETS
        from quant_pipeline.sync.insight import stats as tables

        settings, console = prepared(as_json)
        chosen = tables.chosen(known_datasets(split(datasets), DATASETS))
        show(stats_output(tables.figures_of(upgraded(), chosen)), settings, console, as_json)
