"""Twenty years of the whole market: daily bars, factors and basics from an unlimited server, and flat memory on the way.

`python -m benchmarks.history [--start 2006-11-20]`: a process per data set, as three backfills launched in the UI are.
"""

from __future__ import annotations

import argparse
import datetime as dt
import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workbench import LATEST, Workbench, workbench
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_BASIC, DAILY_KLINE, DATASETS
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.addresses import Addresses
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database

FIRST = dt.date(2006, 11, 20)
SHORT = 250
"""Sessions after which the memory is looked at for the first time."""


@dataclass(frozen=True)
class Backfilled:
    """A data set's backfill: its rows and seconds, and the most memory (MB) after 250 sessions and at the end."""

    dataset: str
    rows: int
    seconds: float
    memory_after_short: float
    memory: float


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("--start", type=dt.date.fromisoformat, default=FIRST, help=f"first session (default {FIRST})")
    options = parser.parse_args(arguments)
    with workbench() as bench, ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as processes:
        sessions = bench.calendar.between(options.start, LATEST)
        bench.reference(sessions)
        started = time.perf_counter()
        names = [dataset.name for dataset in (DAILY_BASIC, DAILY_KLINE, ADJ_FACTOR)]
        under_way = [processes.submit(_backfill, bench.home, bench.sandbox, name, options.start) for name in names]
        done = [each.result() for each in under_way]
        minutes = (time.perf_counter() - started) / 60
    print(f"{len(sessions):,} sessions x 5,400 codes, three data sets side by side:")
    for each in done:
        pace = f"{each.rows:,} rows in {each.seconds:.0f} s"
        memory = f"memory at most {each.memory_after_short:.0f} MB after {SHORT} sessions, {each.memory:.0f} MB after all"
        print(f"  {each.dataset}: {pace}; {memory}")
    print(f"{sum(each.rows for each in done):,} rows in {minutes:.1f} minutes (to reach: 20 years in less than 12)")


def _backfill(home: Path, sandbox: Addresses, name: str, start: dt.date) -> Backfilled:
    """One data set's backfill, in a process of its own."""
    database = Database.from_settings(Settings(QUANT_HOME=home))
    bench = Workbench(home, database, sandbox, xshg())
    sessions = bench.calendar.between(start, LATEST)
    first, first_seconds = bench.sync(DATASETS[name], sessions[-SHORT:])  # the fullest ones
    short = _megabytes()
    rest, rest_seconds = bench.sync(DATASETS[name], sessions[:-SHORT])
    database.close()
    rows = first.total("rows") + rest.total("rows")
    return Backfilled(name, rows, first_seconds + rest_seconds, short, _megabytes())


def _megabytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
