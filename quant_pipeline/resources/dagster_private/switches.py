"""What people switched in Dagster's pages."""

from __future__ import annotations

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorStatus, InstigatorType


def switched_by_hand(instance: dg.DagsterInstance) -> dict[str, bool]:
    """Schedule -> whether the UI's switch has it on; those that nobody touched are as the code declares them.

    Changed names of the state's parts: `doctor` says so of its schedules, and of nothing else (console/test_doctor.py).
    """
    states = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
    touched = (InstigatorStatus.RUNNING, InstigatorStatus.STOPPED)
    return {state.instigator_name: state.status is InstigatorStatus.RUNNING for state in states if state.status in touched}
