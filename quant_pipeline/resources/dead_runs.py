"""Runs whose process has died: they are ended, with the cause in words, so that none of them blocks the queue for ever.

Dagster itself ends only what its own code server launched and outlived. Here a run's process is known by its presence
(`warehouse/run_presence.py`), whoever started it: the UI, a schedule, a command. The daemon asks every 30 s through the run
launcher (`dagster_private/launcher.py`), and every command asks when it starts, so that it works without a daemon too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
import psutil

from quant_pipeline import settings
from quant_pipeline.language import of_messages, speaking, told
from quant_pipeline.sync.ledger import INTERRUPTED, close_dead, close_interrupted
from quant_pipeline.warehouse import run_presence
from quant_pipeline.warehouse.database import Database

_BEGUN = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_PROCESS = "SELECT process FROM sync_runs WHERE id = %s"


@dataclass(frozen=True)
class DeadRun:
    """A run that was ended here. `cause`: why, for later readers (Dagster's event, the message) · `told`: for the terminal."""

    run_id: str
    job: str
    cause: str
    told: str
    tags: Mapping[str, str]
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
        process, restarted = _process(database, run_id), _restarted(begun[run_id].start_time)
        cause = _lasting(process, restarted)
        cancelled = run.status is dg.DagsterRunStatus.CANCELING
        if cancelled:
            instance.report_run_canceled(run, cause)
        else:
            instance.report_run_failed(run, cause)
        ended.append(DeadRun(run_id, run.job_name, cause, _cause(process, restarted), run.tags, cancelled))
    if ended:
        with database.connect() as connection:
            close_dead(connection)
    return ended


def cancel(instance: dg.DagsterInstance, run_id: str) -> None:
    """Ends a run of this process that was interrupted, while its threads still hang in calls: nothing of it is told."""
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        instance.report_run_canceled(run, told("The run was {how}.", how=INTERRUPTED))
    with Database.from_settings(settings.load()).connect() as connection:
        close_interrupted(connection, run_id)


def _process(database: Database, run_id: str) -> str | None:
    """The run's process as the books have it, host:pid."""
    with database.connect() as connection:
        known = connection.execute(_PROCESS, (run_id,)).fetchone()
    process: str | None = known[0] if known else None
    return process


def _restarted(started: float | None) -> dt.datetime | None:
    """When this machine was restarted, where that ended the run."""
    if settings.load().database_url is None and started is not None and psutil.boot_time() > started:
        return dt.datetime.fromtimestamp(psutil.boot_time()).astimezone()
    return None


def _lasting(process: str | None, restarted: dt.datetime | None) -> str:
    """The cause for later readers, of Dagster's pages and of messages: English, Chinese behind it unless QUANT_LANG=en."""
    with speaking("en"):
        english = _cause(process, restarted)
    if of_messages() == "en":
        return english
    with speaking("zh"):
        return f"{english} {_cause(process, restarted)}"


def _cause(process: str | None, restarted: dt.datetime | None) -> str:
    if restarted is not None:
        how = told("this machine was restarted at {at:%F %T} (a reboot, or a power cut)", at=restarted)
    elif process is not None:
        how = told("its process ({process}) was killed (kill -9, out of memory), or its machine went down", process=process)
    else:
        how = told("its process was killed (kill -9, out of memory), or its machine went down")
    return told("The run broke off: {how}. What was committed is kept; run it again to go on.", how=how)
