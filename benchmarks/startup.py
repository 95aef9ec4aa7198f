"""How long a user waits before anything happens: `--help`, the load of the code location, and, of this folder's home where a
`run` has filled it, the commands that look, the `run` that finds nothing to do, and the pages of `ui`."""

from __future__ import annotations

import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from quant_pipeline import settings
from quant_pipeline.answering import answers

ROUNDS = 5
_QUANT = ["-m", "quant_pipeline"]
COMMANDS = {
    "quant-pipeline --help (to reach: < 1 s)": [*_QUANT, "--help"],
    "code location load (to reach: < 2 s)": ["-c", "import quant_pipeline.definitions"],
}
OVER_A_FILLED_HOME = {
    **{f"quant-pipeline {name} (to reach: < 1 s)": [*_QUANT, name] for name in ("status", "sources", "history", "stats")},
    "quant-pipeline run, nothing to do (to reach: < 2.5 s)": [*_QUANT, "run"],
}


def main(argv: list[str]) -> None:
    del argv
    for name, arguments in COMMANDS.items():
        _tell(name, [_taken(arguments) for _ in range(ROUNDS)])
    if not (Path(settings.load().home) / "pg").exists():
        print("the other commands: after a first `quant-pipeline run` in this folder")
        return
    for name, arguments in OVER_A_FILLED_HOME.items():
        _taken(arguments)  # the first one may have a server to start
        _tell(name, [_taken(arguments) for _ in range(ROUNDS)])
    _tell("quant-pipeline ui, our pages and Dagster's answer (to reach: < 6 s)", [_ui_taken() for _ in range(ROUNDS)])


def _taken(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _ui_taken() -> float:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = time.perf_counter()
    serving = subprocess.Popen([sys.executable, *_QUANT, "ui", "--port", str(port)], stdout=subprocess.DEVNULL)
    while not (answers(f"http://127.0.0.1:{port + 1}/") and answers(f"http://127.0.0.1:{port}/server_info")):
        time.sleep(0.02)
    taken = time.perf_counter() - started
    serving.send_signal(signal.SIGTERM)
    serving.wait()
    return taken


def _tell(name: str, taken: list[float]) -> None:
    print(f"{name}: {statistics.median(taken):.2f} s (median of {ROUNDS})", flush=True)


if __name__ == "__main__":
    main([])
