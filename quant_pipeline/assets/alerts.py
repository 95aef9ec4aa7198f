"""The failure hook that every asset carries: a hook on a job stays silent when an asset is run from its page."""

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.notify.messages import run_failed
from quant_pipeline.resources.dagster_private import ADHOC_JOB


def failure_key(run_id: str) -> str:
    """One message per failed run, whoever notices first: this hook, or the run-failure sensor."""
    return f"run-failed:{run_id}"


def shown_job(job: str) -> str:
    """The job's name for a person; a run from an asset's page has none of its own."""
    return "materialize 手动物化" if job == ADHOC_JOB else job


@dg.failure_hook(required_resource_keys={"pushplus"})
def tell_failure(context: dg.HookContext) -> None:
    """Tells the user over WeChat that a step failed, and why."""
    current = settings.load()
    error = context.op_exception
    if isinstance(error, KeyboardInterrupt | dg.DagsterExecutionInterruptedError):
        return  # somebody stopped it, and knows
    message = run_failed(
        job=shown_job(context.job_name),
        step=context.op.name,
        run_id=context.run_id,
        cause=(error.description if isinstance(error, dg.Failure) else str(error)) or type(error).__name__,
        ui_url=current.ui_url,
        sandbox=current.sandboxed,
    )
    context.resources.pushplus.tell(failure_key(context.run_id), message)
