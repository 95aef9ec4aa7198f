"""All rooms of REST paths, in the order in which they are described."""

from __future__ import annotations

from quant_pipeline.door.rest import accounts, monitoring, prometheus, research, service, signals, stocks, sync, watchlists

ROUTERS = (
    sync.router,
    stocks.router,
    watchlists.router,
    research.router,
    accounts.router,
    signals.router,
    monitoring.router,
    service.router,
    service.open_router,
    prometheus.router,
)
