"""The switches of schedules: what people switched in Dagster's pages, and the same by a program; when they tick next."""

from __future__ import annotations

import datetime as dt

import dagster as dg
from dagster._core.definitions.repository_definition.valid_definitions import SINGLETON_REPOSITORY_NAME
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorType, ScheduleInstigatorData
from dagster._utils.schedules import schedule_execution_time_iterator

from quant_pipeline.market import clock
from quant_pipeline.resources.dagster_private.names import CODE_LOCATION


def switched_by_hand(instance: dg.DagsterInstance) -> dict[str, bool]:
    """Schedule -> whether the UI's switch has it on; those that nobody touched are as the code declares them.

    Changed names of the state's parts: `doctor` says so of its schedules, and of nothing else (console/test_doctor.py).
    """
    states = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
    touched = (InstigatorStatus.RUNNING, InstigatorStatus.STOPPED)
    return {state.instigator_name: state.status is InstigatorStatus.RUNNING for state in states if state.status in touched}


def switch(instance: dg.DagsterInstance, schedule: str, cron: str, *, on: bool) -> None:
    """As the UI's switch does it: the daemon and the pages see it at once. Ticks before this moment are not made up for.

    Dagster's own function wants the schedule of a loaded code location; the state alone is what it writes. Changed parts of the
    state or its origin: the switch by REST has no effect in the UI (door/rest/test_tasks.py).
    """
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(CODE_LOCATION), SINGLETON_REPOSITORY_NAME)
    since = dt.datetime.now(dt.UTC).timestamp() if on else None
    status = InstigatorStatus.RUNNING if on else InstigatorStatus.STOPPED
    origin = RemoteInstigatorOrigin(repository, schedule)
    state = InstigatorState(origin, InstigatorType.SCHEDULE, status, ScheduleInstigatorData(cron, since))
    if instance.get_instigator_state(state.instigator_origin_id, state.selector_id) is None:
        instance.add_instigator_state(state)
    else:
        instance.update_instigator_state(state)


def next_tick(cron: str) -> dt.datetime:
    """The first time after now, in the exchange's zone. Changed: as `switch`."""
    zone = str(clock.EXCHANGE_ZONE)
    return next(schedule_execution_time_iterator(clock.now().timestamp(), cron, zone)).astimezone(clock.EXCHANGE_ZONE)
