"""Dagster's tables, read without Dagster: they say what Dagster says."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from quant_pipeline.resources.dagster_private.books import all_made
from quant_pipeline_tests.assets.platform import LATEST, Platform
from quant_pipeline_tests.console.commanded import checkout

DAY = LATEST.isoformat()
ASSETS = ["screen_dual_ma", "market_overview"]


@pytest.fixture
def instance(platform: Platform, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    del platform
    with checkout(tmp_path) as instance:
        yield instance


def made(platform: Platform, day: str = DAY) -> bool:
    with platform.database.connect() as connection:
        return all_made(connection, ASSETS, day)


def test_all_is_made_where_each_asset_is_materialized_for_the_day(platform: Platform, instance: dg.DagsterInstance) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(ASSETS[0], partition=DAY))
    instance.report_runless_asset_event(dg.AssetMaterialization(ASSETS[1], partition="2026-11-19"))
    instance.report_runless_asset_event(dg.AssetObservation(ASSETS[1], partition=DAY))
    assert not made(platform)
    instance.report_runless_asset_event(dg.AssetMaterialization(ASSETS[1], partition=DAY))
    assert made(platform)
    assert not made(platform, "2026-11-19")
    assert all(DAY in instance.get_materialized_partitions(dg.AssetKey(asset)) for asset in ASSETS)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
def test_nothing_is_said_of_a_day_while_a_run_goes_on_or_has_died(
    platform: Platform, instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    for asset in ASSETS:
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=DAY))
    assert made(platform)
    run = instance.add_run(dg.DagsterRun("daily_sync", run_id=str(uuid.uuid4()), status=status))
    assert not made(platform), "the run may have died: it is to be ended"
    instance.report_run_failed(run)
    assert made(platform)


def test_where_dagster_s_tables_are_not_there_yet_nothing_is_said(platform: Platform) -> None:
    platform.execute("DROP SCHEMA dagster CASCADE; CREATE SCHEMA dagster")
    assert not made(platform)
