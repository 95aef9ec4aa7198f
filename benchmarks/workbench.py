"""What the benchmarks share: a throw-away home with its own PostgreSQL and sandbox, and an engine over them."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import STOCK_LIST, SUSPENSIONS, TRADE_CALENDAR
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox import starter
from quant_pipeline.sandbox.addresses import Addresses
from quant_pipeline.settings import Settings
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.router import Router
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sync.engine import Engine, Outcome
from quant_pipeline.sync.ledger import Ledger
from quant_pipeline.sync.plan import plan_list, plan_rows
from quant_pipeline.sync.roster import Roster
from quant_pipeline.warehouse import server
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

NOW = "2026-11-20T18:00"
LATEST = dt.date(2026, 11, 20)
UNLIMITED = RatePolicy(per_minute=None, per_second=None, concurrency=3)


@dataclass
class Workbench:
    """An engine over a real database and a sandbox of 5,400 codes in a process of its own."""

    home: Path
    database: Database
    sandbox: Addresses
    calendar: Calendar

    def sync(
        self, dataset: Dataset, sessions: tuple[dt.date, ...] = (), *, policy: RatePolicy = UNLIMITED, force: bool = False
    ) -> tuple[Outcome, float]:
        """Syncs one data set in a run of its own; the outcome and the seconds it took."""
        presence = Presence(self.database.connect())
        ledger = Ledger(self.database, presence)
        run = f"{dataset.name}-{time.monotonic_ns()}"
        limiter = Limiter(self.database.pool, presence)
        policies = {"tushare": {"*": policy}}
        source = TushareSource(self.sandbox.token, self.sandbox.tushare_url, self.calendar, limiter, policies)
        router = Router([source])
        universe = Roster.load(self.database, dataset, self.calendar)
        planned = plan_rows(dataset, router, universe, sessions) if dataset.dated else plan_list(dataset, router, as_of=LATEST)
        ledger.begin(run, "benchmark", {})
        started = time.perf_counter()
        outcome = Engine(self.database, router, self.calendar, ledger, run).sync(planned, force=force)
        seconds = time.perf_counter() - started
        ledger.finish(run)
        presence.close()
        if outcome.failed:
            raise RuntimeError(next(iter(outcome.failed.values())).error)
        return outcome, seconds

    def reference(self, sessions: tuple[dt.date, ...]) -> None:
        """Syncs what bars are judged against."""
        self.sync(TRADE_CALENDAR)
        self.sync(STOCK_LIST)
        self.sync(SUSPENSIONS, sessions)


@contextmanager
def workbench(*, calls_a_minute: int = 0) -> Iterator[Workbench]:
    """A workbench whose sandbox has that quota per API (0: none); everything is stopped and removed at the end."""
    os.environ["QUANT_NOW"] = NOW
    home = Path(tempfile.mkdtemp(prefix="qb"))
    command = [sys.executable, "-m", "quant_pipeline.sandbox", "--home", str(home), "--calls-a-minute", str(calls_a_minute)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        while "PUSHPLUS_SECRET_KEY" not in process.stdout.readline():
            pass
        database = Database.from_settings(Settings(QUANT_HOME=home))
        database.upgrade()
        yield Workbench(home, database, starter.ensure_running(home), xshg())
        database.close()
    finally:
        process.terminate()
        process.wait()
        server.stop(home)
        shutil.rmtree(home, ignore_errors=True)
