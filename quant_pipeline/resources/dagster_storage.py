"""Dagster's own storage in the platform's PostgreSQL: named in dagster.yaml, so that every Dagster command finds it."""

from __future__ import annotations

from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from quant_pipeline import settings
from quant_pipeline.warehouse.database import Database


class QuantStorage(DagsterPostgresStorage):
    """DagsterPostgresStorage at the address that the settings give; the embedded server is started when it is used.

    So `dg dev`, `dg launch`, the daemon and run workers share one database, with nothing to start by hand.
    """

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> QuantStorage:
        del config_value
        database = Database.from_settings(settings.load())
        database.upgrade()
        return cls(postgres_url=database.dagster_url, inst_data=inst_data)
