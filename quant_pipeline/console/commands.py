"""The commands `run` and `sync`: what is missing, the launch, the report."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import replace

import dagster as dg
from rich.console import Console

from quant_pipeline.assets import screens
from quant_pipeline.console import progress, report, window
from quant_pipeline.console.instance import prepare_environment
from quant_pipeline.console.launch import Launched, launch
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.codes import parse
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.settings import Settings
from quant_pipeline.sync.slot import SyncRunning, SyncSlot
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

SCREENS = [screen.key.to_user_string() for screen in screens.SCREENS]


def run(settings: Settings, console: Console, *, date: dt.date | None) -> report.Report:
    """The main job: syncs what is missing up to the session, checks it, screens it, tells the user."""
    started = time.monotonic()
    warehouse = WarehouseResource()
    database, calendar = warehouse.database, warehouse.calendar()
    session = calendar.latest() if date is None else _session(calendar, date)
    refuse_when_busy(database)
    missing = window.missing_window(database, calendar, session)
    launched = None
    if missing is not None:
        with progress.shown(console):
            launched = launch(missing.start, missing.end, trigger="run")
    elif not _screened(session):
        launched = launch(session, session, selection=SCREENS, trigger="run")
    return _report(settings, database, session, launched, started, screened=True)


def sync(
    settings: Settings,
    console: Console,
    *,
    datasets: Sequence[Dataset],
    asked: window.Window,
    symbols: Sequence[str],
    sources: Sequence[str],
    force: bool,
) -> report.Report:
    """Syncs the data sets for the window, without screens; `force` fetches again and queues behind another sync."""
    started = time.monotonic()
    database = WarehouseResource().database
    if not force:
        refuse_when_busy(database)
    config = {"force": force, "sources": list(sources), "symbols": [parse(symbol) for symbol in symbols]}
    with progress.shown(console):
        launched = launch(
            asked.start,
            asked.end,
            selection=[dataset.name for dataset in datasets],
            config=config,
            datasets=datasets,
            queue=force,
            trigger="sync",
        )
    return _report(settings, database, asked.end, launched, started, screened=False)


def refuse_when_busy(database: Database) -> None:
    """Raises SyncRunning when another sync holds the slot, before a run is made that could only fail."""
    presence = Presence(database.connect())
    try:
        busy = SyncSlot(database, presence).busy()
    finally:
        presence.close()
    if busy is not None:
        raise SyncRunning(f"{busy} 已有同步在进行. Wait for it to end, or use `sync --force` to queue behind it.")


def _report(
    settings: Settings, database: Database, session: dt.date, launched: Launched | None, started: float, *, screened: bool
) -> report.Report:
    run_id = launched.run_id if launched else None
    told = report.Report(
        settings.mode.value,
        session,
        run_id=run_id,
        nothing_to_do=launched is None,
        hits=report.hits(database, session) if screened else None,
        messages=report.messages(database, session, run_id),
        seconds=time.monotonic() - started,
    )
    if launched is None:
        return told
    status = report.run_status(database, launched.run_id) or "success"
    return replace(
        told,
        status=status if launched.success or status != "success" else "failed",
        errors=list(launched.failures),
        checks_passed=launched.checks_passed,
        checks_failed=[_failed_check(check) for check in launched.checks_failed],
        **report.synced(database, launched.run_id),
    )


def _failed_check(check: dg.AssetCheckEvaluation) -> dict[str, str]:
    return {
        "asset": check.asset_key.to_user_string(),
        "check": check.check_name,
        "severity": check.severity.value,
        "text": check.description or "",
    }


def _session(calendar: Calendar, date: dt.date) -> dt.date:
    latest = calendar.latest()
    if date > latest:
        raise ValueError(f"{date} lies after the latest complete session, {latest} (data are ready at 17:00 Asia/Shanghai)")
    return calendar.on_or_before(date)


def _screened(session: dt.date) -> bool:
    prepare_environment()
    with dg.DagsterInstance.get() as instance:
        key = session.isoformat()
        return all(key in instance.get_materialized_partitions(dg.AssetKey(name)) for name in SCREENS)
