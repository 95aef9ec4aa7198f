"""Runs every benchmark and prints its figures: `python -m benchmarks [name …]`."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable

from benchmarks import alerts, backfill, backtest, door, history, indicators, lake, quota, quotes, screens, startup, upsert

BENCHMARKS: dict[str, Callable[[list[str]], None]] = {
    "upsert": upsert.main,
    "backfill": backfill.main,
    "history": history.main,
    "quota": quota.main,
    "lake": lake.main,
    "indicators": indicators.main,
    "screens": screens.main,
    "backtest": backtest.main,
    "door": door.main,
    "quotes": quotes.main,
    "startup": startup.main,
    "alerts": alerts.main,
}


def main(names: list[str]) -> None:
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in names or BENCHMARKS:
        print(f"\n== {name}", flush=True)
        BENCHMARKS[name]([])


if __name__ == "__main__":
    main(sys.argv[1:])
