"""Dagster's run launcher, which notices runs whose process has died, and those without a partition. Named in dagster.yaml."""

from __future__ import annotations

import dagster as dg
from dagster import DefaultRunLauncher
from dagster._core.launcher import LaunchRunContext
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus

from quant_pipeline import settings
from quant_pipeline.resources.dagster_private.unchosen import latest, unchosen
from quant_pipeline.resources.dead_runs import end_dead_runs
from quant_pipeline.warehouse.database import Database


class QuantRunLauncher(DefaultRunLauncher):
    """The default launcher, with the health check that it lacks: the daemon ends runs whose process has died.

    The check ends the run itself, with the cause in words; what the daemon would write quotes the classes behind it. Changed
    names of the two members, or a daemon that does not look at the run again after the check: dead runs stay STARTED, and
    four of them block the queue, until the next command is run (test_dead_runs.py).

    A run for which nobody chose a partition becomes one for the latest complete session.
    """

    def launch_run(self, context: LaunchRunContext) -> None:
        if (partition := unchosen(context)) is not None:
            self._instance.add_run_tags(context.dagster_run.run_id, {"dagster/partition": latest(partition)})
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        database = Database.from_settings(settings.load())
        if run.run_id in {each.run_id for each in end_dead_runs(self._instance, database, [run.run_id])}:
            return CheckRunHealthResult(WorkerStatus.FAILED, "its process has died")
        return CheckRunHealthResult(WorkerStatus.RUNNING)
