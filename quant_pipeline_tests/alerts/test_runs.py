"""Alerts of runs and checks: opened by the failure, over when the same is well again, told once."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

import dagster as dg
import pytest

from quant_pipeline.alerts import book
from quant_pipeline.definitions import defs
from quant_pipeline.resources.dagster_private.names import COMMAND_TAG
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.postman import POSTMAN
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sensors.run_recovery import run_recovery
from quant_pipeline_tests.assets.platform import Platform
from quant_pipeline_tests.sources.loopback import send_json, serving


@pytest.fixture(autouse=True)
def _forgotten(platform: Platform) -> None:
    platform.sandbox.clear_faults()
    platform.execute("TRUNCATE messages, alerts, channel_state CASCADE")


def ended(platform: Platform, run_id: str) -> None:
    """The daemon sees that the run has succeeded."""
    run = platform.instance.get_run_by_id(run_id)
    (record,) = platform.instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_SUCCESS)
    assert run is not None
    assert record.dagster_event is not None
    with dg.build_run_status_sensor_context(
        sensor_name="run_recovery",
        dagster_event=record.dagster_event,
        dagster_instance=platform.instance,
        dagster_run=run,
        resources={"notifier": NotifierResource(warehouse=WarehouseResource())},
    ) as context:
        run_recovery(context)


def told(platform: Platform) -> list[tuple[str, str]]:
    return platform.rows("SELECT kind, severity FROM messages ORDER BY id")


def standing(platform: Platform) -> list[tuple[str, str, str]]:
    return book.alerts(platform.database, everything=True).sort("id").select("rule", "subject", "state").rows()


def test_a_failed_run_is_an_alert_until_the_same_is_well_again(platform: Platform) -> None:
    platform.sandbox.order_fault("permission", api="namechange", times=None)
    failed = platform.run((), "name_history")
    assert standing(platform) == [("run_failed", "daily_sync: name_history", "open")]
    ((cause, link),) = platform.rows("SELECT cause, link FROM alerts")
    assert "name_history" in cause
    assert link.endswith(f"/runs/{failed.run_id}")
    ended(platform, platform.run((), "trade_calendar").run_id)
    assert [state for *_, state in standing(platform)] == ["open"], "another part of the job is no cure"
    platform.sandbox.clear_faults()
    well = platform.run((), "name_history", "trade_calendar").run_id
    for _ in range(2):
        ended(platform, well)
    assert [state for *_, state in standing(platform)] == ["resolved"]
    assert told(platform) == [("run_failed", "critical"), ("recovered", "info")]


def test_a_command_s_failure_is_called_by_it_and_over_when_the_job_brings_the_same(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PUSHPLUS_TOKEN")  # whose quota of a minute the other tests need
    platform.sandbox.order_fault("permission", api="namechange", times=None)
    typed = {COMMAND_TAG: "quant-pipeline sync"}
    platform.run((), "name_history", tags=typed, config={"name_history": {"force": True}})
    assert standing(platform) == [("run_failed", "quant-pipeline sync: name_history (daily_sync)", "open")]
    ((title,),) = platform.rows("SELECT title FROM messages")
    assert title.endswith("quant-pipeline sync --datasets name_history")
    ended(platform, platform.run((), "trade_calendar", tags=typed).run_id)
    assert [state for *_, state in standing(platform)] == ["open"]
    platform.sandbox.clear_faults()
    ended(platform, platform.run((), "name_history", "trade_calendar").run_id)
    assert [state for *_, state in standing(platform)] == ["resolved"]


def test_what_nobody_wants_to_hear_of_is_neither_alert_nor_message(platform: Platform) -> None:
    book.change_rule(platform.database, "run_failed", by="li", enabled=False)
    platform.sandbox.order_fault("permission", api="namechange", times=None)
    platform.alone((), "name_history")
    assert (standing(platform), told(platform)) == ([], [])
    book.change_rule(platform.database, "run_failed", by="li", enabled=True)


def test_failed_checks_are_an_alert_until_they_pass_for_the_same_sessions(platform: Platform) -> None:
    sessions = platform.sessions(2)
    assert platform.alone(sessions, "stock_list", "trade_calendar", "suspensions", "daily_kline").success
    platform.execute("TRUNCATE messages, alerts CASCADE")
    platform.execute("UPDATE daily_kline SET vol = vol * 1000 WHERE trade_date = %s", sessions[1])
    checks = [dg.AssetKey("daily_kline")]

    def judged(*days: Any) -> None:
        tags = {"dagster/asset_partition_range_start": f"{days[0]}", "dagster/asset_partition_range_end": f"{days[-1]}"}
        job = defs.resolve_implicit_global_asset_job_def()
        selection = dg.AssetSelection.checks_for_assets(*checks).resolve_checks(defs.resolve_asset_graph())
        job.get_subset(asset_selection=set(), asset_check_selection=selection).execute_in_process(
            instance=platform.instance, tags=tags, raise_on_error=False
        )
        POSTMAN.finish()

    judged(*sessions)
    ((rule, subject, state),) = standing(platform)
    assert (rule, subject, state) == ("check_failed", f"daily_kline {sessions[0]} .. {sessions[1]}", "open")
    judged(sessions[0], sessions[0])
    assert [state for *_, state in standing(platform)] == ["open"], "another session that passes is no cure"
    platform.execute("UPDATE daily_kline SET vol = vol / 1000 WHERE trade_date = %s", sessions[1])
    judged(*sessions)
    assert [state for *_, state in standing(platform)] == ["resolved"]
    assert told(platform) == [("checks_failed", "warning"), ("recovered", "info")]


def test_a_channel_that_hangs_holds_up_no_run(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run ends, and its message is under way: the service has it, and does not answer."""
    arrived, released = threading.Event(), threading.Event()

    def respond(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        arrived.set()
        assert released.wait(60)
        send_json(handler, {"code": 200, "msg": "ok", "data": "receipt"})

    platform.sandbox.order_fault("permission", api="index_basic", times=None)
    with serving(respond) as url:
        monkeypatch.setenv("PUSHPLUS_URL", url)
        monkeypatch.delenv("PUSHPLUS_SECRET_KEY")
        result = defs.resolve_job_def("daily_sync").execute_in_process(
            instance=platform.instance, asset_selection=[dg.AssetKey("index_list")], raise_on_error=False
        )
        assert not result.success
        assert arrived.wait(60)
        assert platform.rows("SELECT status FROM messages") == [("pending",)]
        released.set()
        POSTMAN.finish()
    assert platform.rows("SELECT status FROM messages") == [("accepted",)]
