"""The whole platform for a test: its definitions, a database of its own, a sandbox of sixty codes behind real sockets."""

from __future__ import annotations

import datetime as dt
import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import psycopg
import pytest
from dagster._core.storage.event_log import InMemoryEventLogStorage

from quant_pipeline.definitions import defs
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Partition
from quant_pipeline.market.datasets import SOURCED
from quant_pipeline.market.xshg import xshg
from quant_pipeline.partitions import range_tags
from quant_pipeline.resources.dagster_private.storage import PlannedAsOne
from quant_pipeline.resources.options import run_config_of
from quant_pipeline.resources.postman import POSTMAN
from quant_pipeline.resources.sources import SourcesResource
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.settings import Mode, Settings
from quant_pipeline.sync.ledger import Ledger
from quant_pipeline.sync.syncer import Request, Syncer
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import folder_of
from quant_pipeline.warehouse.presence import Presence

NOW = "2026-11-20T18:00"
LATEST = dt.date(2026, 11, 20)
TOKEN = "sandbox-b7c1d9e25a"
"""Any token that begins with "sandbox" opens the sandbox's doors: this one is found wherever it leaks to."""
_APIS = ("*", "daily", "adj_factor", "daily_basic", "stk_limit", "suspend_d", "stock_basic")
# One call at a time: so a fault after the second call meets the third session.
UNLIMITED = "\n".join(f'[tushare."{api}"]\nquota = false\nretries = 1\nbackoff = 0.01\nconcurrency = 1' for api in _APIS)
_SYNCED = """
WITH run AS (
    INSERT INTO sync_runs (id, trigger, status, process, presence) VALUES ('before', 'test', 'success', 'p', 1) RETURNING id
)
INSERT INTO sync_items (sync_run, dataset, unit, trade_date, status, rows)
SELECT id, dataset, day::text, day, 'success', 1 FROM run, unnest(%s::text[]) AS dataset, unnest(%s::date[]) AS day
"""
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

_numbers = itertools.count(1)


@dataclass
class Platform:
    """What a test of the upper rooms works with."""

    database: Database
    sandbox: Rehearsal
    instance: dg.DagsterInstance
    calendar: Calendar

    def sessions(self, count: int) -> tuple[dt.date, ...]:
        return self.calendar.window(LATEST, count)

    def run(
        self,
        sessions: Sequence[dt.date] = (),
        *assets: str,
        job: str = "daily_sync",
        config: Mapping[str, Mapping[str, Any]] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """A run of the job, or of some of its assets, for the sessions from the first to the last one given.

        `config`: asset -> what is set for it: a screen's parameters, or options of the run (of data sets: the same for all).
        """
        options: dict[str, Any] = {}
        ops = {}
        for name, values in (config or {}).items():
            if name in SOURCED:
                options |= values
            else:
                ops[name] = {"config": dict(values)}
        span = {}
        if sessions:
            span["dagster/asset_partition_range_start"] = sessions[0].isoformat()
            span["dagster/asset_partition_range_end"] = sessions[-1].isoformat()
        result = defs.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(name) for name in assets] or None,
            run_config=_QUIET | {"ops": ops} | (run_config_of(options) if options else {}),
            tags={**span, **(tags or {})},
            raise_on_error=False,
        )
        POSTMAN.finish()
        return result

    def alone(self, sessions: Sequence[dt.date], *assets: str, **options: Any) -> dg.ExecuteInProcessResult:
        """A run as the asset's page in the UI makes it: of no named job."""
        return self.run(sessions, *assets, job="__ASSET_JOB", **options)

    def everything(self, sessions: Sequence[dt.date]) -> None:
        """Syncs every data set for the sessions, and for the weeks and months that they lie in."""
        by_kind = {kind: [name for name, dataset in SOURCED.items() if dataset.partition is kind] for kind in Partition}
        results = [self.alone(sessions, *by_kind[Partition.SNAPSHOT], *by_kind[Partition.SESSION])]
        for kind in (Partition.WEEK, Partition.MONTH):
            results.append(self.alone([], *by_kind[kind], tags=range_tags(kind, sessions[0], sessions[-1])))
        failed = [texts(result) for result in results if not result.success]
        assert not failed, failed

    def fill(self, sessions: Sequence[dt.date], *datasets: str) -> None:
        """Syncs the data sets for the sessions, and for the weeks and months that they lie in, without Dagster: for tests of
        what stands in the database, which ask neither for events nor for checks. In half the time of a run."""
        run = f"filled-{next(_numbers)}"
        with (
            closing(Presence(self.database.connect())) as presence,
            SourcesResource().opened(self.database, self.calendar, presence) as (sources, ranking),
        ):
            ledger = Ledger(self.database, presence)
            ledger.begin(run, "test", {})
            syncer = Syncer(self.database, self.calendar, sources, ranking, ledger, run)
            for dataset in (SOURCED[name] for name in SOURCED if name in datasets):  # what others are judged by comes first
                failed = syncer.sync(dataset, Request(sessions=sessions)).failed
                assert not failed, (dataset.name, next(iter(failed.values())).error)
            ledger.finish(run, None)

    def all_but(self, new: int, of: int) -> None:
        """Has the ledger say that all but the last `new` of the last `of` sessions are synced; only the bars of the running
        month, which its monthly bars are made of, are really there."""
        month = self.calendar.between(LATEST.replace(day=1), self.sessions(new + 1)[0])
        self.fill(month, "suspensions", "daily_kline")
        self.execute(_SYNCED, [name for name, dataset in SOURCED.items() if dataset.dated], list(self.sessions(of)[:-new]))

    def materialized(self, asset: str) -> list[str]:
        """The partitions of the asset's materialization events, in order; each as often as it was told."""
        events = self.instance.fetch_materializations(dg.AssetKey(asset), limit=1000).records
        return [str(event.partition_key) for event in reversed(events)]

    def asked(self, api: str | None = None) -> int:
        """How many calls the Tushare server has counted."""
        return len(self.sandbox.calls(api))

    def inbox(self) -> int:
        """How many messages PushPlus has taken."""
        return len([call for call in self.sandbox.calls("send", server="pushplus") if call["answer"] == "ok"])

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(query, values).fetchall()

    def execute(self, statement: str, *values: object) -> int:
        with self.database.connect() as connection:
            return connection.execute(statement, values).rowcount


