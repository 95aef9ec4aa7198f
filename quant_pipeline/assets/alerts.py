"""The failure hook that every asset carries: a hook on a job stays silent when an asset is run from its page."""

from collections.abc import Mapping

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.notify.messages import run_failed
from quant_pipeline.resources.dagster_private.names import ADHOC_JOB
from quant_pipeline.sync.ledger import COMMAND_ID_TAG


def failure_key(run_id: str, tags: Mapping[str, str]) -> str:
    """One message per failed run, whoever notices first: this hook, or the run-failure sensor. The runs of one call of a
    command have one together."""
    return f"run-failed:{tags.get(COMMAND_ID_TAG, run_id)}"


def units_page(run_id: str, tags: Mapping[str, str], pages_url: str) -> str:
    """The address of the page that tells of each unit: of all runs of a command, where it is one's."""
    return f"{pages_url}/sync/{tags.get(COMMAND_ID_TAG, run_id)}"


def shown_job(job: str) -> str:
    """The job's name for a person; a run from an asset's page has none of its own."""
    return "materialize 手动物化" if job == ADHOC_JOB else job


@dg.failure_hook(required_resource_keys={"notifier"})
def tell_failure(context: dg.HookContext) -> None:
    """Tells the user over WeChat that a step failed, and why."""
    current = settings.load()
    error = context.op_exception
    if isinstance(error, KeyboardInterrupt | dg.DagsterExecutionInterruptedError):
        return  # somebody stopped it, and knows
    run = context.instance.get_run_by_id(context.run_id)
    tags = run.tags if run is not None else {}
    message = run_failed(
        job=shown_job(context.job_name),
        step=context.op.name,
        run_id=context.run_id,
        cause=(error.description if isinstance(error, dg.Failure) else str(error)) or type(error).__name__,
        ui_url=current.ui_url,
        units_url=units_page(context.run_id, tags, current.pages_url),
        sandbox=current.sandboxed,
    )
    context.resources.notifier.tell(failure_key(context.run_id, tags), message)
