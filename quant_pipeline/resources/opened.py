"""The platform's database and calendar as every process has them. Without Dagster, for commands that only look."""

from __future__ import annotations

import logging

from quant_pipeline import logbook, settings
from quant_pipeline.market import clock
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.xshg import xshg
from quant_pipeline.settings import Settings
from quant_pipeline.sync.calendar_acceptance import stored_calendar
from quant_pipeline.warehouse.database import Database

_logger = logging.getLogger(__name__)


def database(current: Settings | None = None) -> Database:
    """The database that the settings (default: this process's) name, with its migrations run."""
    current = current or settings.load()
    logbook.keep(current)  # every process of the platform's comes by here
    opened = Database.from_settings(current)
    opened.upgrade()
    return opened


def calendar(database: Database) -> Calendar:
    """The exchange's calendar: the built-in one, overruled by the synced trade_calendar as far as that can be believed."""
    believed = stored_calendar(database, xshg(), clock.today())
    if believed.doubted:
        day, why = next(iter(believed.doubted.items()))
        _logger.warning(
            "%d days of the stored trade_calendar are not believed (%s: %s); sync trade_calendar again",
            len(believed.doubted), day, why,
        )  # fmt: skip
    return believed
