"""Runs of the launchpad for which nobody chose a partition."""

from __future__ import annotations

from datetime import date

from dagster._core.launcher import LaunchRunContext
from dagster._core.remote_representation.external import RemotePartitionSet

_NAMED = ("dagster/partition", "dagster/asset_partition_range_start")


def partition_for(context: LaunchRunContext, latest: date) -> str | None:
    """The key of the partition that has the session `latest`, for a run of a partitioned job that names none; else None.

    Dagster's launchpad preselects no partition, asks "Are you sure?", and lets the run begin; it fails at its first asset that
    rests on another one with partitions. Changed names of the partition sets: it does so again (test_ui_place.py).
    """
    run = context.dagster_run
    partitions = _partitions_of(context)
    if partitions is None or any(name in run.tags for name in _NAMED):
        return None
    keys = partitions.get_partitions_definition().get_partition_keys()
    return max((key for key in keys if key <= latest.isoformat()), default=None)


def _partitions_of(context: LaunchRunContext) -> RemotePartitionSet | None:
    """Of the run's job; None where it has none."""
    origin = context.dagster_run.remote_job_origin
    if origin is None or context.workspace is None:
        return None
    location = context.workspace.get_code_location(origin.location_name)
    repository = location.get_repository(origin.repository_origin.repository_name)
    sets = (each for each in repository.get_partition_sets() if each.job_name == context.dagster_run.job_name)
    return next((each for each in sets if each.has_partitions_definition()), None)
