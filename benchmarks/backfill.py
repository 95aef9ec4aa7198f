"""From the wire to the table: 250 sessions of the whole market from a server without quota, and one session."""

from __future__ import annotations

import argparse
import statistics
import time

import requests

from benchmarks.workbench import LATEST, Workbench, workbench
from quant_pipeline.market.datasets import DAILY_KLINE


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backfill", description=__doc__)
    parser.add_argument("--sessions", type=int, default=250)
    options = parser.parse_args(argv)
    with workbench() as bench:
        sessions = bench.calendar.window(LATEST, options.sessions)
        bench.reference(sessions)
        for session in sessions[::40]:
            _served(bench, session.strftime("%Y%m%d"))  # the simulated years are made at the first call of each
        outcome, seconds = bench.sync(DAILY_KLINE, sessions)
        rows = outcome.total("rows")
        print(f"backfill of {len(sessions)} sessions, fetched, checked, committed: {rows:,} rows in {seconds:.1f} s")
        print(f"  {rows / seconds:,.0f} rows/s (to reach: 60,000)")
        ours, theirs = [], []
        for _ in range(5):
            with bench.database.connect() as connection:
                connection.execute("DELETE FROM daily_kline WHERE trade_date = %s", (LATEST,))
            theirs.append(_served(bench, LATEST.strftime("%Y%m%d")))
            ours.append(bench.sync(DAILY_KLINE, (LATEST,), force=True)[1])
        beyond = statistics.median(ours) - statistics.median(theirs)
        print(f"one session: {statistics.median(ours):.2f} s, {beyond:.2f} s beyond the server's own time (to reach: < 1 s)")


def _served(bench: Workbench, day: str) -> float:
    """Seconds that the server takes for one session of daily."""
    body = {"api_name": "daily", "token": bench.sandbox.token, "params": {"trade_date": day}, "fields": ""}
    started = time.perf_counter()
    requests.post(f"{bench.sandbox.tushare_url}/daily", json=body, timeout=60).raise_for_status()
    return time.perf_counter() - started


if __name__ == "__main__":
    main([])
