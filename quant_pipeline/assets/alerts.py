"""The failure hook that every asset carries: a hook on a job stays silent when an asset is run from its page.

What is told of a failed run, whoever notices it, and that its job is well again, stands here too.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.alerts.rules import RUN_FAILED
from quant_pipeline.notify.messages import run_failed
from quant_pipeline.resources.dagster_private.names import ADHOC_JOB, COMMAND_TAG, HIDDEN
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.sync.ledger import COMMAND_ID_TAG

BY_HAND_TAG: Final = f"{HIDDEN}by_hand"
"""On runs at which somebody sits: what becomes of them is told there, and by no message."""
_TYPED = "quant-pipeline "
_NAMED = 4
"""Data sets that a command is told with."""
_JOB_BEHIND = re.compile(r" \(([^()]+)\)$")


def failure_key(run_id: str, tags: Mapping[str, str]) -> str:
    """One message per failed run, whoever notices first: this hook, or the run-failure sensor. The runs of one call of a
    command have one together."""
    return f"run-failed:{tags.get(COMMAND_ID_TAG, run_id)}"


def tell_of_failure(notifier: NotifierResource, run: dg.DagsterRun, *, step: str = "", cause: str) -> None:
    """Tells the user that the run failed, and why; `step`: "" when it died outside of any. Who began it by hand and
    sits before it knows already."""
    if BY_HAND_TAG in run.tags:
        return
    current = settings.load()
    message = run_failed(
        job=shown_job(run.job_name),
        command=_command(run),
        step=step,
        run_id=run.run_id,
        cause=cause,
        ui_url=current.ui_url,
        units_url=units_page(run.run_id, run.tags, current.pages_url),
        sandbox=current.sandboxed,
    )
    key, link = failure_key(run.run_id, run.tags), f"{current.ui_url}/runs/{run.run_id}"
    notifier.alert(RUN_FAILED, _subject(run), cause, key=key, message=message, link=link)


def tell_of_recovery(notifier: NotifierResource, run: dg.DagsterRun) -> None:
    """After a run that succeeded: what failed before and was run again with it is well, which is told once."""
    notifier.over(RUN_FAILED, _run_again_by(run))


def _command(run: dg.DagsterRun) -> str:
    """What the user typed, as far as it is known, of a command's run; else nothing."""
    command = run.tags.get(COMMAND_TAG, "")
    if not command.startswith(_TYPED):
        return ""
    assets = sorted(_selected(run))
    return f"{command} --datasets {','.join(assets)}" if command.endswith(" sync") and len(assets) <= _NAMED else command


def _subject(run: dg.DagsterRun) -> str:
    """The job, and of one that was run in part, its assets; of a command's run the command, and the job behind it."""
    job, assets, command = shown_job(run.job_name), ", ".join(sorted(_selected(run))), run.tags.get(COMMAND_TAG, "")
    if not command.startswith(_TYPED):
        return f"{job}: {assets}" if assets else job
    return f"{command}: {assets} ({job})" if assets else f"{command} ({job})"


def _run_again_by(run: dg.DagsterRun) -> Callable[[str], bool]:
    def again(subject: str) -> bool:
        job, _, assets = subject.partition(": ")
        if behind := _JOB_BEHIND.search(subject):
            job, assets = behind[1], assets.removesuffix(behind[0])
        if job != shown_job(run.job_name):
            return False
        selected = _selected(run)
        return not selected or (bool(assets) and selected.issuperset(assets.split(", ")))

    return again


def _selected(run: dg.DagsterRun) -> set[str]:
    """Assets that were chosen; none: the whole job."""
    return {key.to_user_string() for key in run.asset_selection or ()}


def units_page(run_id: str, tags: Mapping[str, str], pages_url: str) -> str:
    """The address of the page that tells of each unit: of all runs of a command, where it is one's."""
    return f"{pages_url}/sync/{tags.get(COMMAND_ID_TAG, run_id)}"


def shown_job(job: str) -> str:
    """The job's name for a person; a run from an asset's page has none of its own."""
    return "materialize 手动物化" if job == ADHOC_JOB else job


@dg.failure_hook(required_resource_keys={"notifier"})
def tell_failure(context: dg.HookContext) -> None:
    """Tells the user that a step failed, and why."""
    error = context.op_exception
    if isinstance(error, KeyboardInterrupt | dg.DagsterExecutionInterruptedError):
        return  # somebody stopped it, and knows
    run = context.instance.get_run_by_id(context.run_id)
    if run is not None:
        cause = (error.description if isinstance(error, dg.Failure) else str(error)) or type(error).__name__
        tell_of_failure(context.resources.notifier, run, step=context.op.name, cause=cause)
