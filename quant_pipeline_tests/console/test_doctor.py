"""`doctor`: a line for each matter, none of which stops another; failed ones make the exit code, and no token is shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorType, ScheduleInstigatorData
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from quant_pipeline.cli import main
from quant_pipeline.console.doctor import examination
from quant_pipeline.console.doctor.findings import Patient
from quant_pipeline.resources.daemon_presence import DaemonPresence
from quant_pipeline_tests.assets.platform import TOKEN, Platform
from quant_pipeline_tests.console.commanded import checkout

WRONG = "7d1f-no-such-token"


@pytest.fixture
def instance(platform: Platform, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with checkout(tmp_path) as instance:
        yield instance
    platform.sandbox.clear_faults()


def found(*, exit_code: int = 0) -> dict[str, dict[str, Any]]:
    """matter -> its finding; where there are several of one, the last."""
    result = CliRunner().invoke(main, ["doctor", "--json"])
    assert result.exit_code == exit_code, result.output
    assert TOKEN not in result.output
    assert WRONG not in result.output
    facts = json.loads(result.stdout)
    assert facts["ok"] is (exit_code == 0)
    return {finding["matter"]: finding for finding in facts["findings"]}


@pytest.mark.usefixtures("instance")
def test_where_all_is_well_it_says_so_and_what_it_cost(platform: Platform) -> None:
    before = platform.asked()
    states = found()
    assert platform.asked() == before + 1
    assert states["tushare"]["words"].startswith("daily answered in ")
    assert states["tushare"]["facts"]["calls"] == 1
    assert "(1 call)" in states["tushare"]["words"]
    assert states["baostock"]["words"] == "off (priority 0)"
    told = {matter: finding["state"] for matter, finding in states.items()}
    warned = {"daemon", "clock"}  # no daemon runs, and QUANT_NOW is set
    assert told == {matter: "warning" if matter in warned else "ok" for matter in told}
    assert {"versions", "database", "tables", "disk", "zone", "calendar", "pushplus", "messages", "schedules"} <= told.keys()
    assert "known to 2026-12-31, the latest session is 2026-11-20" in states["calendar"]["words"]
    text = CliRunner().invoke(main, ["doctor"]).output
    assert "→ `quant-pipeline ui` brings one" in text
    assert "SANDBOX" in text


@pytest.mark.usefixtures("instance")
def test_a_token_that_is_refused_or_lacks_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUSHARE_TOKEN", WRONG)
    monkeypatch.setenv("PUSHPLUS_TOKEN", WRONG)
    states = found(exit_code=1)
    assert states["tushare"]["state"] == states["pushplus"]["state"] == "failed"
    assert "TUSHARE_PRIORITY=0" in states["tushare"]["advice"]
    assert "PUSHPLUS_TOKEN" in states["pushplus"]["advice"]
    monkeypatch.setenv("TUSHARE_TOKEN", "")
    assert "set TUSHARE_TOKEN" in found(exit_code=1)["tushare"]["words"]


@pytest.mark.usefixtures("instance")
def test_a_source_that_does_not_answer_is_asked_once(platform: Platform) -> None:
    platform.sandbox.order_fault("disconnect", api="daily", times=None)
    before = platform.asked("daily")
    states = found(exit_code=1)
    assert platform.asked("daily") == before + 1
    assert states["tushare"]["state"] == "failed"
    assert "check the network" in states["tushare"]["advice"]
    assert states["messages"]["state"] == "ok"


@pytest.mark.usefixtures("instance", "platform")
def test_what_goes_wrong_in_one_look_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(patient: Patient) -> Any:
        del patient
        raise ZeroDivisionError("division by zero")

    monkeypatch.setitem(examination.LOOKS, "zone", broken)
    states = found(exit_code=1)
    assert (states["zone"]["state"], states["zone"]["words"]) == ("failed", "division by zero")
    assert [matter for matter, finding in states.items() if finding["state"] == "failed"] == ["zone"]


@pytest.mark.usefixtures("instance", "platform")
def test_where_there_is_no_database_it_makes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUANT_DATABASE_URL")
    monkeypatch.setenv("QUANT_HOME", str(tmp_path / "new"))
    states = found(exit_code=1)
    assert states["database"]["state"] == "failed"
    assert f"`quant-pipeline run` makes one in {tmp_path / 'new'}" in states["database"]["advice"]
    assert {states[matter]["state"] for matter in ("tables", "clock", "calendar", "sources", "daemon")} == {"skipped"}
    assert not (tmp_path / "new" / "pg").exists()


@pytest.mark.usefixtures("instance")
@pytest.mark.parametrize(
    ("below", "words"),
    [("file/home", "is a file, not a folder: set QUANT_HOME"), ("x" * 300, "the path of QUANT_HOME is too long")],
    ids=["a file", "too long"],
)
def test_a_home_that_cannot_be_used_is_the_one_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str, words: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("QUANT_DATABASE_URL")
    monkeypatch.setenv("QUANT_HOME", str(tmp_path / below))
    states = found(exit_code=1)
    assert [matter for matter, finding in states.items() if finding["state"] == "failed"] == ["database"]
    assert words in states["database"]["words"]
    assert states["database"]["advice"] == "", "`run` could not make one either"
    assert all(words in states[matter]["words"] for matter in ("tables", "disk", "calendar", "sources"))


@pytest.mark.usefixtures("instance")
def test_tokens_are_tried_before_the_first_run(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUANT_DATABASE_URL")
    monkeypatch.setenv("QUANT_HOME", str(tmp_path / "new"))
    monkeypatch.setenv("QUANT_MODE", "live")
    monkeypatch.setenv("TUSHARE_URL", platform.sandbox.tushare_url)
    monkeypatch.setenv("PUSHPLUS_URL", platform.sandbox.pushplus_url)
    monkeypatch.setenv("PUSHPLUS_SECRET_KEY", platform.sandbox.pushplus_secret)
    for token, state in ((TOKEN, "ok"), (WRONG, "failed")):
        monkeypatch.setenv("TUSHARE_TOKEN", token)
        monkeypatch.setenv("PUSHPLUS_TOKEN", token)
        states = found(exit_code=1)
        assert (states["tushare"]["state"], states["pushplus"]["state"]) == (state, state)
        assert (states["database"]["state"], states["tables"]["state"]) == ("failed", "skipped"), "it has none yet"
    assert not (tmp_path / "new" / "pg").exists()


@pytest.mark.usefixtures("instance", "platform")
def test_past_the_calendars_end_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-12-20T18:00")
    assert found()["calendar"]["state"] == "warning"
    monkeypatch.setenv("QUANT_NOW", "2027-01-15T18:00")
    states = found(exit_code=1)
    assert states["calendar"]["words"] == "it ended on 2026-12-31"
    assert "sync --datasets trade_calendar" in states["calendar"]["advice"]


def test_schedules_that_are_off_and_a_daemon_that_lives_are_seen(
    platform: Platform, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = tmp_path / "times.toml"
    times.write_text("[hot_sync]\non = false\n[catch_up]\non = false\n")
    monkeypatch.setenv("QUANT_SCHEDULES", str(times))
    switch(instance, "catch_up_schedule", InstigatorStatus.RUNNING)
    switch(instance, "weekly_sync_schedule", InstigatorStatus.STOPPED)
    alive = DaemonPresence(platform.database)
    alive.beat()
    states = found()
    assert states["schedules"]["facts"]["off"] == ["hot_sync", "weekly_sync"]
    assert states["daemon"]["state"] == "ok"
    platform.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()")


@pytest.mark.usefixtures("instance", "platform")
def test_little_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    room = shutil.disk_usage("/")
    for free, state in ((4_000_000_000, "warning"), (900_000_000, "failed")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: room._replace(free=free))
        assert found(exit_code=int(state == "failed"))["disk"]["state"] == state


def switch(instance: dg.DagsterInstance, schedule: str, status: InstigatorStatus) -> None:
    """As the UI's switch leaves it."""
    location = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="quant_pipeline.definitions"))
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), schedule)
    data = ScheduleInstigatorData("30 17 * * *", 0.0)
    instance.add_instigator_state(InstigatorState(origin, InstigatorType.SCHEDULE, status, data))
