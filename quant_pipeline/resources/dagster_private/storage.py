"""Dagster's storage: its runs, events and schedules in the platform's own PostgreSQL. Named in dagster.yaml."""

from __future__ import annotations

from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster import EventLogEntry
from dagster._core.definitions.repository_definition.valid_definitions import SINGLETON_REPOSITORY_NAME
from dagster._core.events import JobFailureData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log import EventLogStorage, SqlEventLogStorage
from dagster._core.storage.runs import RunStorage
from dagster._core.storage.schedules import ScheduleStorage
from dagster._core.storage.tags import CODE_LOCATION_TAG
from dagster._daemon.types import DaemonHeartbeat
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage
from dagster_postgres.utils import create_pg_connection
from dagster_shared.record import replace

from quant_pipeline import settings
from quant_pipeline.resources.daemon_presence import DaemonPresence
from quant_pipeline.resources.dagster_private.names import CODE_LOCATION, COMMAND_TAG
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.run_presence import RunPresence

_TABLES = ("runs", "instance_info", "event_logs", "jobs")
"""By which the storages see that their tables are there."""
_MISSING = "SELECT count(*) FROM unnest(CAST(:tables AS text[])) AS name WHERE to_regclass(name) IS NULL"
_ENDS = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)


class PlannedAsOne(SqlEventLogStorage):
    """An event log for runs over thousands of sessions.

    Dagster writes, when a run over a range is planned, an event for each asset check and a row for each of its partitions, with
    the whole partitions definition in every one: 5,000 sessions and 7 checks are 35,000 rows of 100 kB. Our checks have no
    partitions (they look at the run's sessions together): one event and one row for each are what they need, without any
    definition. Planned materializations are told as one subset.

    Changed names of the property, or of the planned event's `partitions_subset`: Dagster's own behaviour comes back, and long
    backfills take minutes to start (test_cli.py, test_dagster_s_tables_do_not_grow_with_the_range).
    """

    @property
    def supports_partition_subset_in_asset_materialization_planned_events(self) -> bool:
        return True

    def store_event(self, event: EventLogEntry) -> None:
        if event.dagster_event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
            told = event.get_dagster_event()
            planned = replace(told.asset_check_planned_data, partitions_subset=None)
            event = event._replace(dagster_event=told._replace(event_specific_data=planned))
        super().store_event(event)


class QuantEventLogStorage(PlannedAsOne, PostgresEventLogStorage):
    """PostgresEventLogStorage that sees a run's first and last event in the process that carries the run out.

    Whoever started the run: there its presence begins and ends. Changed `store_event`, or the start stored elsewhere: runs
    that live would be ended as dead, and such as died never (test_dead_runs.py).
    """

    def __init__(self, database: Database, engine: sa.Engine, *, new: bool) -> None:
        super().__init__(database.dagster_url, should_autocreate_tables=new)
        self._engine = engine
        self._presence = RunPresence(database)

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()

    def store_event(self, event: EventLogEntry) -> None:
        kind = event.dagster_event_type
        if kind is dg.DagsterEventType.RUN_START:
            self._presence.begin(event.run_id)
        super().store_event(_without_echo(event))
        if kind in _ENDS:
            self._presence.end(event.run_id)


def _without_echo(event: EventLogEntry) -> EventLogEntry:
    """A run that failed since a step did names its steps, whose own events say why: the pages would show the same error, with
    its stack, a second time. Changed: they do so again (test_cli.py)."""
    told = event.dagster_event
    if told is None or not told.is_run_failure:
        return event
    why = told.event_specific_data  # None of a run that the daemon, or the next command, ended
    if not isinstance(why, JobFailureData) or why.first_step_failure_event is None:
        return event
    return event._replace(dagster_event=told._replace(event_specific_data=why._replace(error=None)))


class QuantRunStorage(PostgresRunStorage):
    """PostgresRunStorage that sees a daemon's heartbeats in the daemon's own process: there its presence begins.

    Changed `add_daemon_heartbeat`: `ui` would start a second daemon beside one that runs (test_ui_place.py).

    And it gives a command's runs to their job, as those of the UI are: `execute_in_process` knows of no code location, so they
    would stand in the list of runs alone, not on the timeline, nor on the job's page. Runs of other code (a notebook's
    `materialize`) have no command's tag, and stay as they are. Changed `add_run` or parts of an origin: a command's runs are
    missing there (test_cli.py, test_a_command_s_runs_belong_to_their_job).
    """

    def __init__(self, database: Database, engine: sa.Engine, *, new: bool) -> None:
        super().__init__(database.dagster_url, should_autocreate_tables=new)
        self._engine = engine
        self._daemon = DaemonPresence(database)

    def add_daemon_heartbeat(self, daemon_heartbeat: DaemonHeartbeat) -> None:
        self._daemon.beat()
        super().add_daemon_heartbeat(daemon_heartbeat)

    def add_run(self, dagster_run: dg.DagsterRun) -> dg.DagsterRun:
        if dagster_run.remote_job_origin is None and COMMAND_TAG in dagster_run.tags:
            repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(CODE_LOCATION), SINGLETON_REPOSITORY_NAME)
            dagster_run = dagster_run.with_job_origin(repository.get_job_origin(dagster_run.job_name))
            dagster_run = dagster_run.with_tags({**dagster_run.tags, CODE_LOCATION_TAG: CODE_LOCATION})
        return super().add_run(dagster_run)


class QuantStorage(DagsterStorage, ConfigurableClass):
    """Dagster's PostgreSQL storage at the address that the settings give; the embedded server is started when it is used.

    So `dg dev`, `dg launch`, the daemon and run workers share one database, with nothing to start by hand. It is built from
    dagster-postgres' three public storages, as their own DagsterPostgresStorage is; that one wants the URL in the yaml, and
    leaves no room for an event log of ours. Changed base class: no Dagster command starts (every test of test_cli.py).

    The three share one engine, which keeps its connections. Their own ones make a new connection for every event, and with it a
    new server process: two thirds of an event's time. Changed `_engine`: that is back, and nothing else breaks.
    """

    def __init__(self, database: Database, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        engine = _engine(database)
        new = _is_new(engine)
        self._runs = QuantRunStorage(database, engine, new=new)
        self._events = QuantEventLogStorage(database, engine, new=new)
        self._schedules = PostgresScheduleStorage(database.dagster_url, should_autocreate_tables=new)
        self._schedules._engine = engine
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> QuantStorage:
        del config_value
        database = Database.from_settings(settings.load())
        database.upgrade()
        return cls(database, inst_data)

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @property
    def run_storage(self) -> RunStorage:
        return self._runs

    @property
    def event_log_storage(self) -> EventLogStorage:
        return self._events

    @property
    def schedule_storage(self) -> ScheduleStorage:
        return self._schedules


def _engine(database: Database) -> sa.Engine:
    """As dagster-postgres makes it, but for the pool; a connection that the server has dropped is noticed before its use."""
    return sa.create_engine(
        database.dagster_url, isolation_level="AUTOCOMMIT", pool_size=2, max_overflow=-1, pool_pre_ping=True
    )


def _is_new(engine: sa.Engine) -> bool:
    """Whether Dagster's tables are still to be made: each storage would look by itself, over a connection of its own."""
    with create_pg_connection(engine) as connection:
        missing = connection.execute(sa.text(_MISSING), {"tables": list(_TABLES)}).scalar_one()
    return bool(missing)
