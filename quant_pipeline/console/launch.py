"""Runs a job in this process, as a run of the same Dagster instance that the UI shows."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from quant_pipeline.assets.dataset_asset import SKIPPED
from quant_pipeline.assets.failures import why
from quant_pipeline.console.interruption import Interrupted, beside
from quant_pipeline.definitions import defs
from quant_pipeline.resources.dagster_private.files import leave_output_alone
from quant_pipeline.resources.dagster_private.handlers import share_handlers
from quant_pipeline.resources.dagster_private.names import COMMAND_TAG, LAUNCHED_BY_TAG
from quant_pipeline.resources.dead_runs import cancel
from quant_pipeline.resources.instance import prepare_environment
from quant_pipeline.resources.options import run_config_of
from quant_pipeline.resources.sync import QUEUE_TAG
from quant_pipeline.sync.ledger import COMMAND_ID_TAG

_under_way: set[str] = set()
"""The runs that lanes of this command have launched, until they have ended."""
_TURN = 0.02
"""Seconds after which a thread of a run lets another one have Python, not 0.005: most of the forty wait for a source or the
database, and handing over is a twentieth of a first `run`."""
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Launched:
    """A run that has ended."""

    run_id: str
    success: bool
    failures: tuple[str, ...]
    checks: tuple[dg.AssetCheckEvaluation, ...]
    skipped: tuple[str, ...] = ()
    """What was left out, and why."""

    @property
    def checks_passed(self) -> int:
        return sum(check.passed for check in self.checks)

    @property
    def checks_failed(self) -> list[dg.AssetCheckEvaluation]:
        return [check for check in self.checks if not check.passed]


def launch(
    job: str,
    tags: Mapping[str, str],
    *,
    selection: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    config: Mapping[str, Mapping[str, Any]] | None = None,
    run_config: Mapping[str, Any] | None = None,
    queue: bool = False,
    trigger: str,
    command_id: str,
) -> Launched:
    """Runs the job, or the `selection` of its assets, for the partitions that the tags name; waits for its end.

    `options`: as SyncOptions has them. `config`: of ops, by name. `run_config`: as a schedule gives it. The run is stored under
    the job's name, tagged with the command that asked (unless `tags` name somebody else), and with the id that all runs of that
    call of it have.
    """
    prepare_environment()
    sys.setswitchinterval(_TURN)
    named = {
        LAUNCHED_BY_TAG: f"CLI {trigger}",
        COMMAND_TAG: f"quant-pipeline {trigger}",
        **tags,
        COMMAND_ID_TAG: command_id,
        **({QUEUE_TAG: "true"} if queue else {}),
    }
    run_id = str(uuid.uuid4())
    _under_way.add(run_id)
    with dg.DagsterInstance.get() as instance:
        leave_output_alone(instance)
        share_handlers(instance)

        def execute() -> dg.ExecuteInProcessResult:
            return defs.resolve_job_def(job).execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey(name) for name in selection] or None,
                run_config=_QUIET
                | dict(run_config or {})
                | (run_config_of(options) if options else {})
                | ({"ops": {op: {"config": dict(each)} for op, each in config.items()}} if config else {}),
                tags=named,
                raise_on_error=False,
                run_id=run_id,
            )

        # Beside this thread, which is where signals arrive: so they reach the command, not only the job that is under way.
        try:
            (result,) = beside(execute)
        except Interrupted:
            cancel(instance, run_id)
            raise
        checks = tuple(_evaluations(instance, run_id))
        skipped = tuple(_skipped(instance, run_id))
    _under_way.discard(run_id)
    return Launched(
        run_id=result.run_id,
        success=result.success,
        failures=tuple(_failures(result)),
        checks=checks,
        skipped=skipped,
    )


def side_by_side(*lanes: Callable[[], list[Launched]]) -> list[Launched]:
    """What the runs of all lanes came to, lane by lane: the runs of one follow one another, beside those of the others."""
    try:
        return [launched for lane in beside(*lanes) for launched in lane]
    except Interrupted:
        with dg.DagsterInstance.get() as instance:
            for run_id in tuple(_under_way):
                cancel(instance, run_id)
        raise


def _skipped(instance: dg.DagsterInstance, run_id: str) -> Iterator[str]:
    for record in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION):
        if record.asset_observation is not None and SKIPPED in record.asset_observation.metadata:
            yield str(record.asset_observation.metadata[SKIPPED].value)


def _evaluations(instance: dg.DagsterInstance, run_id: str) -> Iterator[dg.AssetCheckEvaluation]:
    """What the run's checks found: as stored, for those that a failing step wrote are not among its result's events."""
    for record in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        if record.dagster_event is not None:
            yield record.dagster_event.asset_check_evaluation_data


def _failures(result: dg.ExecuteInProcessResult) -> list[str]:
    """What failed, in the words that were written for the user where there are some, else in the first cause's."""
    texts = []
    for event in result.all_events:
        if event.is_step_failure:
            cause = why(event)
            texts.append(cause if cause.startswith(f"{event.step_key}: ") else f"{event.step_key}: {cause}")
        elif event.event_type == dg.DagsterEventType.PIPELINE_FAILURE and not texts:
            texts.append(why(event))
    return texts
