"""All registered screens over the whole market for one session, from PostgreSQL to the hits."""

from __future__ import annotations

import statistics
import time

from benchmarks.workbench import LATEST, workbench
from quant_pipeline.market.adjustment import adjust
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE
from quant_pipeline.strategies.dual_ma import DualMovingAverage
from quant_pipeline.warehouse.reads import read

ROUNDS = 5


def main(argv: list[str]) -> None:
    del argv
    strategy = DualMovingAverage()
    with workbench() as bench:
        sessions = bench.calendar.window(LATEST, 3 * strategy.lookback)
        bench.reference(sessions)
        bench.sync(DAILY_KLINE, sessions)
        bench.sync(ADJ_FACTOR, sessions)
        taken = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            bars = read(bench.database, DAILY_KLINE, start=sessions[0], end=LATEST)
            factors = read(bench.database, ADJ_FACTOR, start=sessions[0], end=LATEST)
            hits = strategy.screen(adjust(bars, factors, "qfq"), [LATEST])
            taken.append(time.perf_counter() - started)
    print(f"screen dual_ma over {bars.height:,} bars: {statistics.median(taken):.2f} s, {hits.height} hits (to reach: < 2 s)")


if __name__ == "__main__":
    main([])
