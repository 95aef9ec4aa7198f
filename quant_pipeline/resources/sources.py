"""All sources together, in the order of their priorities."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.resources.akshare import AkshareResource
from quant_pipeline.resources.baostock import BaostockResource
from quant_pipeline.resources.derived import DerivedResource
from quant_pipeline.resources.ths import ThsResource
from quant_pipeline.resources.tushare import TushareResource
from quant_pipeline.sources.base import Source
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.ranking import Ranking
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence


class SourcesResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The sources in use. TUSHARE_PRIORITY, BAOSTOCK_PRIORITY … order them (0: off); the table source_state overrules them."""

    tushare: dg.ResourceDependency[TushareResource]
    baostock: dg.ResourceDependency[BaostockResource]
    akshare: dg.ResourceDependency[AkshareResource]
    ths: dg.ResourceDependency[ThsResource]
    derived: dg.ResourceDependency[DerivedResource]

    @contextmanager
    def opened(self, database: Database, calendar: Calendar, presence: Presence) -> Iterator[tuple[list[Source], Ranking]]:
        """The sources and their ranking, for as long as the block lasts: their clients end with it."""
        limiter = Limiter(database.pool, presence)
        offered = (
            self.tushare.source(limiter),
            self.baostock.source(limiter),
            self.akshare.source(database, limiter),
            self.ths.source(limiter),
            self.derived.source(database, calendar, limiter),
        )
        priorities = settings.load().priorities
        sources: list[Source] = [source for source in offered if source is not None]
        sources.sort(key=lambda source: priorities[source.name] or len(priorities) * 100)  # 0 is off: behind all others
        try:
            yield sources, Ranking(database.pool, priorities)
        finally:
            for source in sources:
                source.close()


def one_by_one() -> dict[str, dg.ConfigurableResource]:  # type: ignore[type-arg]
    """Each source's resource by its name, with its default configuration."""
    return {
        "tushare": TushareResource(),
        "baostock": BaostockResource(),
        "akshare": AkshareResource(),
        "ths": ThsResource(),
        "derived": DerivedResource(),
    }
