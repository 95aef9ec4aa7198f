"""All registered screens over the whole market for one session, from the stored rows to the hits: one read for all."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from benchmarks.workbench import LATEST, Workbench, workbench
from quant_pipeline.market.datasets import ADJ_FACTOR, DATASETS
from quant_pipeline.settings import Settings
from quant_pipeline.strategies.panel import together
from quant_pipeline.strategies.registry import registered
from quant_pipeline.strategies.universe import Universe
from quant_pipeline.warehouse.lake import folder_of, snapshot, sync
from quant_pipeline.warehouse.screening import read_market, screened

ROUNDS = 5
STRATEGIES = [strategy() for strategy in registered().strategies.values()]
NEEDS = together(strategy.needs for strategy in STRATEGIES)
LOOKBACK = max(strategy.lookback for strategy in STRATEGIES)


def main(argv: list[str]) -> None:
    del argv
    with workbench() as bench:
        sessions = bench.calendar.window(LATEST, LOOKBACK + 1)
        bench.reference(sessions)
        for name in (*NEEDS, ADJ_FACTOR.name):
            if DATASETS[name].dated:
                bench.sync(DATASETS[name], sessions)
        folder = folder_of(Settings(QUANT_HOME=bench.home, QUANT_DATABASE_URL=None))
        from_tables = _timed(bench, None)
        sync(bench.database, folder)
        from_lake = _timed(bench, folder)
    for where, (seconds, reading, bars, hits), reach in (("lake", from_lake, 2), ("PostgreSQL", from_tables, 4)):
        print(
            f"{len(STRATEGIES)} screens of one session over {bars:,} bars, from {where}: {seconds:.2f} s "
            f"(reading {reading:.2f} s), {hits} hits (to reach: < {reach} s)"
        )


def _timed(bench: Workbench, folder: Path | None) -> tuple[float, float, int, int]:
    """Seconds of all, and of reading, as medians; bars and hits."""
    taken, reading, hits = [], [], 0
    for _ in range(ROUNDS):
        started = time.perf_counter()
        with snapshot(bench.database, folder) as stored:
            market = read_market(stored, bench.calendar, NEEDS, [LATEST], LOOKBACK)
            reading.append(time.perf_counter() - started)
            found = [screened(stored, bench.calendar, each, Universe(), market) for each in STRATEGIES]
        taken.append(time.perf_counter() - started)
        hits = sum(each.height for each in found)
    return statistics.median(taken), statistics.median(reading), market.panel.height, hits


if __name__ == "__main__":
    main([])
