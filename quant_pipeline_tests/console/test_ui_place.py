"""One UI for a port and a database: what stands in its way is named in one line; it says when its pages answer."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import dagster as dg
import psutil
import pytest
import requests
from dagster._daemon.types import DaemonHeartbeat

from quant_pipeline import answering, settings
from quant_pipeline.console import ui
from quant_pipeline.forked import titled
from quant_pipeline.resources.daemon_presence import DaemonPresence, running_daemon
from quant_pipeline.sandbox import starter
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.assets.platform import Platform
from quant_pipeline_tests.console.commanded import checkout, started, until

RELOAD = 'mutation { reloadRepositoryLocation(repositoryLocationName: "quant_pipeline") { __typename } }'
LAUNCH = """mutation { launchRun(executionParams: {mode: "default", selector: {
    repositoryLocationName: "quant_pipeline", repositoryName: "__repository__", pipelineName: "weekly_sync"}}) {
    ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
LOCATION = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"


def test_a_second_ui_is_refused_with_the_address_of_the_first(platform: Platform, tmp_path: Path) -> None:
    first = ui._claim(platform.database, "http://127.0.0.1:3911")
    try:
        with checkout(tmp_path):
            second = started("ui", "--port", "3912")
            output, error = second.communicate(timeout=120)
        assert second.returncode == 2
        (line,) = error.splitlines()
        assert line.startswith("quant-pipeline: the UI of this database runs already, at http://127.0.0.1:3911: ")
        assert output == ""
    finally:
        first.close()
    until(lambda: _is_free(platform.database), "the server to end the first one's session")


def _is_free(database: Database) -> bool:
    try:
        ui._claim(database, "http://127.0.0.1:3912").close()
    except ui.UiRunning:
        return False
    return True


def test_a_second_ui_on_the_first_one_s_port_is_told_of_the_first_one_not_of_a_program_there(
    platform: Platform, tmp_path: Path
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as first_ones:
        port = first_ones.getsockname()[1]
        where = answering.Answering(f"http://127.0.0.1:{port + 1}", f"http://127.0.0.1:{port}")
        current = settings.load()
        first = ui._claim(platform.database, f"{where.ui}")
        try:
            with checkout(tmp_path), answering.said(current.home, current.mode, where):
                line = refusal("--port", str(port), exit_code=2)
        finally:
            first.close()
    assert line.startswith(f"quant-pipeline: the UI of this database runs already, at {where.ui}: ")


def test_it_keeps_its_place_when_the_server_was_away(platform: Platform) -> None:
    first = ui._claim(platform.database, "http://127.0.0.1:3911")
    assert ui._kept(first, platform.database, "http://127.0.0.1:3911") is first
    platform.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()")
    kept = ui._kept(first, platform.database, "http://127.0.0.1:3911")
    try:
        assert kept is not first
        with pytest.raises(ui.UiRunning, match="3911"):
            ui._claim(platform.database, "http://127.0.0.1:3912")
        assert Presence(platform.database.connect()).shown_at(ui.UI_PLACE) == "http://127.0.0.1:3911"
    finally:
        kept.close()


@pytest.fixture
def instance(platform: Platform, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    del platform  # its environment
    with checkout(tmp_path) as instance:
        yield instance


def refusal(*arguments: str, exit_code: int) -> str:
    """The one line that the command ends with."""
    process = started("ui", *arguments)
    output, error = process.communicate(timeout=120)
    assert (process.returncode, output) == (exit_code, ""), error
    (line,) = error.splitlines()
    assert line.startswith("quant-pipeline: ")
    return line


def free_port() -> int:
    """One that is free, and the next one too: our own pages stand there."""
    while True:
        with closing(socket.create_server(("127.0.0.1", 0))) as probe:
            port = int(probe.getsockname()[1])
            try:
                socket.create_server(("127.0.0.1", port + 1)).close()
            except OSError:
                continue
        return port


@pytest.mark.usefixtures("instance")
def test_a_port_that_is_taken_is_named_with_its_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUANT_DATABASE_URL")
    monkeypatch.setenv("QUANT_HOME", str(tmp_path / "new"))
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        line = refusal("--port", str(port), exit_code=2)
    assert f"port {port}, for the UI, is taken by " in line
    assert f"(pid {os.getpid()})" in line
    assert "--port" in line
    assert not (tmp_path / "new").exists(), "it is asked before a database is made"


@pytest.mark.usefixtures("instance")
def test_a_host_that_is_none_of_this_machine_is_a_sentence() -> None:
    assert "192.0.2.1 is no address of this machine" in refusal("--host", "192.0.2.1", exit_code=1)


def test_a_daemon_of_the_same_database_stands_in_its_way(platform: Platform, instance: dg.DagsterInstance) -> None:
    assert running_daemon(platform.database.connect()) is None
    instance.add_daemon_heartbeat(DaemonHeartbeat(1.0, "SENSOR", "one", []))
    here = f"{socket.gethostname()}:{os.getpid()}"
    assert running_daemon(platform.database.connect()) == here
    line = refusal("--port", str(free_port()), exit_code=2)
    assert f"a Dagster daemon works on this database already ({here}" in line
    platform.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()")
    assert running_daemon(platform.database.connect()) is None
    instance.add_daemon_heartbeat(DaemonHeartbeat(2.0, "SENSOR", "one", []))
    assert running_daemon(platform.database.connect()) == here, "with the next heartbeat it has its place again"
    DaemonPresence(platform.database).beat()
    assert running_daemon(platform.database.connect()) == here, "another one does not take it"
    platform.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()")


def _holders_of_code(pid: int, *, forked: bool) -> list[psutil.Process]:
    """Of Dagster's code: the title of one that was forked is one text."""
    words = 1 if forked else 5
    every = psutil.Process(pid).children(recursive=True)
    return [each for each in every if "grpc" in titled(each) and min(len([*filter(None, each.cmdline())]), 5) == words]


def test_it_says_when_its_pages_answer_and_ctrl_c_ends_all_of_it(
    platform: Platform, home: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    del platform
    monkeypatch.delenv("PUSHPLUS_URL")

    def tags_of(run_id: str) -> Mapping[str, str]:
        run = instance.get_run_by_id(run_id)
        return run.tags if run else {}

    address = f"http://127.0.0.1:{free_port()}"
    process = started("ui", "--port", address.rpartition(":")[2])
    assert process.stderr is not None
    try:
        lines = [process.stderr.readline().strip() for _ in range(2)]
        pages = f"http://127.0.0.1:{int(address.rpartition(':')[2]) + 1}"
        assert lines == ["Starting the UI …", f"Pages {pages}"], "ours first: they do not wait for Dagster"
        current = settings.load()
        assert (current.pages_url, current.ui_url) == (pages, address), "the links of every command lead here"
        assert f'href="{address}' in requests.get(f"{pages}/data", timeout=60).text, "they link back to this UI"
        assert process.stderr.readline().strip() == f"Dagster UI {address}"
        page = requests.get(f"{address}/jobs", timeout=60)
        scripts = re.findall(r'<script nonce="(\w+)">(.*?)</script>', page.text, re.DOTALL)
        (nonce,) = [nonce for nonce, script in scripts if "chooseInLaunchpad" in script]
        assert f"'nonce-{nonce}'" in page.headers["Content-Security-Policy"], "the browser runs our script in Dagster's page"
        asked = ("job=weekly_sync", "asset=daily_kline", "asset=monthly_kline", "asset=stock_list", "asset=12")
        latest = [requests.get(f"{address}/quant_pipeline/latest?{each}", timeout=60).json() for each in asked]
        session, week, month = "2026-11-20", "2026-11-16", "2026-11"
        assert latest == [[week], [session], [month], [], [session, week, month]], (
            "what it chooses: Dagster's last one is today's"
        )
        told = requests.post(f"{address}/graphql", json={"query": LOCATION}, timeout=60).json()
        (entry,) = told["data"]["workspaceOrError"]["locationEntries"]
        assert entry["locationOrLoadError"]["__typename"] == "RepositoryLocation", "the code was there before the pages"
        if sys.platform == "linux":
            assert len(_holders_of_code(process.pid, forked=True)) == 1, "the code was loaded before it was asked for"
        requests.post(f"{address}/graphql", json={"query": RELOAD}, timeout=60).raise_for_status()
        assert len(_holders_of_code(process.pid, forked=False)) == 1, "code that is loaded again is loaded anew"
        launched = requests.post(f"{address}/graphql", json={"query": LAUNCH}, timeout=60).json()
        run_id = launched["data"]["launchRun"]["run"]["runId"]
        until(lambda: "dagster/partition" in tags_of(run_id), "the launch of the run")
        assert tags_of(run_id)["dagster/partition"] == "2026-11-16", "nobody chose a week: the latest"
        inbox = process.stderr.readline().strip().removeprefix("SANDBOX inbox ")
        assert "SANDBOX" in requests.get(inbox, timeout=60).text
        assert process.stderr.readline().startswith("Ctrl-C stops")
        servers = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=120)
        starter.stop(home)
    assert process.returncode == 130
    assert settings.load().pages_url != pages
    assert error.splitlines() == [f"quant-pipeline: {ui.STOPPED}"]
    assert len(servers) >= 4
    _, alive = psutil.wait_procs(servers, timeout=30)
    assert alive == []
