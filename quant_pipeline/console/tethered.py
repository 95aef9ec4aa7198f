"""`python -m quant_pipeline.console.tethered --tether FD [--behind SOCKET --module M] SCRIPT ARGUMENT…`: a script on a leash.

FD is the reading end of a pipe whose other end the starter holds. When the starter is gone, however it ended, the pipe ends,
and the script is asked to end as well: no server of a killed `ui` keeps its port.

A script that needs another server waits for it behind SOCKET; its dearest module is imported in the meantime.
"""

from __future__ import annotations

import argparse
import importlib
import os
import runpy
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence

from quant_pipeline.loading import uncollected

_PATIENCE = 10.0
_GLANCE = 0.05


def _follow(line: int) -> None:
    while os.read(line, 1):
        pass
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(_PATIENCE)
    os._exit(1)


def _wait_behind(path: str) -> None:
    while True:
        with socket.socket(socket.AF_UNIX) as attempt:
            try:
                attempt.connect(path)
            except OSError:
                time.sleep(_GLANCE)
            else:
                return


def main(given: Sequence[str] | None = None, tether: int | None = None) -> None:
    """Of the arguments `given` (None: the process's); `tether`: what FD's number is in this process, where it was forked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tether", type=int, required=True)
    parser.add_argument("--behind")
    parser.add_argument("--module")
    parser.add_argument("script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(given)
    threading.Thread(target=_follow, args=(options.tether if tether is None else tether,), name="tether", daemon=True).start()
    if options.module:
        with uncollected():
            importlib.import_module(options.module)
    if options.behind:
        _wait_behind(options.behind)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [options.script, *options.arguments]
    runpy.run_path(options.script, run_name="__main__")


def wait_for_the_end() -> None:
    """From here on Ctrl-C ends the process at once: until the script takes over there is nothing to close."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))


if __name__ == "__main__":
    wait_for_the_end()
    main()
