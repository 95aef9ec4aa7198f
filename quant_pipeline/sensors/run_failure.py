"""The net under the failure hook: runs that died without one (a kill, a start that failed, a refused resource)."""

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.assets.alerts import failure_key, shown_job, units_page
from quant_pipeline.notify.messages import run_failed
from quant_pipeline.resources.notifier import NotifierResource


@dg.run_failure_sensor(
    monitor_all_code_locations=True,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Tells the user of a failed run that no hook has told of. 兜底：任何失败的运行都会通知",
)
def run_failure(context: dg.RunFailureSensorContext, notifier: NotifierResource) -> None:
    """One message per run: the key is the hook's."""
    current = settings.load()
    run = context.dagster_run
    message = run_failed(
        job=shown_job(run.job_name),
        step="",
        run_id=run.run_id,
        cause=context.failure_event.message or "the run failed",
        ui_url=current.ui_url,
        units_url=units_page(run.run_id, run.tags, current.pages_url),
        sandbox=current.sandboxed,
    )
    notifier.tell(failure_key(run.run_id, run.tags), message)
