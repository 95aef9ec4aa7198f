"""Commands as a user starts them: processes of their own, over a platform and the Dagster instance of dagster.yaml."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import dagster as dg
import pytest

from quant_pipeline_tests.assets.platform import Platform

ROOT = Path(__file__).parents[2]


@contextmanager
def checkout(folder: Path) -> Iterator[dg.DagsterInstance]:
    """A user's folder with dagster.yaml, and its instance."""
    shutil.copy(ROOT / "dagster.yaml", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(folder))
        patch.setenv("COLUMNS", "200")
        patch.chdir(folder)
        with dg.DagsterInstance.get() as instance:
            yield instance


def started(*arguments: str, python: Sequence[str] = ()) -> subprocess.Popen[str]:
    return spawned(*python, "-m", "quant_pipeline", *arguments)


def spawned(*arguments: str) -> subprocess.Popen[str]:
    """Python with these arguments, as a terminal starts it."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hearing,
        start_new_session=True,
    )


def _hearing() -> None:
    """Signals as in a terminal: a test run that was started in the background inherits that Ctrl-C is ignored, and with that
    Dagster, which maps SIGTERM to it in the tests' own process, has SIGTERM ignored too."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def loaded_by(*arguments: str) -> set[str]:
    """The packages that a command loads, by their first names; it succeeds."""
    process = started(*arguments, python=("-X", "importtime"))
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error[-2000:]
    lines = (line for line in error.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def interrupt(process: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> str:
    """As a terminal does it, which tells all processes of the command at once; what stands on its standard error."""
    os.killpg(process.pid, number)
    return process.communicate(timeout=120)[1]  # it waits for no call; the machine may be busy


def until(fulfilled: Callable[[], bool], what: str) -> None:
    deadline = monotonic() + 60
    while not fulfilled():
        assert monotonic() < deadline, f"waited in vain for: {what}"
        sleep(0.02)


def hanging(platform: Platform, api: str, *arguments: str) -> subprocess.Popen[str]:
    """A command that is in the middle of a call: the server keeps it waiting."""
    before = platform.asked(api)
    platform.sandbox.order_fault("hang", api=api, times=None)
    process = started(*arguments)
    until(lambda: platform.asked(api) > before or process.poll() is not None, f"a call of {api}")
    assert process.poll() is None, process.communicate()
    return process
