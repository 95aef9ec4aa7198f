"""Ctrl-C and SIGTERM end a command, not one job of several, in the middle of a call that hangs: its books say so."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest

from quant_pipeline_tests.assets.platform import Platform
from quant_pipeline_tests.console.commanded import checkout, hanging, started, until


@pytest.fixture
def instance(platform: Platform, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with checkout(tmp_path) as instance:
        yield instance
    platform.sandbox.clear_faults()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_the_whole_command(
    platform: Platform, instance: dg.DagsterInstance, number: signal.Signals, code: int
) -> None:
    before = len(instance.get_run_ids())
    process = hanging(platform, "namechange", "sync", "--datasets", "name_history,weekly_kline,ths_concepts", "--force")
    (run,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    process.send_signal(number)
    _, error = process.communicate(timeout=120)  # it waits for no call; the machine may be busy
    assert process.returncode == code
    stopped = [line for line in error.splitlines() if line.startswith("quant-pipeline: ")]
    assert len(stopped) == 1
    assert "Stopped. What was committed is kept; run the command again to go on." in stopped[0]
    assert "Traceback" not in error
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.CANCELED
    assert len(instance.get_run_ids()) == before + 1, "none of the later jobs was started"
    ((status, text),) = platform.rows("SELECT status, error FROM sync_runs WHERE id = %s", run.run_id)
    assert status == "failed"
    assert text.startswith("interrupted")
    assert platform.rows("SELECT count(*) FROM messages WHERE dedupe_key = %s", f"run-failed:{run.run_id}") == [(0,)]


@pytest.mark.usefixtures("instance")
def test_no_client_in_a_process_of_its_own_outlives_the_command(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAOSTOCK_PRIORITY", "1")
    monkeypatch.setenv("TUSHARE_PRIORITY", "0")
    platform.sandbox.order_fault("hang", api="*", server="baostock", times=None)
    process = started("sync", "--datasets", "stock_list", "--force")
    until(lambda: bool(clients(process.pid)) or process.poll() is not None, "a client")
    assert process.poll() is None, process.communicate()
    asked = clients(process.pid)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    gone, alive = psutil.wait_procs(asked, timeout=30)
    assert (len(gone), alive) == (len(asked), [])


def clients(pid: int) -> list[psutil.Process]:
    children = psutil.Process(pid).children()
    return [child for child in children if "quant_pipeline.sources.worker" in child.cmdline()]
