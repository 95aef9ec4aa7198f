"""How long a user waits before anything happens: `quant-pipeline --help`, and the load of the code location."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 5
COMMANDS = {
    "quant-pipeline --help (to reach: < 1 s)": ["-m", "quant_pipeline.cli", "--help"],
    "code location load (to reach: < 2 s)": ["-c", "import quant_pipeline.definitions"],
}


def main(argv: list[str]) -> None:
    del argv
    for name, arguments in COMMANDS.items():
        taken = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            taken.append(time.perf_counter() - started)
        print(f"{name}: {statistics.median(taken):.2f} s (median of {ROUNDS})")


if __name__ == "__main__":
    main([])
