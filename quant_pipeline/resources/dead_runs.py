"""Runs whose process has died: they are ended, with the cause in words, so that none of them blocks the queue for ever.

Dagster itself ends only what its own code server launched and outlived. Here a run's process is known by its presence
(`warehouse/run_presence.py`), whoever started it: the UI, a schedule, a command. The daemon asks every 30 s through the run
launcher (`dagster_private.py`), and every command asks when it starts, so that it works without a daemon too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg
import psutil

from quant_pipeline import settings
from quant_pipeline.sync.ledger import INTERRUPTED, close_dead, close_interrupted
from quant_pipeline.warehouse import run_presence
from quant_pipeline.warehouse.database import Database

_BEGUN = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_PROCESS = "SELECT process FROM sync_runs WHERE id = %s"


@dataclass(frozen=True)
class DeadRun:
    """A run that was ended here: `cause` says why, for a person."""

    run_id: str
    job: str
    cause: str
    cancelled: bool
    """It was being cancelled when it died: nobody needs to hear of it."""


def end_dead_runs(instance: dg.DagsterInstance, database: Database, run_ids: Sequence[str] | None = None) -> list[DeadRun]:
    """Ends those of the runs that have begun (default: all) whose process is gone, and closes their books."""
    filters = dg.RunsFilter(statuses=_BEGUN, run_ids=None if run_ids is None else list(run_ids))
    begun = {record.dagster_run.run_id: record for record in instance.get_run_records(filters)}
    ended = []
    for run_id in sorted(run_presence.dead(database, list(begun))):
        run = instance.get_run_by_id(run_id)
        if run is None or run.status not in _BEGUN:
            continue  # it ended in the meantime, or somebody else was faster
        cause = _cause(database, run_id, begun[run_id].start_time)
        cancelled = run.status is dg.DagsterRunStatus.CANCELING
        if cancelled:
            instance.report_run_canceled(run, cause)
        else:
            instance.report_run_failed(run, cause)
        ended.append(DeadRun(run_id, run.job_name, cause, cancelled))
    if ended:
        with database.connect() as connection:
            close_dead(connection)
    return ended


def cancel(instance: dg.DagsterInstance, run_id: str) -> None:
    """Ends a run of this process that was interrupted, while its threads still hang in calls: nothing of it is told."""
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        instance.report_run_canceled(run, f"The run was {INTERRUPTED}.")
    with Database.from_settings(settings.load()).connect() as connection:
        close_interrupted(connection, run_id)


def _cause(database: Database, run_id: str, started: float | None) -> str:
    with database.connect() as connection:
        known = connection.execute(_PROCESS, (run_id,)).fetchone()
    process = f"its process ({known[0]})" if known else "its process"
    how = f"{process} was killed (kill -9, out of memory), or its machine went down"
    if settings.load().database_url is None and started is not None and psutil.boot_time() > started:
        boot = dt.datetime.fromtimestamp(psutil.boot_time()).astimezone()
        how = f"this machine was restarted at {boot:%F %T} (a reboot, or a power cut)"
    return (
        f"The run broke off: {how}. What was committed is kept; run it again to go on. "
        "运行中断：进程被杀死或机器断电；已入库的数据都在，重新运行即可继续"
    )
