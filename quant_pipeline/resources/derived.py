"""The warehouse's own daily bars as a source."""

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.sources.derived import DerivedSource
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import load_policies
from quant_pipeline.warehouse.database import Database


class DerivedResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Weekly and monthly bars, and factors, made from the daily bars that are stored."""

    def source(self, database: Database, calendar: Calendar, limiter: Limiter) -> DerivedSource:
        """The source; it asks nobody but the database."""
        return DerivedSource(database, calendar, limiter, load_policies(settings.load().rate_limits))