class _Events(PlannedAsOne, InMemoryEventLogStorage):
    """In memory, but planned as the product's own event log has it."""


@contextmanager
def in_memory() -> Iterator[dg.DagsterInstance]:
    """Dagster's instance in memory; as the product, it writes no definition of all sessions for each session of a run."""
    with dg.DagsterInstance.ephemeral() as instance:
        instance._event_storage.dispose()
        instance._event_storage = _Events()
        instance._event_storage.register_instance(instance)
        yield instance


@contextmanager
def installed(template: Database, home: Path, exchange: Exchange) -> Iterator[Platform]:
    """A platform with an empty database, a copy of the template, and a sandbox without quota."""
    name = f"platform_{next(_numbers)}"
    server_url = urlsplit(template.url)._replace(path="/postgres").geturl()
    own = Database(urlsplit(template.url)._replace(path=f"/{name}").geturl(), Mode.SANDBOX, home=home)
    limits = home / "rate_limits.toml"
    limits.write_text(UNLIMITED, encoding="utf-8")
    with (
        psycopg.connect(server_url, autocommit=True) as connection,
        running(exchange, quotas={"*": None}) as sandbox,
        in_memory() as instance,
        pytest.MonkeyPatch.context() as patch,
    ):
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template.name} STRATEGY FILE_COPY")
        environment = sandbox.environment() | {
            "TUSHARE_TOKEN": TOKEN,
            "PUSHPLUS_TOKEN": TOKEN,
            "QUANT_DATABASE_URL": own.url,
            "QUANT_RATE_LIMITS": str(limits),
            "QUANT_HOME": str(home),
            "QUANT_NOW": NOW,
            # Tushare alone, and what is derived: what becomes of its failures is what these tests look at.
            **dict.fromkeys(("BAOSTOCK_PRIORITY", "AKSHARE_PRIORITY", "THS_PRIORITY"), "0"),
        }
        for variable, value in environment.items():
            patch.setenv(variable, value)
        yield Platform(own, sandbox, instance, xshg())
        own.close()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        shutil.rmtree(folder_of(Settings(QUANT_HOME=home)), ignore_errors=True)  # of a database that is gone


def observations(result: dg.ExecuteInProcessResult) -> list[dg.AssetObservation]:
    """What the run observed, in order."""
    kind = dg.DagsterEventType.ASSET_OBSERVATION
    return [event.asset_observation_data.asset_observation for event in result.all_events if event.event_type is kind]


def plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """An event's metadata values under their English names."""
    return {name.partition(" ")[0]: each.value for name, each in metadata.items()}


def texts(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Step -> what its failure says to the user."""
    found = {}
    for event in result.all_events:
        if event.is_step_failure:
            told = event.step_failure_data.user_failure_data
            found[str(event.step_key)] = (told and told.description) or event.step_failure_data.error_display_string
    return found


@pytest.fixture(scope="session")
def exchange() -> Exchange:
    return Exchange(codes=60, first_year=2025)


@pytest.fixture(scope="module")
def platform(database: Database, home: Path, exchange: Exchange) -> Iterator[Platform]:
    """One for all tests of a module: each takes a data set or sessions of its own."""
    with installed(database, home, exchange) as shared:
        yield shared
