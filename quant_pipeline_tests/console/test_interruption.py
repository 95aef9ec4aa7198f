"""Ctrl-C and SIGTERM end a command, not one job of several, in the middle of a call that hangs: its books say so."""

from __future__ import annotations

import fcntl
import signal
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest

from quant_pipeline.console.interruption import STOPPED
from quant_pipeline.sync.insight import history
from quant_pipeline.sync.insight.commands import commands_of
from quant_pipeline.warehouse import server
from quant_pipeline_tests.assets.platform import Platform
from quant_pipeline_tests.console.commanded import checkout, hanging, interrupt, spawned, started, until


@pytest.fixture
def instance(platform: Platform, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with checkout(tmp_path) as instance:
        yield instance
    platform.sandbox.clear_faults()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_the_whole_command(
    platform: Platform, instance: dg.DagsterInstance, number: signal.Signals, code: int
) -> None:
    before, messages = len(instance.get_run_ids()), platform.rows("SELECT dedupe_key FROM messages")
    process = hanging(platform, "namechange", "sync", "--datasets", "name_history,weekly_kline,ths_concepts", "--force")
    (run,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    error = interrupt(process, number)
    assert (process.returncode, error) == (code, f"quant-pipeline: {STOPPED}\n")
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.CANCELED
    assert len(instance.get_run_ids()) == before + 1, "none of the later jobs was started"
    ((status, text),) = platform.rows("SELECT status, error FROM sync_runs WHERE id = %s", run.run_id)
    assert status == "failed"
    assert text.startswith("interrupted")
    told = {row["run"]: row["status"] for row in history.runs(platform.database).rows}
    assert told[run.run_id] == "interrupted"
    (call,) = commands_of(history.by_command(platform.database, per_page=1))
    assert call["units_asked"] >= len(("name_history", "a week", "ths_concepts")), "jobs that it never came to count too"
    assert call["units_done_of_asked"] == 0
    assert platform.rows("SELECT dedupe_key FROM messages") == messages, "nobody is told of a failure"


def test_a_signal_ends_what_goes_side_by_side(platform: Platform, instance: dg.DagsterInstance) -> None:
    platform.all_but(1, of=121)
    process = hanging(platform, "ths_member", "run")
    error = interrupt(process, signal.SIGINT)
    assert (process.returncode, error) == (130, f"quant-pipeline: {STOPPED}\n")
    assert instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])) == []
    assert platform.rows("SELECT count(*) FROM sync_runs WHERE status = 'running'") == [(0,)]
    boards = platform.rows(
        "SELECT sync_runs.error FROM sync_runs JOIN sync_items ON sync_run = id WHERE dataset = 'ths_concepts'"
    )
    assert [text.partition(":")[0] for (text,) in boards] == ["interrupted"]


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


@pytest.mark.usefixtures("instance")
@pytest.mark.parametrize(
    ("module", "number"), [("click", signal.SIGINT), ("pydantic", signal.SIGTERM), ("psycopg", signal.SIGHUP)]
)
def test_a_signal_is_heard_while_a_command_is_still_being_loaded(module: str, number: signal.Signals) -> None:
    process = started("status", python=("-X", "importtime"))
    assert process.stderr is not None
    fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 4096)  # it writes no further than it is read: it cannot be through yet
    while not process.stderr.readline().rstrip().endswith(f" {module}"):
        assert process.poll() is None
    (line,) = [line for line in interrupt(process, number).splitlines() if not line.startswith("import time:")]
    assert (process.returncode, line) == (128 + number, f"quant-pipeline: {STOPPED}")


@pytest.mark.usefixtures("instance")
def test_ctrl_c_while_the_first_server_is_made_leaves_no_half_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.delenv("QUANT_DATABASE_URL")
    monkeypatch.setenv("QUANT_HOME", str(home))
    process = started("db", "url")
    until(lambda: any(home.glob("pg.new*/PG_VERSION")) or process.poll() is not None, "initdb")
    assert interrupt(process) == f"quant-pipeline: {STOPPED}\n"
    assert process.returncode == 130
    again = started("db", "url")
    try:
        url, error = again.communicate(timeout=120)
        assert (again.returncode, error) == (0, "")
        assert url.startswith("postgresql://")
    finally:
        server.stop(home)


@pytest.mark.parametrize(
    "busy",
    ["hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)", "threading._active_limbo_lock.acquire(), threading.Event().wait()"],
    ids=["in a library's hands", "starting a thread"],
)
def test_a_signal_ends_a_command_whose_main_thread_does_not_come_to_hear_it(busy: str) -> None:
    script = (
        "import hashlib, threading\n"
        "from quant_pipeline.console.interruption import interruptible\n"
        "with interruptible(patience=0.5):\n"
        "    while True:\n"
        "        try:\n"
        "            print('busy', flush=True)\n"
        f"            {busy}\n"
        "        except KeyboardInterrupt:\n"
        "            pass\n"
    )
    process = spawned("-c", script)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "busy\n"
        assert interrupt(process, signal.SIGTERM) == f"quant-pipeline: {STOPPED}\n"
        assert process.returncode == 143
    finally:
        process.kill()


@pytest.mark.usefixtures("instance")
@pytest.mark.parametrize(
    ("arguments", "first", "words"),
    [
        (("sandbox",), "SANDBOX", "The sandbox is stopped"),
        (("serve", "--port", "0"), "SANDBOX · Pages: http://127.0.0.1:", STOPPED),
    ],
    ids=["sandbox", "serve"],
)
def test_what_serves_ends_with_one_line(
    arguments: tuple[str, ...], first: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if arguments[0] == "sandbox":
        monkeypatch.setenv("QUANT_HOME", str(tmp_path))
    process = started(*arguments)
    assert process.stdout is not None
    assert process.stderr is not None
    said = process.stdout if arguments[0] == "sandbox" else process.stderr
    assert said.readline().startswith(first)
    (line,) = interrupt(process).splitlines()
    assert line.startswith(f"quant-pipeline: {words}")
    assert process.returncode == 130
