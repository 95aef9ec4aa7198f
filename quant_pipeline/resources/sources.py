"""All sources together, as the registry has them, in the order of their priorities."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from pydantic import Field

from quant_pipeline import settings
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.resources import upstream
from quant_pipeline.sources import registry
from quant_pipeline.sources.base import Source
from quant_pipeline.sources.context import Context
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import Policies
from quant_pipeline.sources.ranking import Ranking
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

_logger = logging.getLogger(__name__)


class SourcesResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The sources in use. TUSHARE_PRIORITY, BAOSTOCK_PRIORITY … order them (0: off); the table source_state overrules them.

    Tokens and addresses come from the settings, never from run config.
    """

    patience: float = Field(
        default=120.0, ge=0, description="Longest wait (seconds) for a place under a quota. 配额用尽时最多等待（秒）"
    )

    @contextmanager
    def opened(
        self, database: Database, calendar: Calendar, presence: Presence, *, policies: Policies | None = None
    ) -> Iterator[tuple[list[Source], Ranking]]:
        """The sources and their ranking, for as long as the block lasts: their clients end with it.

        `policies`: instead of the pace that the settings give.
        """
        current, priorities = settings.load(), registry.priorities()
        limiter = Limiter(database.pool, presence)
        paces = registry.policies(current.rate_limits) if policies is None else policies
        context = Context(database, calendar, limiter, paces, self.patience)
        offered = (_built(kind, current, context) for kind in registry.registered().sources.values())
        sources = [source for source in offered if source is not None]
        sources.sort(key=lambda source: priorities[source.name] or len(priorities) * 100)  # 0 is off: behind all others
        try:
            yield sources, Ranking(database.pool, priorities)
        finally:
            for source in sources:
                source.close()


def _built(kind: type[Source], current: settings.Settings, context: Context) -> Source | None:
    """The source; None where it is not set up, and where a plug-in cannot be built: it must not stop the others."""
    needed = upstream.settings_of(kind, current)
    if needed is None:
        return None
    try:
        source = kind.build(needed, context)
    except Exception as error:
        if kind in registry.BUILT_IN:
            raise
        _logger.warning("The source %s is left out: %s: %s", kind.name, type(error).__name__, error)
        return None
    if source is not None:
        source.follow(needed, lambda: upstream.settings_now(kind, current))
    return source
