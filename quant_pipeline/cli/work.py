"""The commands that do something: run, sync, ui, sandbox."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import TYPE_CHECKING, Any

import click

from quant_pipeline.cli import completing
from quant_pipeline.cli.command import DAY, as_json, finish, plain_errors, prepared, read_settings, split, upgraded
from quant_pipeline.cli.help import Command, option
from quant_pipeline.language import marked, say
from quant_pipeline.loading import uncollected

if TYPE_CHECKING:
    from quant_pipeline.console.windows import Window
    from quant_pipeline.market.dataset import Dataset
    from quant_pipeline.sync.plan import Plan, PlanError
    from quant_pipeline.warehouse.database import Database

_BEFORE = 200
"""Days that hold the sessions which `run --date` looks at before that day."""


@click.command(cls=Command)
@option("--date", type=DAY, help="Session to end with (default: the latest complete one).")
@as_json
def run(date: dt.datetime | None, as_json: bool) -> None:
    """The main job: sync what is missing, check, screen, notify.

    The first time it takes the latest session and the 120 before it; after that only what is missing. Running it again
    is safe: what is complete is not fetched twice, and a broken-off run goes on from where it stopped.
    """
    began = time.monotonic()
    with plain_errors():
        from quant_pipeline.console.interruption import interruptible
        from quant_pipeline.console.nothing_to_do import nothing_to_do
        from quant_pipeline.console.wanted import widen
        from quant_pipeline.resources import opened, upstream

        settings, console = prepared(as_json)
        database = opened.database()
        calendar, last = opened.calendar(database), date.date() if date else None
        widen(database, calendar, last - dt.timedelta(days=_BEFORE) if last else None)
        done = nothing_to_do(settings, console, database, calendar, date=last, began=began)
        if done is None:
            upstream.start_ahead(settings)  # it loads while this process loads Dagster
            with uncollected():
                from quant_pipeline.console import commands  # with Dagster's definitions, which are made of what is wanted
                from quant_pipeline.resources.warehouse import WarehouseResource

            with interruptible():
                done = commands.run(settings, console, WarehouseResource(), calendar, date=last, began=began)
        finish(done, settings, console, as_json)


@click.command(cls=Command)
@option("--datasets", shell_complete=completing.datasets, help="Comma-separated data sets (default: all).")
@option("--periods", shell_complete=completing.periods, help="Comma-separated K-line periods: daily,weekly,monthly.")
@option("--symbols", help="Comma-separated codes: 000001,600000 or 000001.SZ.")
@option(
    "--sources",
    shell_complete=completing.sources,
    help="Only these sources, in their ranking: tushare,baostock (all: `sources`).",
)
@option("--start", type=DAY, help="First day.")
@option("--end", type=DAY, help="Last day (default: the latest complete session).")
@option("--days-back", type=click.IntRange(min=1), help="The last N sessions.")
@option("--all-history", is_flag=True, help="Every session since 1990-12-19.")
@option("--force", is_flag=True, help="Fetch again what is there, and queue behind a running sync.")
@option("--retry-failed", is_flag=True, help="Only what failed at its last attempt.")
@option("--repair", is_flag=True, help="Only what is short, breaks a check or was restated.")
@option("--dry-run", is_flag=True, help="Print the plan (calls, minutes at the quota), fetch nothing.")
@as_json
def sync(
    datasets: str | None,
    periods: str | None,
    symbols: str | None,
    sources: str | None,
    start: dt.datetime | None,
    end: dt.datetime | None,
    days_back: int | None,
    all_history: bool,
    force: bool,
    retry_failed: bool,
    repair: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Sync chosen data sets for chosen sessions and codes.

    Without a window it takes the latest session; --retry-failed and --repair take all that was ever synced.

    \b
    quant-pipeline sync --datasets daily_kline,adj_factor --start 2026-01-01
    quant-pipeline sync --symbols 000001,600000 --days-back 60
    quant-pipeline sync --periods weekly,monthly --start 2020-01-01 --dry-run
    quant-pipeline sync --retry-failed
    """
    began = time.monotonic()
    if sum((start is not None, days_back is not None, all_history)) > 1:
        raise click.UsageError(say("--start, --days-back and --all-history exclude each other"))
    if sum((force, retry_failed, repair)) > 1:
        raise click.UsageError(say("--force, --retry-failed and --repair exclude each other"))
    with plain_errors():
        from quant_pipeline.console import choices, windows
        from quant_pipeline.console.interruption import interruptible
        from quant_pipeline.console.notes import show_note
        from quant_pipeline.console.nothing_to_do import nothing_failed
        from quant_pipeline.console.wanted import widen
        from quant_pipeline.market.datasets import SOURCED
        from quant_pipeline.resources import opened, upstream
        from quant_pipeline.warehouse.listings import listings

        settings, console = prepared(as_json)
        database = opened.database()
        named, calendar = choices.chosen_datasets(split(datasets), split(periods)), opened.calendar(database)
        lists = listings(database) if symbols else []
        asked = choices.known_symbols(split(symbols), named, lists, sandboxed=settings.sandboxed)
        chosen = choices.with_symbols(named, asked.codes)
        notes = [*choices.taken_for(split(datasets), SOURCED), *asked.notes]
        notes += windows.shifted(calendar, start=start.date() if start else None, end=end.date() if end else None)
        for note in notes:
            show_note(console, note)
        only_lists = not any(dataset.dated for dataset in chosen)
        windowless = start is None and end is None and days_back is None and not all_history

        def window(dataset: Dataset) -> Window:
            if windowless and (retry_failed or repair):
                return windows.stored_window(database, calendar, only_lists=only_lists)
            return windows.asked_window(
                calendar,
                start=start.date() if start else None,
                end=end.date() if end else None,
                days_back=days_back,
                all_history=all_history,
                only_lists=only_lists,
                ready=dataset.ready,
            )

        spans = {dataset.name: window(dataset) for dataset in chosen}
        if not dry_run:
            starts = [spans[dataset.name].start for dataset in chosen if dataset.dated and not windowless]
            widen(database, calendar, min(starts) if starts else None)
        from_sources = choices.chosen_sources(split(sources))
        if retry_failed and not dry_run:
            windows_of = {dataset: spans[dataset.name] for dataset in chosen}
            if (done := nothing_failed(settings, console, database, windows_of, began=began)) is not None:
                finish(done, settings, console, as_json)
                return
        upstream.start_ahead(settings)
        with uncollected():
            from quant_pipeline.console import commands  # with Dagster's definitions, which are made of what is wanted

        order = commands.Order(
            datasets=chosen,
            windows=spans,
            symbols=asked.codes,
            sources=from_sources,
            force=force,
            retry_failed=retry_failed,
            repair=repair,
            named=bool(datasets or periods),
        )
        if dry_run:
            _show_plan(*commands.plan(order, console), console, as_json, failed=retry_failed, repair=repair)
        else:
            with interruptible():
                done = commands.sync(settings, console, order=order, began=began)
            finish(done, settings, console, as_json)


