"""A backfill in a process of its own, to be killed or to compete with others.

Processes are forked from a server that has everything imported: eleven starts cost seconds, not a minute.
"""

from __future__ import annotations

import datetime as dt
import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection

import tushare  # noqa: F401 - imported once, in the fork server

from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.market.xshg import xshg
from quant_pipeline.settings import Mode
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.router import Router
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sync.engine import Engine
from quant_pipeline.sync.ledger import Ledger
from quant_pipeline.sync.plan import plan_rows
from quant_pipeline.sync.roster import Roster
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

CALENDAR = xshg()
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


class Backfill:
    """A child process that backfills daily_kline: it waits for `go`, then names each session as it is committed."""

    def __init__(self, database_url: str, tushare_url: str, policy: RatePolicy, run: str, sessions: Sequence[dt.date]) -> None:
        self._pipe, far_end = _CONTEXT.Pipe()
        arguments = (far_end, database_url, tushare_url, policy, run, sessions)
        self._process = _CONTEXT.Process(target=_backfill, args=arguments, daemon=True)
        self._process.start()
        far_end.close()

    def go(self) -> None:
        assert self._pipe.recv() == "ready"
        self._pipe.send("go")

    def wait_for_session(self) -> str:
        """The next session that was committed."""
        return str(self._pipe.recv())

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def finish(self) -> int | None:
        """Waits for the end; the exit code."""
        try:
            while True:
                self._pipe.recv()
        except EOFError:
            self._process.join()
        return self._process.exitcode


def _backfill(
    pipe: Connection, database_url: str, tushare_url: str, policy: RatePolicy, run: str, sessions: Sequence[dt.date]
) -> None:
    database = Database(database_url, Mode.SANDBOX)
    presence = Presence(database.connect())
    ledger = Ledger(database, presence)
    source = TushareSource("sandbox-token", tushare_url, xshg(), Limiter(database.pool, presence), {"tushare": {"*": policy}})
    router = Router([source])
    pipe.send("ready")
    pipe.recv()
    ledger.begin(run, "backfill", {})
    planned = plan_rows(DAILY_KLINE, router, Roster.load(database, DAILY_KLINE, CALENDAR), sessions)
    outcome = Engine(database, router, CALENDAR, ledger, run).sync(
        planned, on_committed=lambda unit, _item: pipe.send(str(unit))
    )
    ledger.finish(run)
    assert not outcome.failed, [item.error for item in outcome.failed.values()]
    database.close()
