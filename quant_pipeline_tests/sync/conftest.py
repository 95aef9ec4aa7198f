"""A sandbox of sixty codes, and a workbench: engine, ledger and source over a real database and real sockets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from psycopg import sql

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import BSE_MAPPING, NAME_HISTORY, STOCK_LIST, SUSPENSIONS, TRADE_CALENDAR
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import Policies, RatePolicy
from quant_pipeline.sources.router import Router
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sync.engine import Engine, OnCommitted, Outcome
from quant_pipeline.sync.ledger import Ledger
from quant_pipeline.sync.periods import labels_of
from quant_pipeline.sync.plan import Plan, plan_list, plan_rows
from quant_pipeline.sync.roster import Roster, groups
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

_QUICK = RatePolicy(per_minute=None, per_second=None, concurrency=4, retries=2, backoff=0.01, trip=1000)
QUICK: Policies = {"tushare": {"*": _QUICK}}
NOW = "2026-11-20T18:00"
LATEST = dt.date(2026, 11, 20)
_LISTS = (STOCK_LIST, BSE_MAPPING, NAME_HISTORY)
_KEPT: dict[tuple[object, ...], dict[str, bytes]] = {}
"""Data sets and sessions -> table -> its rows after their sync, as PostgreSQL copies them: of the one exchange below."""


@dataclass
class Bench:
    """What a test of the engine works with."""

    database: Database
    presence: Presence
    ledger: Ledger
    calendar: Calendar
    sandbox: Rehearsal
    policies: Policies
    token: str
    run: str = "run-1"

    def source(self, timeout: float = 30.0) -> TushareSource:
        limiter = Limiter(self.database.pool, self.presence)
        policies = {
            source: {api: policy.model_copy(update={"timeout": timeout}) for api, policy in apis.items()}
            for source, apis in self.policies.items()
        }
        return TushareSource(self.token, self.sandbox.tushare_url, xshg(), limiter, policies, patience=30)

    def sessions(self, count: int) -> tuple[dt.date, ...]:
        return self.calendar.window(LATEST, count)

    def sync(
        self,
        dataset: Dataset,
        sessions: tuple[dt.date, ...] = (),
        *,
        codes: tuple[str, ...] = (),
        force: bool = False,
        timeout: float = 30.0,
        on_committed: OnCommitted | None = None,
    ) -> Outcome:
        router = Router([self.source(timeout)])
        engine = Engine(self.database, router, self.calendar, self.ledger, self.run)
        return engine.sync(self.plan(dataset, router, sessions, codes), force=force, on_committed=on_committed)

    def plan(self, dataset: Dataset, router: Router, sessions: tuple[dt.date, ...], codes: tuple[str, ...] = ()) -> Plan:
        if not dataset.dated:
            asked = groups(self.database, dataset) if dataset.universe else ()
            return plan_list(dataset, router, as_of=LATEST, groups=asked)
        labels = labels_of(dataset, self.calendar, sessions)
        return plan_rows(dataset, router, Roster.load(self.database, dataset, self.calendar), labels, codes=codes)

    def reference(self, sessions: tuple[dt.date, ...]) -> None:
        """Syncs what bars are judged against: once in a worker, then it is copied with its record. Whose test counts the calls
        syncs the calendar before: then the others are synced too."""
        if self.rows("SELECT 1 FROM trade_calendar LIMIT 1"):
            for dataset in _LISTS:
                self.sync(dataset)
            self.sync(SUSPENSIONS, sessions)
            return
        self._once((TRADE_CALENDAR,))
        self._once(_LISTS)
        self._once((SUSPENSIONS,), sessions)

    def _once(self, datasets: tuple[Dataset, ...], sessions: tuple[dt.date, ...] = ()) -> None:
        """Copies the data sets' rows and record, or syncs them where no test of this worker has yet."""
        names = [dataset.name for dataset in datasets]
        kept = _KEPT.setdefault((*names, *sessions), {})
        with self.database.connect() as connection, connection.cursor() as cursor:
            for table, rows in kept.items():
                with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copy:
                    copy.write(rows)
        if kept:
            return
        for dataset in datasets:
            assert not self.sync(dataset, sessions).failed
        with self.database.connect() as connection, connection.cursor() as cursor:
            of_these = sql.SQL("WHERE dataset IN ({})").format(sql.SQL(", ").join(map(sql.Literal, names)))
            chosen = dict.fromkeys(names, sql.SQL("")) | {"sync_items": of_these}
            if datasets == _LISTS:
                chosen["code_changes"] = sql.SQL("")  # what the lists say of codes
            for table, which in chosen.items():
                rows = sql.SQL("COPY (SELECT * FROM {} {}) TO STDOUT").format(sql.Identifier(table), which)
                with cursor.copy(rows) as copy:
                    kept[table] = b"".join(copy)

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with self.database.connect() as connection:
            return connection.execute(query, values).fetchall()


@pytest.fixture(scope="session")
def exchange() -> Exchange:
    return Exchange(codes=100, first_year=2025)


@pytest.fixture
def sandbox(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setenv("QUANT_NOW", NOW)
    with running(exchange, quotas={"*": None}) as rehearsal:
        yield rehearsal


@pytest.fixture
def bench(warehouse: Database, sandbox: Rehearsal) -> Iterator[Bench]:
    presence = Presence(warehouse.connect())
    ledger = Ledger(warehouse, presence)
    ledger.begin("run-1", "test", {})
    yield Bench(warehouse, presence, ledger, xshg(), sandbox, dict(QUICK), sandbox.token)
    presence.close()
