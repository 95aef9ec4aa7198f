"""What is private to Dagster, and nothing else: every use of a part that its makers may change without a word.

Dagster is pinned to a minor version in pyproject.toml. When that is raised, this is the file to go through: each use says
what breaks when it changes, and the tests that break with it. dagster.yaml names the classes here, so every Dagster
command, the daemon and each run's process have them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import sqlalchemy as sa
from dagster import DefaultRunLauncher, EventLogEntry
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)
from dagster._core.definitions.repository_definition.valid_definitions import SINGLETON_REPOSITORY_NAME
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorStatus, InstigatorType
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.compute_log_manager import CapturedLogContext
from dagster._core.storage.event_log import EventLogStorage
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.runs import RunStorage
from dagster._core.storage.schedules import ScheduleStorage
from dagster._core.storage.tags import CODE_LOCATION_TAG, HIDDEN_TAG_PREFIX
from dagster._daemon.types import DaemonHeartbeat
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage
from dagster_postgres.utils import create_pg_connection
from dagster_shared.record import replace

from quant_pipeline import settings
from quant_pipeline.home import made
from quant_pipeline.resources.daemon_presence import DaemonPresence
from quant_pipeline.resources.dead_runs import end_dead_runs
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.run_presence import RunPresence

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob
    from dagster_shared.error import SerializableErrorInfo as ErrorInfo

    __all__ = ["AssetJob", "ErrorInfo"]
    # Names for type hints alone: `define_asset_job` returns the one, a failed step's event holds the other. When they move,
    # mypy says so, and nothing else breaks.

ADHOC_JOB: Final = "__ASSET_JOB"
"""Dagster's name for runs from the asset pages and backfills. Changed: such runs would take the one sync slot, and be
refused while another goes on (test_definitions.py)."""

NOT_TO_BE_TOLD_AGAIN: Final = SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
"""The mark on an output for which Dagster writes no materialization of its own (it uses it for observations). Changed: every
session of a backfill would show two materializations (test_dataset_asset.py, test_daily_sync.py)."""


CODE_LOCATION: Final = "quant_pipeline"
"""The code location's name: what `ui` gives it, and workspace.yaml. Changed: no run of a command stands under its job."""
LAUNCHED_BY_TAG: Final = "user"
"""Run tag that Dagster's pages show as who launched the run. Changed: the runs of commands are said to be "Manually launched"
(test_ui.py)."""
HIDDEN: Final = f"{HIDDEN_TAG_PREFIX}quant/"
"""What tags begin with that readers of Dagster's pages need not see. Changed: rows of runs are full of them (test_ui.py)."""
COMMAND_TAG: Final = f"{HIDDEN}command"
"""Run tag: the command that asked for the run."""


def version_tags(version: str, inputs: Mapping[dg.AssetKey, str], seen: int) -> dict[str, str]:
    """The tags of a materialization that say which version its rows have, and what of the assets before it they rest on.

    `inputs`: their versions, of those without partitions; of the others counts what the event log held, up to its record
    `seen`. By itself Dagster writes these tags on the events that it makes at a step's end, and none on those that a step
    logs: to a session it would compare times, and call all sessions out of date with every new listing. Changed names of the
    tags: it does so again (test_status.py).
    """
    rests_on = {get_input_data_version_tag(key): version for key, version in inputs.items()}
    pointers = {get_input_event_pointer_tag(key): str(seen) for key in inputs}
    # Without a code version Dagster takes no notice of the rest.
    own = {DATA_VERSION_TAG: version, DATA_VERSION_IS_USER_PROVIDED_TAG: "true", CODE_VERSION_TAG: "1"}
    return own | rests_on | pointers


def now_in_the_log(instance: dg.DagsterInstance) -> int:
    """The number of the event log's last record. Changed: as `version_tags`."""
    return instance.event_log_storage.get_maximum_record_id() or 0


_TABLES = ("runs", "instance_info", "event_logs", "jobs")
"""By which the storages see that their tables are there."""
_MISSING = "SELECT count(*) FROM unnest(CAST(:tables AS text[])) AS name WHERE to_regclass(name) IS NULL"
_ENDS = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)


