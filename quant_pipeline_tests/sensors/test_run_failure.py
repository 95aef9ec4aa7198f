"""The net under the failure hook: it tells of runs that died without one, and of no run twice."""

from __future__ import annotations

import dagster as dg
import pytest

from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sensors.run_failure import run_failure
from quant_pipeline_tests.assets.platform import Platform


def notice(platform: Platform, run_id: str) -> None:
    """The sensor sees the run's failure."""
    run = platform.instance.get_run_by_id(run_id)
    (record,) = platform.instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert run is not None
    assert record.dagster_event is not None
    with dg.build_run_status_sensor_context(
        sensor_name="run_failure",
        dagster_event=record.dagster_event,
        dagster_instance=platform.instance,
        dagster_run=run,
        resources={"notifier": NotifierResource(warehouse=WarehouseResource())},
    ).for_run_failure() as context:
        run_failure(context)


def told(platform: Platform, run_id: str) -> list[tuple[str, str]]:
    return platform.rows("SELECT title, content FROM messages WHERE dedupe_key = %s", f"run-failed:{run_id}")


def test_a_failure_that_the_hook_told_of_is_not_told_again(platform: Platform) -> None:
    platform.sandbox.order_fault("permission", api="namechange", times=None)
    run_id = platform.alone((), "name_history").run_id
    before = told(platform, run_id)
    assert len(before) == 1
    notice(platform, run_id)
    assert told(platform, run_id) == before


def test_a_run_that_died_before_any_hook_is_told_once(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("QUANT_RATE_LIMITS", "no-such-file.toml")  # the resource fails before the first step
        run_id = platform.run((), "name_history").run_id
    assert told(platform, run_id) == [], "Dagster calls no hook here: that is what the sensor is for"
    notice(platform, run_id)
    notice(platform, run_id)
    ((title, content),) = told(platform, run_id)
    assert "daily_sync" in title
    assert run_id in content


def test_it_watches_every_job_without_being_switched_on() -> None:
    assert run_failure.default_status is dg.DefaultSensorStatus.RUNNING
    assert run_failure.minimum_interval_seconds == 30
