"""The poller of live quotes, as the settings have it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import polars as pl

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.datasets import STOCK_LIST
from quant_pipeline.quotes import kept, poller
from quant_pipeline.quotes.settings import QuotesSettings
from quant_pipeline.resources import upstream
from quant_pipeline.settings import Settings
from quant_pipeline.settings import read as read_settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read


def listed(database: Database) -> list[str]:
    """The codes of the shares that are listed now."""
    stocks = read(database, STOCK_LIST, columns=["ts_code", "delist_date"])
    return stocks.filter(pl.col("delist_date").is_null())["ts_code"].to_list()


def poll(settings: Settings, database: Callable[[], Database], calendar: Callable[[], Calendar], stop: threading.Event) -> None:
    """Polls until `stop` is set, where the settings want it; for a thread of its own. `database` is opened here.

    SettingsError, DatabaseError, ServerError where it cannot begin.
    """
    own = read_settings(QuotesSettings)
    if own.wanted(settings):
        opened = database()
        hosts = partial(upstream.quotes, settings)
        keep = partial(kept.keep, opened) if own.stored else None
        poller.run(stop, opened, hosts, calendar, partial(listed, opened), period=own.period, keep=keep)
