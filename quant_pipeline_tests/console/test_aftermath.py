"""Runs whose process was killed: ended by the daemon, or by the next command, with the cause, and told of once."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest
from dagster._daemon.monitoring.run_monitoring import monitor_started_run
from rich.console import Console

from quant_pipeline.assets.alerts import failure_key
from quant_pipeline.console.aftermath import clear_up
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.warehouse import run_presence
from quant_pipeline_tests.assets.platform import Platform
from quant_pipeline_tests.console.commanded import checkout, hanging, until


@pytest.fixture
def instance(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setattr(run_presence, "_GRACE", 0.2)
    with checkout(tmp_path) as instance:
        yield instance
    platform.sandbox.clear_faults()


def killed(platform: Platform, instance: dg.DagsterInstance) -> dg.DagsterRun:
    process = hanging(platform, "namechange", "sync", "--datasets", "name_history", "--force")
    (run,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    _look(instance, run)
    assert status(instance, run) is dg.DagsterRunStatus.STARTED, "it lives"
    process.kill()
    process.wait()
    until(lambda: bool(run_presence.dead(platform.database, [run.run_id])), "the server's notice of its death")
    assert status(instance, run) is dg.DagsterRunStatus.STARTED, "nobody has noticed yet"
    return run


def _look(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """As the daemon does, every 30 s."""
    (record,) = instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id]))
    monitor_started_run(instance, cast(Any, None), record, logging.getLogger("test"))


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def cause(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    (record,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert record.dagster_event is not None
    return str(record.dagster_event.message)


def test_the_daemon_ends_a_killed_command_with_its_cause(platform: Platform, instance: dg.DagsterInstance) -> None:
    run = killed(platform, instance)
    _look(instance, run)
    assert status(instance, run) is dg.DagsterRunStatus.FAILURE
    text = cause(instance, run)
    assert text.startswith("The run broke off: its process (")
    assert "was killed (kill -9, out of memory)" in text
    assert "What was committed is kept" in text
    assert platform.rows("SELECT status FROM sync_runs WHERE id = %s", run.run_id) == [("failed",)]


def test_the_next_command_ends_it_and_tells_of_it_once(platform: Platform, instance: dg.DagsterInstance) -> None:
    run = killed(platform, instance)
    printed = io.StringIO()
    for _ in range(2):
        clear_up(instance, WarehouseResource(), Console(file=printed, width=400))
    assert status(instance, run) is dg.DagsterRunStatus.FAILURE
    (line,) = printed.getvalue().splitlines()
    assert "The run broke off: its process (" in line
    assert "进程被杀死" not in line, "who is at the terminal reads one language"
    told = platform.rows("SELECT title, content FROM messages WHERE dedupe_key = %s", failure_key(run.run_id, run.tags))
    ((title, content),) = told
    assert "quant-pipeline sync --datasets name_history" in title
    assert "进程被杀死" in content


def test_a_run_that_died_while_it_was_cancelled_is_cancelled_and_nobody_is_told(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    run = killed(platform, instance)
    instance.report_run_canceling(run)
    clear_up(instance, WarehouseResource(), Console(quiet=True))
    assert status(instance, run) is dg.DagsterRunStatus.CANCELED
    assert platform.rows("SELECT count(*) FROM messages WHERE dedupe_key = %s", failure_key(run.run_id, run.tags)) == [(0,)]
