"""The scheduled jobs by REST: times in the file, switches in Dagster's instance, runs, and ticks by hand in processes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.selector import InstigatorSelector

from quant_pipeline import settings
from quant_pipeline.cli import tick
from quant_pipeline.door import keys
from quant_pipeline.door.keys import Scope
from quant_pipeline.resources.dagster_private.names import CODE_LOCATION
from quant_pipeline.resources.dagster_private.switches import switched_by_hand
from quant_pipeline.sync.slot import SyncSlot
from quant_pipeline.timetable import DEFAULTS
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.assets.platform import Platform, exchange, platform
from quant_pipeline_tests.console.commanded import checkout, until
from quant_pipeline_tests.door.rest.test_rest import Rest
from quant_pipeline_tests.door.served import served

__all__ = ["exchange", "platform"]
TASKS = "/api/v1/tasks"
WRITTEN = """# 我的时间
[hot_sync] # hourly
cron = "0 10-15 * * *" # in the session

[catch_up]
on = false
"""


@pytest.fixture(scope="module")
def instance(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    del platform  # whose environment it is
    with checkout(tmp_path_factory.mktemp("tasks")) as instance:
        yield instance


@pytest.fixture
def file(instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    del instance
    path = tmp_path / "schedules.toml"
    path.write_text(WRITTEN, encoding="utf-8")
    path.chmod(0o640)
    monkeypatch.setenv("QUANT_SCHEDULES", str(path))
    return path


@pytest.fixture
def rest(platform: Platform, file: Path) -> Iterator[Rest]:
    del file
    with served(settings.load(), platform.database) as url:
        yield Rest(platform, url)


def test_tasks_are_the_jobs_with_their_times_and_switches(rest: Rest) -> None:
    listed = rest.get(TASKS)
    tasks = {each["id"]: each for each in listed["items"]}
    assert (list(tasks), listed["total"]) == (list(DEFAULTS), len(DEFAULTS))
    assert tasks["hot_sync"]["origin"] == "file"
    assert (tasks["catch_up"]["on"], tasks["catch_up"]["cron"]) == (False, DEFAULTS["catch_up"].cron)
    assert tasks["catch_up"]["next_at"] is None
    # It is Friday, 18:00.
    assert tasks["daily_sync"]["next_at"] == "2026-11-21T17:30:00+08:00"
    assert tasks["weekly_sync"]["next_at"] == "2026-11-23T02:00:00+08:00"
    assert tasks["weekly_sync"]["origin"] == "default"
    assert rest.get(f"{TASKS}/hot_sync") == tasks["hot_sync"] == rest.get("/api/scheduler/jobs/hot_sync")
    assert [each["id"] for each in rest.get(f"{TASKS}?page=2&per_page=5")["items"]] == list(DEFAULTS)[5:10]
    told = rest.get(f"{TASKS}/nothing_sync", status=404)
    assert "daily_sync, catch_up" in told["error"]["why"]


def test_a_change_keeps_what_a_person_wrote(rest: Rest, file: Path) -> None:
    changed = rest.ask("PUT", f"{TASKS}/hot_sync", json={"cron": "30 11 * * *"})
    assert (changed["cron"], changed["next_at"]) == ("30 11 * * *", "2026-11-21T11:30:00+08:00")
    assert file.read_text(encoding="utf-8") == WRITTEN.replace("0 10-15 * * *", "30 11 * * *")
    assert file.stat().st_mode & 0o777 == 0o640
    rest.ask("PUT", f"{TASKS}/weekly_sync", json={"on": False})
    assert tomllib.loads(file.read_text(encoding="utf-8"))["weekly_sync"] == {"on": False}
    assert rest.get(f"{TASKS}/weekly_sync")["cron"] == DEFAULTS["weekly_sync"].cron
    assert sorted(each.name for each in file.parent.iterdir()) == ["schedules.toml"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("PUT", "/hot_sync", {"cron": "99 * * * *"}, 400, "cron"),
        ("PUT", "/hot_sync", {"cron": "* * * *"}, 400, "cron"),
        ("PUT", "/hot_sync", {}, 400, "cron"),
        ("PUT", "/hot_sync", {"on": "perhaps"}, 400, "on"),
        ("PUT", "/nothing", {"on": True}, 404, "daily_sync"),
        ("POST", "", {"id": "nothing", "cron": "0 1 * * *"}, 400, "daily_sync"),
        ("POST", "", {"id": "hot_sync", "cron": "0 1 * * *"}, 409, "hot_sync"),
        ("DELETE", "/weekly_sync", None, 409, "weekly_sync"),
        ("DELETE", "/nothing", None, 404, "daily_sync"),
    ],
)
def test_what_cannot_be_changes_nothing(
    rest: Rest, file: Path, method: str, path: str, body: Any, status: int, words: str
) -> None:
    told = rest.ask(method, TASKS + path, json=body, status=status)
    assert words in told["error"]["why"]
    assert file.read_text(encoding="utf-8") == WRITTEN


def test_a_file_that_is_broken_is_told_and_left_alone(rest: Rest, file: Path) -> None:
    broken = WRITTEN + "[no_job]\non = true\n"
    file.write_text(broken, encoding="utf-8")
    for method, body in (("GET", None), ("PUT", {"on": True})):
        assert "no_job" in rest.ask(method, f"{TASKS}/hot_sync", json=body, status=400)["error"]["why"]
    assert file.read_text(encoding="utf-8") == broken


def test_to_create_is_to_write_a_table_and_to_delete_is_to_take_it_out(rest: Rest, file: Path) -> None:
    made = rest.ask("POST", TASKS, json={"id": "auction_sync", "cron": "28 9 * * *", "on": False}, status=201)
    assert (made["origin"], made["on"], made["cron"]) == ("file", False, "28 9 * * *")
    gone = rest.ask("DELETE", f"{TASKS}/auction_sync")
    assert (gone["origin"], gone["cron"], gone["on"]) == ("default", DEFAULTS["auction_sync"].cron, True)
    assert tomllib.loads(file.read_text(encoding="utf-8")) == tomllib.loads(WRITTEN)
    file.unlink()
    rest.ask("POST", TASKS, json={"id": "auction_sync", "cron": "28 9 * * *"}, status=201)
    assert tomllib.loads(file.read_text(encoding="utf-8")) == {"auction_sync": {"cron": "28 9 * * *", "on": True}}


def test_a_switch_is_dagster_s_own(rest: Rest, instance: dg.DagsterInstance) -> None:
    assert rest.ask("POST", f"{TASKS}/monthly_sync/toggle")["on"] is False
    assert switched_by_hand(instance)["monthly_sync_schedule"] is False
    (state,) = instance.all_instigator_state()
    assert state.selector == InstigatorSelector(
        location_name=CODE_LOCATION, repository_name="__repository__", name="monthly_sync_schedule"
    ), "as the UI asks"
    again = rest.ask("POST", f"{TASKS}/monthly_sync/toggle", json={"on": False})
    assert (again["on"], again["switched_by_hand"], again["next_at"]) == (False, True, None)
    assert rest.ask("POST", f"{TASKS}/monthly_sync/toggle")["on"] is True
    assert switched_by_hand(instance)["monthly_sync_schedule"] is True
    # Over the file, which has it off.
    assert rest.ask("POST", f"{TASKS}/catch_up/toggle")["on"] is True
    rest.ask("POST", f"{TASKS}/nothing/toggle", status=404)


def test_a_tick_by_hand_syncs_the_day_and_is_in_the_history(rest: Rest) -> None:
    assert rest.get(f"{TASKS}/auction_sync/history")["total"] == 0
    told = rest.ask("POST", f"{TASKS}/auction_sync/trigger", status=202)
    run = ended(rest, "auction_sync", told["command_id"])
    assert (run["status"], run["partition"], run["command"]) == ("success", "2026-11-20", "REST: auction_sync")
    assert rest.platform.rows("SELECT count(*) > 0 FROM auction WHERE trade_date = '2026-11-20'") == [(True,)]
    assert rest.get(f"{TASKS}/auction_sync/history?page=2&per_page=1") == {
        "items": [], "page": 2, "per_page": 1, "total": 1,
    }  # fmt: skip
    rest.get(f"{TASKS}/nothing/history", status=404)
    rest.ask("POST", f"{TASKS}/nothing/trigger", status=404)


@pytest.mark.parametrize("job", ["auction_sync", "reference_sync"])
def test_while_a_sync_runs_a_tick_is_refused(rest: Rest, capsys: pytest.CaptureFixture[str], job: str) -> None:
    with closing(Presence(rest.platform.database.connect())) as presence:
        SyncSlot(rest.platform.database, presence).take(queue=False)
        assert "Another sync" in rest.ask("POST", f"{TASKS}/daily_sync/trigger", status=429)["error"]["why"]
        with pytest.raises(SystemExit) as ended:
            tick.main(job, "0123456789ab")
        assert (ended.value.code, "Another sync" in capsys.readouterr().err) == (2, True)
    assert rest.get(f"{TASKS}/daily_sync/history")["total"] == 0


def test_on_a_closed_day_the_schedule_says_why_it_starts_nothing(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-21T18:00")
    told = rest.ask("POST", f"{TASKS}/auction_sync/trigger", status=409)
    assert "休市" in told["error"]["why"]


def test_to_change_takes_a_key_of_scope_admin_and_to_start_one_of_run(rest: Rest) -> None:
    database = rest.platform.database
    reads, runs = (keys.add(database, f"of {scope.value}".replace(" ", "-"), scope, None) for scope in (Scope.READ, Scope.RUN))
    by = {"read": {"X-API-Key": reads}, "run": {"X-API-Key": runs}}
    try:
        rest.get(TASKS, status=401)
        assert rest.get(TASKS, headers=by["read"])["total"] == len(DEFAULTS)
        rest.ask("POST", f"{TASKS}/nothing/trigger", headers=by["read"], status=403)
        rest.ask("POST", f"{TASKS}/nothing/trigger", headers=by["run"], status=404)
        rest.ask("POST", f"{TASKS}/nothing/toggle", headers=by["run"], status=403)
        rest.ask("PUT", f"{TASKS}/hot_sync", headers=by["run"], json={"on": False}, status=403)
    finally:
        for name in ("of-read", "of-run"):
            keys.revoke(database, name)


def ended(rest: Rest, job: str, command_id: str) -> Any:
    """The run that was asked for, when it has ended."""
    found: list[Any] = []

    def over() -> bool:
        found[:] = [each for each in rest.get(f"{TASKS}/{job}/history")["items"] if each["command_id"] == command_id]
        return bool(found) and found[0]["finished_at"] is not None

    until(over, f"the end of {job}")
    return found[0]
