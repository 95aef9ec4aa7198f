"""The net under the failure hook: runs that died without one (a kill, a start that failed, a refused resource)."""

import dagster as dg

from quant_pipeline.assets.alerts import tell_of_failure
from quant_pipeline.assets.failures import why
from quant_pipeline.resources.notifier import NotifierResource


@dg.run_failure_sensor(
    monitor_all_code_locations=True,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Tells the user of a failed run that no hook has told of. 兜底：任何失败的运行都会通知",
)
def run_failure(context: dg.RunFailureSensorContext, notifier: NotifierResource) -> None:
    """One message per run: the key is the hook's."""
    failed = next(iter(context.get_step_failure_events()), None)  # of a job that has no hook
    step, cause = ("", why(context.failure_event)) if failed is None else (failed.step_key or "", why(failed))
    tell_of_failure(notifier, context.dagster_run, step=step, cause=cause or "the run failed")
