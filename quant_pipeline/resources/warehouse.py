"""The warehouse as a resource: PostgreSQL, embedded or given by QUANT_DATABASE_URL, its schema up to date."""

import dagster as dg
from pydantic import PrivateAttr

from quant_pipeline import settings
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.xshg import xshg
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql


class WarehouseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """PostgreSQL with the platform's tables. Where it is comes from the settings, never from run config (it has a password)."""

    _database: Database | None = PrivateAttr(default=None)

    @property
    def database(self) -> Database:
        """The database, with its migrations run; opened at the first use."""
        if self._database is None:
            database = Database.from_settings(settings.load())
            database.upgrade()
            self._database = database
        return self._database

    def calendar(self) -> Calendar:
        """The exchange's calendar: the built-in one, overruled by the synced trade_calendar."""
        published = read_sql(self.database, "SELECT cal_date, is_open = 1 AS open FROM trade_calendar WHERE exchange = 'SSE'")
        return xshg().overruled_by(dict(published.iter_rows()))
