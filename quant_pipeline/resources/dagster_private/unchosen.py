"""Runs of the launchpad for which nobody chose a partition."""

from __future__ import annotations

import datetime as dt

import dagster as dg
from dagster._core.launcher import LaunchRunContext

_NAMED = ("dagster/partition", "dagster/asset_partition_range_start")


def unchosen(context: LaunchRunContext) -> dg.PartitionsDefinition[str] | None:
    """The partitions of the run's job, where it has some and the run names none of them.

    Dagster's launchpad preselects no partition, asks "Are you sure?", and lets the run begin; it fails at its first asset that
    rests on another one with partitions. Changed names of the partition sets: it does so again (test_ui_place.py).
    """
    run = context.dagster_run
    origin = run.remote_job_origin
    if origin is None or context.workspace is None or any(name in run.tags for name in _NAMED):
        return None
    location = context.workspace.get_code_location(origin.location_name)
    repository = location.get_repository(origin.repository_origin.repository_name)
    for each in repository.get_partition_sets():
        if each.job_name == run.job_name and each.has_partitions_definition():
            return each.get_partitions_definition()
    return None


def key_of(partitions: dg.PartitionsDefinition[str], session: dt.date) -> str | None:
    """The key of the partition that the session lies in; None where it lies before all of them."""
    return max((key for key in partitions.get_partition_keys() if key <= session.isoformat()), default=None)