class QuantEventLogStorage(PostgresEventLogStorage):
    """PostgresEventLogStorage for runs over thousands of sessions.

    Dagster writes, when a run over a range is planned, a row per partition for each asset check, with the whole partitions
    definition in every one: 5,000 sessions and 7 checks are 35,000 rows of 100 kB. Our checks have no partitions (they look
    at the run's sessions together): one row for each is what they need. Planned materializations are told as one subset.

    Changed names of these two overridden members: Dagster's own behaviour comes back, and long backfills take minutes to
    start (test_cli.py, test_dagster_s_tables_do_not_grow_with_the_range).

    It also sees a run's first and last event in the process that carries the run out, whoever started it: there the run's
    presence begins and ends. Changed `store_event`, or the start stored elsewhere: runs that live would be ended as dead, and
    such as died never (test_dead_runs.py).
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

    @property
    def supports_partition_subset_in_asset_materialization_planned_events(self) -> bool:
        return True

    def _store_asset_check_evaluation_planned(self, event: EventLogEntry, event_id: int | None) -> None:
        told = event.get_dagster_event()
        planned = replace(told.asset_check_planned_data, partitions_subset=None)
        whole = event._replace(dagster_event=told._replace(event_specific_data=planned))
        super()._store_asset_check_evaluation_planned(whole, event_id)


def _without_echo(event: EventLogEntry) -> EventLogEntry:
    """A run that failed since a step did names its steps, whose own events say why: the pages would show the same error, with
    its stack, a second time. Changed: they do so again (test_cli.py)."""
    told = event.dagster_event
    if told is None or not told.is_run_failure or told.job_failure_data.first_step_failure_event is None:
        return event
    return event._replace(dagster_event=told._replace(event_specific_data=told.job_failure_data._replace(error=None)))


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
        database = _database()
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


class QuantRunLauncher(DefaultRunLauncher):
    """The default launcher, with the health check that it lacks: the daemon ends runs whose process has died.

    The check ends the run itself, with the cause in words; what the daemon would write quotes the classes behind it. Changed
    names of the two members, or a daemon that does not look at the run again after the check: dead runs stay STARTED, and
    four of them block the queue, until the next command is run (test_dead_runs.py).
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        if run.run_id in {each.run_id for each in end_dead_runs(self._instance, _database(), [run.run_id])}:
            return CheckRunHealthResult(WorkerStatus.FAILED, "its process has died")
        return CheckRunHealthResult(WorkerStatus.RUNNING)


class QuantArtifacts(LocalArtifactStorage):
    """Where Dagster keeps what it writes to files: under QUANT_HOME, wherever the command was started.

    The same class as by default, whose folder is fixed in the yaml. Changed module or constructor: no Dagster command starts.
    """

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> QuantArtifacts:
        del config_value
        return cls(str(_private_folder()), inst_data)


class QuantComputeLogs(LocalComputeLogManager):
    """What runs print, under QUANT_HOME, readable by their owner only: an error's text may hold more than it should.

    What a command prints is its terminal's: `captures` is off there. (Dagster would turn the process's output to a file, and
    show it through `tail` processes, which Ctrl-C ends before the last line.)

    Changed `capture_logs` or the paths' names: the files would be made by Dagster, and be readable by everybody who can enter
    the folder; that is nobody else, as it is the owner's too (quant_pipeline_tests/resources/test_run_logs.py).
    """

    captures = True

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> QuantComputeLogs:
        del config_value
        return cls(str(_private_folder() / "logs"), inst_data=inst_data)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        if not self.captures:
            yield CapturedLogContext(log_key)
            return
        for extension in ("out", "err", "complete"):
            path = Path(self.get_captured_local_path(log_key, extension))
            for folder in (path.parents[1], path.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if extension != "complete":  # that one is made when the capture ends, and is empty
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        with super().capture_logs(log_key) as captured:
            yield captured


def switched_by_hand(instance: dg.DagsterInstance) -> dict[str, bool]:
    """Schedule -> whether the UI's switch has it on; those that nobody touched are as the code declares them.

    Changed names of the state's parts: `doctor` says so of its schedules, and of nothing else (console/test_doctor.py).
    """
    states = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
    touched = (InstigatorStatus.RUNNING, InstigatorStatus.STOPPED)
    return {state.instigator_name: state.status is InstigatorStatus.RUNNING for state in states if state.status in touched}


def leave_output_alone(instance: dg.DagsterInstance) -> None:
    """What this process prints stays where it goes, also in a run: the process is a command with somebody at its terminal."""
    if isinstance(instance.compute_log_manager, QuantComputeLogs):
        instance.compute_log_manager.captures = False


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


def _private_folder() -> Path:
    """Dagster's folder in QUANT_HOME; its former files, too, can be reached by nobody else."""
    folder = made(settings.load().home / "dagster")
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def _database() -> Database:
    return Database.from_settings(settings.load())
