"""The warehouse as a resource: PostgreSQL, embedded or given by QUANT_DATABASE_URL, its schema up to date."""

import datetime as dt
from collections.abc import Sequence
from contextlib import AbstractContextManager

import dagster as dg
from pydantic import PrivateAttr

from quant_pipeline import settings
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.resources import opened
from quant_pipeline.strategies.panel import Sight
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import Snapshot, folder_of, snapshot
from quant_pipeline.warehouse.screening import Market, read_market


class WarehouseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """PostgreSQL with the platform's tables. Where it is comes from the settings, never from run config (it has a password)."""

    _database: Database | None = PrivateAttr(default=None)
    _market: Market | None = PrivateAttr(default=None)

    @property
    def database(self) -> Database:
        """The database, with its migrations run; opened at the first use."""
        if self._database is None:
            self._database = opened.database()
        return self._database

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """The rows of one moment, from the lake where it is current."""
        return snapshot(self.database, folder_of(settings.load()))

    def market(self, stored: Snapshot, calendar: Calendar, sight: Sight, sessions: Sequence[dt.date]) -> Market:
        """What screens look at; the screens of one run that ask for the same sessions share one read."""
        if self._market is None or not self._market.serves(stored, sight, sessions):
            self._market = None  # two of them need not be in memory
            self._market = read_market(stored, calendar, sight, sessions)
        return self._market

    def calendar(self) -> Calendar:
        """The exchange's calendar, as far as the stored one can be believed."""
        return opened.calendar(self.database)
