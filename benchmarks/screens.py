"""All registered screens over the whole market for one session, from the stored rows to the hits: one read for all.

`python -m benchmarks.screens` stores 5,400 codes over the two years that the longest warm-up takes; `--codes 500` fewer.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.market import LAST, in_a_database
from quant_pipeline.market.xshg import xshg
from quant_pipeline.settings import Mode
from quant_pipeline.strategies.base import Strategy
from quant_pipeline.strategies.panel import all_of
from quant_pipeline.strategies.registry import registered
from quant_pipeline.strategies.universe import Universe
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import snapshot
from quant_pipeline.warehouse.screening import all_screened, read_market

SESSIONS = 460
"""Of the last two years up to LAST: the lake's files are of whole years, and a screen reads them through."""
ROUNDS = 3
"""The fastest is told: the first one compiles, or loads what was compiled."""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.screens", description=__doc__)
    parser.add_argument("--codes", type=int, default=5_400)
    codes = parser.parse_args(argv).codes
    with in_a_database(codes, SESSIONS) as stored:
        for where, folder, reach in (("lake", stored.folder, 2), ("PostgreSQL", None, 4)):
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                print(f"from {where} (to reach: < {reach} s): {pool.submit(_fastest, stored.database.url, folder).result()}")


def _strategies() -> list[Strategy]:
    return [strategy() for strategy in registered().strategies.values()]


def _fastest(url: str, folder: Path | None) -> str:
    strategies, database = _strategies(), Database(url, Mode.SANDBOX)
    _, told = min(_timed(strategies, database, folder) for _ in range(ROUNDS))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{told}; peak of memory {peak:,.0f} MB"


def _timed(strategies: Sequence[Strategy], database: Database, folder: Path | None) -> tuple[float, str]:
    """Seconds of all, and what took them."""
    calendar = xshg()
    sight = all_of(strategy.sight for strategy in strategies)
    began, processors = time.perf_counter(), time.process_time()
    with snapshot(database, folder) as stored:
        market = read_market(stored, calendar, sight, [LAST])
        read = time.perf_counter()
        hits, failed = all_screened(stored, calendar, strategies, Universe(), market)
        assert not failed, failed
    seconds = time.perf_counter() - began
    return seconds, (
        f"{len(strategies)} screens of one session over {market.panel.whole.rows.height:,} bars: {seconds:.2f} s "
        f"({time.process_time() - processors:.2f} s CPU; reading {read - began:.2f} s), {hits.height} hits"
    )


if __name__ == "__main__":
    main()
