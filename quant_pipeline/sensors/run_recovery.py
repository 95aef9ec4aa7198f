"""A job that failed and succeeds again: the alert is over, and that is told once."""

import dagster as dg

from quant_pipeline.assets.alerts import tell_of_recovery
from quant_pipeline.resources.notifier import NotifierResource


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitor_all_code_locations=True,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Ends the alert of a job that succeeds again. 任务恢复后通知一次",
)
def run_recovery(context: dg.RunStatusSensorContext, notifier: NotifierResource) -> None:
    """Nothing happens where nothing had failed."""
    tell_of_recovery(notifier, context.dagster_run)
