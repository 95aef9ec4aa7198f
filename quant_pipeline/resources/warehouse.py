"""The warehouse as a resource: PostgreSQL, embedded or given by QUANT_DATABASE_URL, its schema up to date."""

import dagster as dg
from pydantic import PrivateAttr

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.resources import opened
from quant_pipeline.warehouse.database import Database


class WarehouseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """PostgreSQL with the platform's tables. Where it is comes from the settings, never from run config (it has a password)."""

    _database: Database | None = PrivateAttr(default=None)

    @property
    def database(self) -> Database:
        """The database, with its migrations run; opened at the first use."""
        if self._database is None:
            self._database = opened.database()
        return self._database

    def calendar(self) -> Calendar:
        """The exchange's calendar, as far as the stored one can be believed."""
        return opened.calendar(self.database)
