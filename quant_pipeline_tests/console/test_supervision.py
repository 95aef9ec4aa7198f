"""Servers under supervision: what dies comes back, what ends takes all with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from quant_pipeline.console import supervision
from quant_pipeline.console.nursery import Nursery, nursery
from quant_pipeline.console.supervision import Server, kept_running
from quant_pipeline.forked import titled
from quant_pipeline.resources.dagster_private.chatter import SAYS_NOTHING
from quant_pipeline_tests.console.commanded import until

SERVES = """
import multiprocessing, os, signal, subprocess, sys
folder = sys.argv[1]
opened = multiprocessing.get_context("spawn").Event() if "--opens" in sys.argv else None
part = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) if "--part" in sys.argv else None
with open(os.path.join(folder, str(os.getpid())), "w") as file:
    file.write(str(part.pid if part else 0))
signal.pause()
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(supervision, "_LONGEST_PAUSE", 0.0)
    (tmp_path / "pids").mkdir()
    (tmp_path / "serves.py").write_text(SERVES, encoding="utf-8")
    return tmp_path / "serves.py"


@pytest.fixture(params=["forked", "started"])
def nursed(request: pytest.FixtureRequest) -> Nursery | None:
    """Where servers are not forked, both are started."""
    return nursery() if request.param == "forked" else None


def pids(script: Path) -> list[int]:
    return [int(path.name) for path in (script.parent / "pids").iterdir() if path.read_text()]


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_server_that_is_killed_is_started_again_and_ends_with_its_supervisor(script: Path, nursed: Nursery | None) -> None:
    with kept_running([Server("one", script, [str(script.parent / "pids")], nursed=nursed)]) as look:
        until(lambda: len(pids(script)) == 1, "the server")
        (first,) = pids(script)
        look()
        assert pids(script) == [first], "one that lives is left alone"
        os.kill(first, 9)

        def again() -> bool:
            look()
            return len(pids(script)) == 2

        until(again, "the server again")
        second = next(pid for pid in pids(script) if pid != first)
        assert not gone(second)
    assert gone(second)


def test_a_server_that_loses_its_part_is_started_again(script: Path, nursed: Nursery | None) -> None:
    arguments = [str(script.parent / "pids"), "--part"]
    server = Server("two", script, arguments, lambda process: any(_alive(process)), nursed=nursed)
    with kept_running([server]) as look:
        until(lambda: len(pids(script)) == 1, "the server")
        (first,) = pids(script)
        look()
        os.kill(int((script.parent / "pids" / str(first)).read_text()), 9)

        def again() -> bool:
            look()
            return len(pids(script)) == 2

        until(again, "the server again")
        until(lambda: gone(first), "the end of the first")


@pytest.mark.skipif(sys.platform != "linux", reason="servers are forked on Linux alone")
def test_a_server_outlives_what_forked_it_and_is_looked_after_all_the_same(script: Path) -> None:
    server = Server("one", script, [str(script.parent / "pids")], nursed=Nursery())
    with kept_running([server]) as look:
        until(lambda: len(pids(script)) == 1, "the server")
        (first,) = pids(script)
        forker = psutil.Process(first).parent()
        forker.kill()
        until(lambda: gone(forker.pid), "the end of what forked it")
        look()
        assert server.process is not None, "one that lives is left alone"
        assert not gone(first)
        os.kill(first, 9)

        def again() -> bool:
            look()
            return len(pids(script)) == 2

        until(again, "the server again")
        second = next(pid for pid in pids(script) if pid != first)
        psutil.Process(second).parent().kill()
    assert gone(second)


def _alive(process: psutil.Process) -> list[bool]:
    return [True for child in process.children() if child.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(("nursed", "killed"), [("nursery()", False), ("nursery()", True), ("None", False)])
def test_a_server_ends_when_its_starter_is_killed(script: Path, nursed: str, killed: bool) -> None:
    starts = (
        "import sys, time; from pathlib import Path; from quant_pipeline.console.supervision import Server, kept_running\n"
        "from quant_pipeline.console.nursery import nursery\n"
        f"with kept_running([Server('x', Path(sys.argv[1]), [sys.argv[2], '--opens'], nursed={nursed})]):\n    time.sleep(1000)"
    )
    command = [sys.executable, "-c", starts, str(script), str(script.parent / "pids")]
    starter = subprocess.Popen(command, stderr=subprocess.PIPE)
    until(lambda: len(pids(script)) == 1, "the server")
    (server,) = pids(script)
    if killed:
        os.kill(server, 9)
    others = psutil.Process(starter.pid).children(recursive=True)
    starter.kill()
    starter.wait()
    until(lambda: gone(server), "its end")
    until(lambda: all(gone(each.pid) for each in others), "the end of what forked it")
    assert starter.communicate(timeout=60)[1] == b"", "what it had open is cleared away without a word"


TELLS = """
import os, signal, sys
signal.signal(signal.SIGINT, lambda *_: (print("asked to end"), sys.exit(7)))
print("dagster" in sys.modules, sys.path[0] == os.getcwd(), os.getsid(0) == os.getpid(), end=" ")
print(os.environ["TOLD"], sys.argv[1], signal.pthread_sigmask(0, []))
print("to stderr", file=sys.stderr, flush=True)
import atexit; atexit.register(print, "left in order", flush=True)
sys.stdout.flush()
signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="servers are forked on Linux alone")
def test_a_forked_server_is_as_one_that_is_started_but_for_what_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tells.py").write_text(TELLS, encoding="utf-8")
    forks = Nursery()
    monkeypatch.setenv("TOLD", "after the nursery was made")
    server, said = Server("one", tmp_path / "tells.py", ["an argument"], nursed=forks), ""

    def heard(text: str) -> bool:
        nonlocal said
        said += capfd.readouterr().err
        return text in said

    with kept_running([server]):
        until(lambda: heard("to stderr"), "what it says")
        process = server.process
        assert process is not None
        shown = psutil.Process(process.pid)
        assert {"quant_pipeline.console.tethered", str(tmp_path / "tells.py")} <= {*titled(shown)}
        assert shown.parent().num_threads() == 1, "a process with threads is not to be forked"
        process.send_signal(2)
        assert process.wait(30) == 7
        until(lambda: heard("left in order"), "its last words")
    assert "True True True after the nursery was made an argument set()" in said
    assert "asked to end" in said


CHATTERS = """
from types import SimpleNamespace
from dagster._core.definitions.declarative_automation.automation_condition_evaluator import AutomationConditionEvaluator
from dagster._core.definitions.instigation_logger import InstigationLogger
records = SimpleNamespace(prefetch_asset_records=lambda keys: None)
tick = SimpleNamespace(logger=InstigationLogger(), asset_records_to_prefetch=[1, 2, 3], instance_queryer=records)
AutomationConditionEvaluator.prefetch(tick)
tick.logger.info("a push is asked for")
"""


@pytest.mark.parametrize("chatter", [SAYS_NOTHING, None], ids=["for a person", "for a collector"])
def test_what_dagster_says_each_minute_of_nothing_is_not_passed_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], chatter: re.Pattern[bytes] | None
) -> None:
    (tmp_path / "chatters.py").write_text(CHATTERS, encoding="utf-8")
    said = ""

    def heard() -> bool:
        nonlocal said
        said += capfd.readouterr().err
        return "a push is asked for" in said

    with kept_running([Server("one", tmp_path / "chatters.py", chatter=chatter)]):
        until(heard, "its last line")
    assert ("asset records" in said) is (chatter is None)
