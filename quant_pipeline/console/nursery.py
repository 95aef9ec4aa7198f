"""The servers that need Dagster are forked from one process that has loaded it: a second of each one's start, and its memory.

On Linux alone: elsewhere the system's own libraries do not bear a fork, and each server is started by itself.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver, resource_tracker
from multiprocessing.reduction import DupFd
from typing import Any

from quant_pipeline.console import tethered
from quant_pipeline.forked import Before, Forked, standing_for

_WARNINGS = "PYTHONWARNINGS"
_LOADED = "quant_pipeline.resources.dagster_private.loaded_once"


class Nursery:
    """A process that loads Dagster, has no thread, and forks servers: the standard library's fork server.

    It begins to load when this is made, and ends after this process and all of its servers have.
    """

    def __init__(self) -> None:
        multiprocessing.set_forkserver_preload([_LOADED, __name__])
        _start_tracker()
        # Ctrl-C is its supervisor's: this one does not hear it from its first moment on.
        former = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)

    def fork(
        self, command: Sequence[str], tether: int, output: int, before: Before | None, environment: Mapping[str, str]
    ) -> Forked:
        """A process that is what `command` would be, a tethered script (see there), and says what it says to the file `output`.

        It waits until Dagster is loaded.
        """
        given = (list(command), _Handed(tether), _Handed(output), before, dict(environment))
        process = multiprocessing.get_context("forkserver").Process(target=_live, args=given)
        process.start()
        return Forked(process, command)


def nursery() -> Nursery | None:
    """None where servers are not forked."""
    return Nursery() if sys.platform == "linux" else None


def _start_tracker() -> None:
    """The process that clears away what killed servers left: it does so without telling of it at our terminal."""
    former = os.environ.get(_WARNINGS)
    os.environ[_WARNINGS] = "ignore"
    try:
        resource_tracker.ensure_running()
    finally:
        if former is None:
            del os.environ[_WARNINGS]
        else:
            os.environ[_WARNINGS] = former


class _Handed:
    """An open file of this process that the forked one gets too, under a number of its own."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _taken, (DupFd(self._number),)


def _taken(handed: Any) -> int:
    return int(handed.detach())


def _live(command: list[str], tether: int, output: int, before: Before | None, environment: dict[str, str]) -> None:
    os.setsid()  # Ctrl-C reaches the supervisor alone, which ends the servers in order
    tethered.wait_for_the_end()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    with standing_for(command, environment):
        if before is not None:
            before()
        tethered.main(command[command.index(tethered.__name__) + 1 :], tether)
