"""All rooms of REST paths, in the order in which they are described."""

from __future__ import annotations

from quant_pipeline.door.rest import (
    accounts,
    dataflow,
    monitoring,
    prometheus,
    realtime,
    research,
    service,
    services,
    signals,
    stocks,
    sync,
    system,
    tasks,
    watchlists,
)

ROUTERS = (
    sync.router,
    stocks.router,
    realtime.router,
    watchlists.router,
    research.router,
    accounts.router,
    signals.router,
    monitoring.router,
    tasks.router,
    system.router,
    services.router,
    dataflow.router,
    service.router,
    service.open_router,
    prometheus.router,
)
