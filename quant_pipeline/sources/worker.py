"""A source's client in a process of its own: one call at a time, and one that hangs is killed, not waited for."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from socket import socketpair
from typing import Any

_FAREWELL = 2.0
"""Seconds that a client has to end by itself when it is asked to."""


class ClientHung(Exception):
    """No answer in time: the client's process was killed."""


class ClientDied(Exception):
    """The client's process ended in the middle of a call."""


class ClientFailed(Exception):
    """The client raised: `kinds` are the names of the exception's class and of its bases, nearest first."""

    def __init__(self, kinds: tuple[str, ...], text: str) -> None:
        super().__init__(f"{kinds[0]}: {text}")
        self.kinds = kinds
        self.text = text


class ClientProcess:
    """A process that imports `module` and calls its functions by name; it is started at the first call.

    `environment` is added to the process's own (a proxy, say). What the client prints goes nowhere. Arguments and answers
    are pickled. Threads may share one: their calls queue up, and none can be passed by another.
    """

    def __init__(self, module: str, environment: Mapping[str, str] | None = None) -> None:
        self._module = module
        self._environment = dict(environment or {})
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None

    def ask(self, function: str, *arguments: Any, timeout: float) -> Any:
        """The function's answer. ClientHung after `timeout` seconds, ClientDied, or ClientFailed with what it raised.

        After the first two the next call starts a new process.
        """
        with self._turn:
            line = self._line or self._start()
            try:
                line.send((function, arguments))
                if not line.poll(timeout):
                    self._end(farewell=0.0)
                    raise ClientHung(f"no answer within {timeout:g} s; the client's process was killed")
                fine, answer = line.recv()
            except (EOFError, OSError) as error:
                self._end(farewell=0.0)
                raise ClientDied(f"the client's process ended in the middle of a call ({type(error).__name__})") from None
        if not fine:
            raise ClientFailed(*answer)
        return answer

    def close(self) -> None:
        """Ends the process, if there is one."""
        with self._turn:
            self._end(farewell=_FAREWELL)

    @property
    def pid(self) -> int | None:
        """The process that answers now; None before the first call and after an end."""
        return self._process.pid if self._process else None

    def _start(self) -> Connection:
        ours, theirs = socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, self._module, str(theirs.fileno())],
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the sync, which ends its clients itself
            )
        self._line = Connection(ours.detach())
        return self._line

    def _end(self, *, farewell: float) -> None:
        if self._line is not None:
            self._line.close()  # the process sees the line's end, and ends
            self._line = None
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(farewell)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._process = None


def answer_calls(module: str, line: Connection) -> None:
    """The process's work: calls the functions of `module` until the line ends."""
    client = importlib.import_module(module)
    with suppress(EOFError, OSError):
        while True:
            function, arguments = line.recv()
            try:
                said: tuple[bool, Any] = (True, getattr(client, function)(*arguments))
            except Exception as error:
                kinds = tuple(kind.__name__ for kind in type(error).__mro__ if kind not in (object, BaseException))
                said = (False, (kinds, " ".join(str(error).split())))
            line.send(said)


if __name__ == "__main__":
    answer_calls(sys.argv[1], Connection(int(sys.argv[2])))
