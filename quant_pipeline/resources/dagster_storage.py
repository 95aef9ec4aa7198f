"""Dagster's own storage in the platform's PostgreSQL: named in dagster.yaml, so that every Dagster command finds it."""

from __future__ import annotations

from typing import Any

from dagster import EventLogEntry
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log import EventLogStorage
from dagster._core.storage.runs import RunStorage
from dagster._core.storage.schedules import ScheduleStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage
from dagster_shared.record import replace

from quant_pipeline import settings
from quant_pipeline.warehouse.database import Database


class QuantEventLogStorage(PostgresEventLogStorage):
    """PostgresEventLogStorage for runs over thousands of sessions.

    Dagster writes, when a run over a range is planned, a row per partition for each asset check, with the whole partitions
    definition in every one: 5,000 sessions and 7 checks are 35,000 rows of 100 kB. Our checks have no partitions (they look
    at the run's sessions together): one row for each is what they need. Planned materializations are told as one subset.
    """

    @property
    def supports_partition_subset_in_asset_materialization_planned_events(self) -> bool:
        return True

    def _store_asset_check_evaluation_planned(self, event: EventLogEntry, event_id: int | None) -> None:
        told = event.get_dagster_event()
        planned = replace(told.asset_check_planned_data, partitions_subset=None)
        whole = event._replace(dagster_event=told._replace(event_specific_data=planned))
        super()._store_asset_check_evaluation_planned(whole, event_id)


class QuantStorage(DagsterStorage, ConfigurableClass):
    """Dagster's PostgreSQL storage at the address that the settings give; the embedded server is started when it is used.

    So `dg dev`, `dg launch`, the daemon and run workers share one database, with nothing to start by hand.
    """

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self._runs = PostgresRunStorage(postgres_url, should_autocreate_tables=True)
        self._events = QuantEventLogStorage(postgres_url, should_autocreate_tables=True)
        self._schedules = PostgresScheduleStorage(postgres_url, should_autocreate_tables=True)
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> QuantStorage:
        del config_value
        database = Database.from_settings(settings.load())
        database.upgrade()
        return cls(database.dagster_url, inst_data)

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
