"""A source's client in a process of its own: one call at a time, and one that hangs is killed, not waited for."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from socket import socketpair
from typing import Any

from quant_pipeline.language import marked, told
from quant_pipeline.sources.failures import causes_of, in_words

_FAREWELL = 2.0
"""Seconds that a client has to end by itself when it is asked to."""
MEMORY = 2 * 2**30
"""Bytes that a client may allocate: AKShare's takes 0.3 GB, with V8 in it. A bomb ends it, not the machine."""
LARGEST = 256 * 2**20
"""Bytes of an answer: the whole market's has about one million."""
_BAD_LENGTH = "bad message length"
"""What multiprocessing says of an answer that is too large."""
_NEEDED = frozenset(
    {
        *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "VIRTUAL_ENV", "TMPDIR", "TEMP", "TMP"),
        *("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONUTF8", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    }
)
"""What a client needs of the environment: to be started, to read and write text, to find its way to the net."""


class ClientHung(Exception):
    """No answer in time: the client's process was killed."""


class ClientDied(Exception):
    """The client's process ended in the middle of a call."""


class ClientFailed(Exception):
    """The client raised: `kinds` are the names of the exception's class and of its bases, nearest first; `causes` those of
    the exceptions that it comes from."""

    def __init__(self, kinds: tuple[str, ...], text: str, causes: tuple[str, ...] = ()) -> None:
        super().__init__(f"{kinds[0]}: {text}")
        self.kinds = kinds
        self.text = text
        self.causes = causes


class ClientProcess:
    """A process that imports `module` and calls its functions by name; it is started at the first call.

    `environment` is added to the process's own (a proxy, say), which has nothing of ours but what a client needs: the keys
    and tokens of this platform are none of its business. It may allocate `memory` bytes, and answer with `largest`. What the
    client prints goes nowhere. Arguments and answers are pickled. Threads may share one: their calls queue up, and none can
    be passed by another.
    """

    def __init__(
        self,
        module: str,
        environment: Mapping[str, str] | None = None,
        *,
        memory: int = MEMORY,
        largest: int = LARGEST,
    ) -> None:
        self._module = module
        self._memory = memory
        self._largest = largest
        self._environment = dict(environment or {})
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None
        _CLIENTS.add(self)

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
                    raise ClientHung(told("no answer within {seconds:g} s; the client's process was killed", seconds=timeout))
                fine, answer = pickle.loads(line.recv_bytes(self._largest))
            except (EOFError, OSError) as error:
                self._end(farewell=0.0)
                if str(error) == _BAD_LENGTH:
                    raise ClientDied(
                        told("the client's answer is larger than {count:,} bytes: no true one is", count=self._largest)
                    ) from None
                raise ClientDied(marked("the client's process ended in the middle of a call")) from None
        if not fine:
            raise ClientFailed(*answer)
        return answer

    def close(self) -> None:
        """Ends the process, if there is one."""
        with self._turn:
            self._end(farewell=_FAREWELL)

    def restart(self, environment: Mapping[str, str]) -> None:
        """Ends the process, if there is one; the next call starts one with this added to its environment."""
        with self._turn:
            self._end(farewell=_FAREWELL)
            self._environment = dict(environment)

    def kill(self) -> None:
        """Kills the process, in the middle of a call or not, for one that ends itself at once."""
        if (process := self._process) is not None:
            process.kill()

    @property
    def pid(self) -> int | None:
        """The process that answers now; None before the first call and after an end."""
        return self._process.pid if self._process else None

    def _start(self) -> Connection:
        ours, theirs = socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, self._module, str(theirs.fileno()), str(self._memory)],
                env=self._inherited() | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the sync, which ends its clients itself
            )
        self._line = Connection(ours.detach())
        return self._line

    def _inherited(self) -> dict[str, str]:
        """What is given to it stands instead of the process's own in either spelling: of `https_proxy` and `HTTPS_PROXY` the
        former would win."""
        given = {name.upper() for name in self._environment}
        return {name: value for name, value in os.environ.items() if name.upper() in _NEEDED - given}

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


_CLIENTS: weakref.WeakSet[ClientProcess] = weakref.WeakSet()


def kill_all() -> None:
    """Kills every client of this process, which is about to end without waiting for their calls: none of them outlives it."""
    for client in list(_CLIENTS):
        client.kill()


def limit_memory(most: int) -> None:
    """Lets this process allocate `most` bytes and no more, where the system can (Linux; elsewhere nothing happens).

    What it allocates, not what it reserves (RLIMIT_AS): V8 reserves far more than it ever uses, and does not start then.
    """
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


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
                said = (False, (kinds, in_words(error), tuple(causes_of(error))))
            line.send(said)


if __name__ == "__main__":
    limit_memory(int(sys.argv[3]))
    answer_calls(sys.argv[1], Connection(int(sys.argv[2])))
