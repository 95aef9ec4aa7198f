"""Which partitions Dagster's jobs and assets have, for runs of its pages for which nobody has chosen one."""

from __future__ import annotations

import dagster as dg
from dagster._core.launcher import LaunchRunContext
from dagster._core.remote_representation.external import RemoteRepository

from quant_pipeline.market.dataset import Partition
from quant_pipeline.partitions import PARTITIONS, key_of
from quant_pipeline.resources import opened

_NAMED = ("dagster/partition", "dagster/asset_partition_range_start")


def unchosen(context: LaunchRunContext) -> Partition | None:
    """Which partitions the run's job has, where it has some and the run names none of them.

    Dagster's launchpad preselects no partition, asks "Are you sure?", and lets the run begin; it fails at its first asset that
    rests on another one with partitions. Changed names of the partition sets: it does so again (test_ui_place.py).
    """
    run = context.dagster_run
    origin = run.remote_job_origin
    if origin is None or context.workspace is None or any(name in run.tags for name in _NAMED):
        return None
    location = context.workspace.get_code_location(origin.location_name)
    return kind_of_job(location.get_repository(origin.repository_origin.repository_name), run.job_name)


def kind_of_job(repository: RemoteRepository, job: str) -> Partition | None:
    """None where the job has no partitions, or others than ours."""
    for each in repository.get_partition_sets():
        if each.job_name == job and each.has_partitions_definition():
            return kind_of(each.get_partitions_definition())
    return None


def kind_of(definition: dg.PartitionsDefinition[str] | None) -> Partition | None:
    """Sessions, weeks and months begin at different times."""
    for kind, ours in PARTITIONS.items():
        if ours is not None and ours.cron_schedule == getattr(definition, "cron_schedule", None):
            return kind
    return None


def latest(kind: Partition) -> str:
    """The key of its latest partition whose data can exist: Dagster's own last one begins at midnight."""
    return key_of(kind, opened.calendar(opened.database()).latest())