def _ready() -> Database:
    """The database of `ui`; what its pages count from is settled before they are made."""
    from quant_pipeline.console.wanted import widen
    from quant_pipeline.market.xshg import xshg

    database: Database = upgraded()
    widen(database, xshg())
    return database


@click.command(cls=Command)
@option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@option("--port", default=3000, show_default=True, type=click.IntRange(1, 65_534), help="Port.")
@option("--json", "as_json", is_flag=True, help="Log as JSON lines.")
def ui(host: str, port: int, as_json: bool) -> None:
    """The Dagster web UI with daemon, schedules and sensors."""
    with plain_errors():
        from quant_pipeline.console.nursery import nursery

        nursed = nursery()  # it loads Dagster while this process finds out whether it may start
        from rich.console import Console

        from quant_pipeline.console import ui as servers
        from quant_pipeline.console.instance import enter_project
        from quant_pipeline.console.interruption import interruptible

        with interruptible(servers.STOPPED, servers.FAREWELL):
            settings = read_settings()
            enter_project()
            place = servers.Place(host, port)
            servers.serve(place, settings, _ready, Console(stderr=True), nursery=nursed, as_json=as_json)


@click.command(cls=Command)
@option("--port", default=0, type=click.IntRange(0, 65535), help="Port to listen on (0: any free one).")
@as_json
def sandbox(port: int, as_json: bool) -> None:
    """Serve the sandbox alone: the simulated exchange behind all its servers."""
    with plain_errors():
        from quant_pipeline.console.interruption import end_now
        from quant_pipeline.sandbox import __main__ as service

        signal = service.foreground(read_settings(or_here=True).home, port=port, as_json=as_json)
        if signal is not None:
            end_now(128 + signal, marked("The sandbox is stopped; `run`, `sync` and `ui` start one when they need it."))


def _show_plan(
    plans: list[Plan], problems: list[PlanError], console: Any, as_json: bool, *, failed: bool, repair: bool
) -> None:
    from quant_pipeline.console.render import plan_facts, show_plan

    if as_json:
        click.echo(json.dumps(plan_facts(plans, problems), ensure_ascii=False, indent=2))
    else:
        show_plan(plans, problems, console, failed=failed, repair=repair)
