"""The simulated exchange as the Tushare APIs give it: columns, units, dates and order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Protocol

import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.sandbox.bonds import Bonds
from quant_pipeline.sandbox.cells import Cells
from quant_pipeline.sandbox.exchange import Exchange
from quant_pipeline.sandbox.periods import Periods
from quant_pipeline.sandbox.quoted import Funds, Indexes
from quant_pipeline.sandbox.stock_days import StockDays
from quant_pipeline.sandbox.stock_lists import StockLists
from quant_pipeline.sandbox.ths_boards import ThsBoards
from quant_pipeline.sandbox.ths_hot import ThsHot


class Part(Protocol):
    """Some of the APIs."""

    @property
    def apis(self) -> frozenset[str]:
        """The APIs' names."""
        ...

    @property
    def hours(self) -> frozenset[dt.time]:
        """The times of day at which answers change (they change with the day, too)."""
        ...

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        """As `Market.frame`."""
        ...


class SimulatedMarket:
    """A `Market` (tushare_apis.py) over an Exchange. It never gives a session that the clock has not reached."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        cells = Cells(exchange)
        days, boards = StockDays(cells), ThsBoards(cells)
        parts: tuple[Part, ...] = (
            StockLists(cells),
            days,
            Periods(cells, days),
            boards,
            ThsHot(cells, boards),
            Indexes(exchange),
            Funds(exchange),
            Bonds(exchange),
        )
        self._parts = {api: part for part in parts for api in part.apis}
        self._hours = frozenset(hour for part in parts for hour in part.hours)

    def edition(self) -> str:
        now = clock.now()
        return f"{now.date()} {sum(now.time() >= hour for hour in self._hours)}"

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        return self._parts[api].frame(api, params, rows)
