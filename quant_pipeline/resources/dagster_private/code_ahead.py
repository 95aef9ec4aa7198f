"""The code of a code server is loaded from its first moment on, not only when Dagster has come to ask for it."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from typing import Any, Final

from quant_pipeline.forked import Forked, standing_for
from quant_pipeline.loading import uncollected

_GRPC: Final = ["-m", "dagster", "api", "grpc"]
"""How Dagster starts a process that holds code. Changed: it starts its own, as `load_code_ahead` says."""


def load_code_ahead() -> None:
    """In a process that is going to be a code server, and has no thread yet: forks the one that is to hold the code.

    That loads the code, and waits for the arguments with which Dagster starts such a process: the first that it starts is this
    one. "Reload definitions" starts new ones, as ever. Changed name in `dagster._grpc.server`: no code server starts. Changed
    arguments: Dagster starts its own, and the pages of `ui` come two seconds later (test_ui_place.py).
    """
    from dagster._grpc import server  # `ui` names this function, and does not load Dagster

    told, tells = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_hold_code, args=(told, tells))
    process.start()
    told.close()
    Finalize(None, tells.close, exitpriority=1)  # one that ends before it has asked does not wait for the other

    started_anew = server.open_ipc_subprocess  # type: ignore[attr-defined]

    def open_process(parts: Sequence[str], *, cwd: str | None, env: Mapping[str, str]) -> Any:
        server.open_ipc_subprocess = started_anew  # type: ignore[attr-defined]
        with tells:
            if list(parts[1 : 1 + len(_GRPC)]) != _GRPC:
                return started_anew(parts, cwd=cwd, env=env)
            tells.send((list(parts), cwd, dict(env)))
        return Forked(process, parts)

    server.open_ipc_subprocess = open_process  # type: ignore[attr-defined, assignment]


def _hold_code(told: Connection, tells: Connection) -> None:
    tells.close()
    with suppress(Exception), uncollected():  # Dagster loads it once more then, and shows why it fails
        importlib.import_module("quant_pipeline.definitions")
    try:
        parts, cwd, env = told.recv()
    except EOFError:  # the code server has ended, or has started one of its own
        return
    if cwd is not None:
        os.chdir(cwd)
    with standing_for(parts, env):
        sys.argv = parts[2:]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        runpy.run_module("dagster", run_name="__main__", alter_sys=True)
