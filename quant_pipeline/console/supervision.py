"""Servers that are kept running: one that dies is started again, and all of them end with their supervisor."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from quant_pipeline.console.nursery import Nursery
from quant_pipeline.forked import Before, Forked
from quant_pipeline.language import say

_logger = logging.getLogger(__name__)
_LONGEST_PAUSE = 30.0
"""Seconds before one that dies again and again is started once more; it begins with one second, and doubles."""
_GROWN_UP = 60.0
"""Seconds after which a server counts as one that had been running well."""
_FAREWELL = 8.0
"""Seconds that the servers have to end by themselves."""


@dataclass
class Server:
    """A Python script that serves. `whole` says of its process whether all that belongs to it is there.

    What was whole once and is no more is started again; what is still starting is waited for. It begins when the server
    `behind` a socket answers, with its dearest `module` imported by then; where it is to be `due` first, it is not started
    before that. Lines that hold `chatter` are not passed on. One that is `nursed` is forked there, and does `before` as its
    first.
    """

    name: str
    script: Path
    arguments: Sequence[str] = ()
    whole: Callable[[psutil.Process], bool] = lambda process: process.is_running()
    behind: Path | None = None
    module: str | None = None
    due: Callable[[], bool] = lambda: True
    chatter: re.Pattern[bytes] | None = None
    nursed: Nursery | None = None
    before: Before | None = None
    process: subprocess.Popen[bytes] | Forked | None = field(default=None, init=False)
    _since: float = field(default=0.0, init=False)
    _was_whole: bool = field(default=False, init=False)
    _pause: float = field(default=0.0, init=False)
    _not_before: float = field(default=0.0, init=False)
    _hushed: bool = field(default=False, init=False)

    def start(self, tether: int) -> None:
        behind = () if self.behind is None else ("--behind", str(self.behind))
        module = () if self.module is None else ("--module", self.module)
        leash = ("-m", "quant_pipeline.console.tethered", "--tether", str(tether), *behind, *module)
        command = [sys.executable, *leash, str(self.script), *self.arguments]
        said, says = os.pipe()
        try:
            if self.nursed is not None:
                self.process = self.nursed.fork(command, tether, says, self.before, os.environ)
            else:  # a session of its own: Ctrl-C reaches the supervisor alone, which ends them in order
                self.process = subprocess.Popen(
                    command, pass_fds=[tether], start_new_session=True, stdout=says, stderr=subprocess.STDOUT
                )
        finally:
            os.close(says)
        output = os.fdopen(said, "rb")
        threading.Thread(target=self._pass_on, args=(output,), name=f"output of {self.name}", daemon=True).start()
        self._since, self._was_whole = time.monotonic(), False

    def look_after(self, tether: int) -> None:
        """Starts it when it is due, and again when it has died, or lost a part."""
        now = time.monotonic()
        if self.process is not None:
            if self._fine(self.process):
                return
            self._pause = 1.0 if now - self._since > _GROWN_UP else min(max(2 * self._pause, 1.0), _LONGEST_PAUSE)
            self._not_before = now + self._pause
            _logger.warning(
                say("{server} has died and is started again in {seconds:.0f} s", server=self.name, seconds=self._pause)
            )
            self.end(0.0)
        elif now >= self._not_before and self.due():
            self.start(tether)

    def ask_to_end(self) -> None:
        """From now on nobody reads what it says: servers that end in the middle of something tell of it at length."""
        self._hushed = True
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGINT)

    def end(self, patience: float) -> None:
        """Asks it to end, and kills it after `patience` seconds, with what it started."""
        process, self.process = self.process, None
        if process is None:
            return
        parts = _children(process.pid)
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
        if process.poll() is None:
            process.kill()
            process.wait()
            for part in parts:
                with suppress(psutil.Error):
                    part.kill()

    def _pass_on(self, output: IO[bytes]) -> None:
        for line in output:
            if not self._hushed and not (self.chatter is not None and self.chatter.search(line)):
                sys.stderr.write(line.decode(errors="replace"))
                sys.stderr.flush()

    def _fine(self, process: subprocess.Popen[bytes] | Forked) -> bool:
        if process.poll() is not None:
            return False
        try:
            whole = self.whole(psutil.Process(process.pid))
        except psutil.Error:
            return False
        self._was_whole = self._was_whole or whole
        return whole or not self._was_whole


@contextmanager
def kept_running(servers: Sequence[Server]) -> Iterator[Callable[[], None]]:
    """Runs the servers while the block lasts; it calls what it is given every second or so, to look after them.

    They are started in order and ended the other way round; they end as well when this process is killed.
    """
    theirs, ours = os.pipe()
    try:

        def look() -> None:
            for server in servers:
                server.look_after(theirs)

        look()
        yield look
    finally:
        deadline = time.monotonic() + _FAREWELL
        for server in servers:
            server.ask_to_end()
        for server in reversed(servers):
            server.end(max(deadline - time.monotonic(), 0.0))
        os.close(theirs)
        os.close(ours)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
