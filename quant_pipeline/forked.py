"""Processes that are forked and not started anew: what was loaded before the fork need not be loaded again."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess

import psutil
import setproctitle


class Forked:
    """A forked process, with the part of subprocess.Popen's face that those look at who started it."""

    def __init__(self, process: BaseProcess, command: Sequence[str]) -> None:
        self._process, self.args = process, command

    @property
    def pid(self) -> int:
        return int(self._process.pid or 0)

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@contextmanager
def standing_for(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[None]:
    """Within it this forked process is what `command` would be, started in `environment`: also in the list of processes, and
    in how it ends."""
    multiprocessing.set_start_method(None, force=True)  # as Python has it by itself, for what it starts
    setproctitle.setproctitle(" ".join(command))  # it looks for the environment as this process was given it
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        with suppress(Exception):
            atexit._run_exitfuncs()  # which the end of a fork leaves out


def titled(process: psutil.Process) -> list[str]:
    """The words of its command, whether it was started or forked; none when it has ended."""
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline()).split()
    return []


Before = Callable[[], None]
"""What a forked process does first, while it has no thread: it may fork others."""
