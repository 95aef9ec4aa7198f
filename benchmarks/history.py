"""Twenty years of the whole market: daily bars, factors and basics from an unlimited server, and flat memory on the way.

`python -m benchmarks.history [--sessions 4860]`
"""

from __future__ import annotations

import argparse
import datetime as dt
import resource
import time

from benchmarks.workbench import LATEST, workbench
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_BASIC, DAILY_KLINE

FIRST = dt.date(2006, 11, 20)
_SHORT = 250


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("--start", type=dt.date.fromisoformat, default=FIRST, help=f"first session (default {FIRST})")
    options = parser.parse_args(arguments)
    with workbench() as bench:
        sessions = bench.calendar.between(options.start, LATEST)
        bench.reference(sessions)
        bench.sync(DAILY_KLINE, sessions[-_SHORT:])
        short = _megabytes()
        started, total = time.perf_counter(), 0
        for dataset in (DAILY_KLINE, ADJ_FACTOR, DAILY_BASIC):
            outcome, seconds = bench.sync(dataset, sessions)
            rows = outcome.total("rows")
            total += rows
            pace = f"{rows:,} rows in {seconds:.0f} s ({rows / seconds:,.0f} rows/s)"
            print(f"{dataset.name}: {len(sessions):,} sessions, {pace}", flush=True)
        minutes = (time.perf_counter() - started) / 60
        print(f"{total:,} rows in {minutes:.1f} minutes (to reach: 20 years in less than 12)")
        print(f"memory at most: {short:.0f} MB after {_SHORT} sessions, {_megabytes():.0f} MB after {len(sessions):,}")


def _megabytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
