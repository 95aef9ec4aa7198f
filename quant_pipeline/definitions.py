"""The one Definitions object: everything meets here, nothing is defined here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quant_pipeline.loading import load_when_used, uncollected

load_when_used("polars")  # who computes with it is a run, which is another process; a location declares
with uncollected():
    import dagster as dg

    from quant_pipeline.assets import (
        backtest_grids,
        backtests,
        exports,
        intraday_quotes,
        lake,
        operations,
        overview,
        portfolio,
        reconciliation,
        screens,
        signals,
        sourced,
        ths_account,
        watchlists,
    )
    from quant_pipeline.jobs import JOBS
    from quant_pipeline.resources.notifier import NotifierResource
    from quant_pipeline.resources.options import OPTIONS, SyncOptions
    from quant_pipeline.resources.sources import SourcesResource
    from quant_pipeline.resources.sync import SyncResource
    from quant_pipeline.resources.ths import ThsResource
    from quant_pipeline.resources.warehouse import WarehouseResource
    from quant_pipeline.schedules import SCHEDULES
    from quant_pipeline.sensors.alerts import alerts
    from quant_pipeline.sensors.automation import automation
    from quant_pipeline.sensors.outbox import outbox
    from quant_pipeline.sensors.push_watchlists import push_watchlists
    from quant_pipeline.sensors.run_failure import run_failure
    from quant_pipeline.sensors.run_recovery import run_recovery
    from quant_pipeline.sensors.ths_session import ths_session


def build_defs(resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The platform's definitions; tests may put other resources in the place of the default ones."""
    warehouse, sources = WarehouseResource(), SourcesResource()
    resources = {
        "warehouse": warehouse,
        "sources": sources,
        "sync": SyncResource(warehouse=warehouse, sources=sources),
        OPTIONS: SyncOptions.configure_at_launch(),
        "notifier": NotifierResource(warehouse=warehouse),
        "ths": ThsResource(warehouse=warehouse),
    }
    return dg.Definitions(
        assets=[
            *sourced.ASSETS,
            *screens.SCREENS,
            overview.market_overview,
            intraday_quotes.intraday_quotes,
            signals.signals,
            signals.signal_statistics,
            portfolio.portfolio_risk,
            reconciliation.reconciliation,
            *backtests.BACKTESTS,
            backtests.backtests,
            backtest_grids.parameter_grid,
            backtest_grids.walk_forward,
            lake.lake,
            *exports.EXPORTS,
            watchlists.watchlists,
            watchlists.ths_watchlist,
            *operations.REPORTS,
            ths_account.ths_account,
        ],
        asset_checks=[*sourced.CHECKS, reconciliation.sources_agree, intraday_quotes.ends_as_the_bar],
        jobs=JOBS,
        schedules=SCHEDULES,
        sensors=[automation, push_watchlists, outbox, run_failure, run_recovery, alerts, ths_session],
        resources={**resources, **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


with uncollected():
    defs = build_defs()
