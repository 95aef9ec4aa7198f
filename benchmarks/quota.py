"""Four processes backfill different ranges at once under one quota: is it kept, and is it used?"""

from __future__ import annotations

import datetime as dt
import multiprocessing
import time
from pathlib import Path

import requests

from benchmarks.workbench import LATEST, Workbench, workbench
from quant_pipeline.market.datasets import SUSPENSIONS
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.addresses import Addresses
from quant_pipeline.settings import Settings
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.warehouse.database import Database

QUOTA = 400
PROCESSES = 4
MINUTES = 3
POLICY = RatePolicy(per_minute=QUOTA, per_second=None, concurrency=5)


def main(argv: list[str]) -> None:
    del argv
    with workbench(calls_a_minute=QUOTA) as bench:
        sessions = bench.calendar.window(LATEST, QUOTA * MINUTES)
        share = len(sessions) // PROCESSES
        context = multiprocessing.get_context("spawn")
        children = [
            context.Process(target=_backfill, args=(bench.home, bench.sandbox, sessions[first : first + share]))
            for first in range(0, len(sessions), share)
        ]
        started = time.perf_counter()
        for child in children:
            child.start()
        for child in children:
            child.join()
        seconds = time.perf_counter() - started
        control, headers = bench.sandbox.control_url, bench.sandbox.control_headers
        asked = {"server": "tushare", "api": "suspend_d"}
        calls = requests.get(f"{control}/calls", params=asked, headers=headers, timeout=60).json()
        stats = requests.get(f"{control}/stats", headers=headers, timeout=60).json()["tushare.suspend_d"]
    arrivals = sorted(call["arrived"] for call in calls)
    windows = int((arrivals[-1] - arrivals[0]) // 60)
    used = sum(arrival < arrivals[0] + windows * 60 for arrival in arrivals) / (QUOTA * windows)
    print(f"{PROCESSES} processes, {len(calls)} calls in {seconds:.0f} s, quota {QUOTA} a minute, as the server counted them:")
    print(f"  busiest 60 s: {stats['busiest_window']} calls (allowed: {QUOTA}); refused: {stats['answers'].get('quota', 0)}")
    print(f"  used in the {windows} whole minutes: {used:.1%} of the quota (to reach: 95 %)")


def _backfill(home: Path, sandbox: Addresses, sessions: tuple[dt.date, ...]) -> None:
    database = Database.from_settings(Settings(QUANT_HOME=home))
    Workbench(home, database, sandbox, xshg()).sync(SUSPENSIONS, sessions, policy=POLICY)


if __name__ == "__main__":
    main([])
