"""Processes that are forked and not started anew: what was loaded before the fork need not be loaded again."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import setproctitle


class Forked:
    """A forked process, with the part of subprocess.Popen's face that those look at who started it.

    It may outlive the process that forked it, which then has no word on how it ends.
    """

    def __init__(self, process: BaseProcess, command: Sequence[str]) -> None:
        self.pid, self.args = int(process.pid or 0), command
        self._process = process
        try:
            self._itself: psutil.Process | None = psutil.Process(self.pid)
        except psutil.NoSuchProcess:  # it has ended already
            self._itself = None

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        code = self._process.exitcode
        return None if code is not None and self._lives() else code

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is not None and self._itself is not None:
            with suppress(psutil.TimeoutExpired):
                self._itself.wait(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self._itself is not None:
            with suppress(psutil.NoSuchProcess):
                self._itself.send_signal(number)

    def _lives(self) -> bool:
        if self._itself is None:
            return False
        with suppress(psutil.NoSuchProcess):
            return self._itself.status() != psutil.STATUS_ZOMBIE
        return False

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@contextmanager
def standing_for(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[None]:
    """Within it this forked process is what `command`, Python's with -m, would be, started in `environment`: also in where it
    looks for modules, in the list of processes, and in how it ends."""
    multiprocessing.set_start_method(None, force=True)  # as Python has it by itself, for what it starts
    if not sys.flags.safe_path:
        sys.path[0] = str(Path.cwd())
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
