"""A schedule's tick by hand, as a process: `python -m quant_pipeline.cli.tick JOB ID`. The door starts it.

It asks the schedule what it would start now, and runs that as a run of Dagster's under the job, as the commands do. Exit
code: 0 when the run has succeeded, 1 when not, 2 while a sync is running, 3 where the schedule starts nothing now: standard
error says why.
"""

from __future__ import annotations

import sys

from quant_pipeline.cli.command import leave, plain_errors

NOTHING = 3
"""Exit code: the schedule starts nothing now."""


def main(job: str, command_id: str) -> None:
    with plain_errors():
        import dagster as dg

        from quant_pipeline.console.launch import launch
        from quant_pipeline.console.nothing_to_do import refuse_when_busy
        from quant_pipeline.definitions import defs
        from quant_pipeline.market import clock
        from quant_pipeline.market.datasets import SOURCED
        from quant_pipeline.resources.dagster_private.names import COMMAND_TAG, LAUNCHED_BY_TAG
        from quant_pipeline.resources.warehouse import WarehouseResource
        from quant_pipeline.schedules import SCHEDULES

        warehouse = WarehouseResource()
        schedule = next(each for each in SCHEDULES if each.job_name == job)
        context = dg.build_schedule_context(
            scheduled_execution_time=clock.now(),
            resources={"warehouse": warehouse},
            repository_def=defs.get_repository_def(),
        )
        asked = schedule.evaluate_tick(context)
        if not asked.run_requests:
            leave(asked.skip_message or "", NOTHING)
        (request,) = asked.run_requests
        assets = {key.to_user_string() for key in defs.resolve_job_def(job).asset_layer.executable_asset_keys}
        if assets & set(SOURCED):  # one that queued would take the slot between the stages of a `run` that goes on
            refuse_when_busy(warehouse.database)
        done = launch(
            job,
            {**request.tags, LAUNCHED_BY_TAG: "REST", COMMAND_TAG: f"REST: {job}"},
            run_config=request.run_config,
            trigger=job,
            command_id=command_id,
        )
        sys.exit(0 if done.success else 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
