"""The warehouse as a resource: PostgreSQL, embedded or given by QUANT_DATABASE_URL, its schema up to date."""

import logging

import dagster as dg
from pydantic import PrivateAttr

from quant_pipeline import logbook, settings
from quant_pipeline.market import clock
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sync.calendar_acceptance import stored_calendar
from quant_pipeline.warehouse.database import Database

_logger = logging.getLogger(__name__)


class WarehouseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """PostgreSQL with the platform's tables. Where it is comes from the settings, never from run config (it has a password)."""

    _database: Database | None = PrivateAttr(default=None)

    @property
    def database(self) -> Database:
        """The database, with its migrations run; opened at the first use."""
        if self._database is None:
            current = settings.load()
            logbook.keep(current)  # every process of the platform's comes by here
            database = Database.from_settings(current)
            database.upgrade()
            self._database = database
        return self._database

    def calendar(self) -> Calendar:
        """The exchange's calendar: the built-in one, overruled by the synced trade_calendar as far as that can be believed."""
        calendar = stored_calendar(self.database, xshg(), clock.today())
        if calendar.doubted:
            day, why = next(iter(calendar.doubted.items()))
            _logger.warning(
                "%d days of the stored trade_calendar are not believed (%s: %s); sync trade_calendar again",
                len(calendar.doubted), day, why,
            )  # fmt: skip
        return calendar
