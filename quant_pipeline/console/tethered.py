"""`python -m quant_pipeline.console.tethered FD SCRIPT ARGUMENT…`: runs a Python script that ends with whoever started it.

FD is the reading end of a pipe whose other end the starter holds. When the starter is gone, however it ended, the pipe ends,
and the script is asked to end as well: no server of a killed `ui` keeps its port.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

_PATIENCE = 10.0


def _follow(line: int) -> None:
    while os.read(line, 1):
        pass
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(_PATIENCE)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_follow, args=(int(sys.argv[1]),), name="tether", daemon=True).start()
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
