"""The simulated exchange as the Tushare APIs give it: columns, units, dates and order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Protocol

import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.sandbox.simulation.bonds import Bonds
from quant_pipeline.sandbox.simulation.dividends import Dividends
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.index_members import IndexMembers
from quant_pipeline.sandbox.simulation.indexes_and_funds import Funds, Indexes
from quant_pipeline.sandbox.simulation.intraday import Intraday
from quant_pipeline.sandbox.simulation.session_grid import SessionGrid
from quant_pipeline.sandbox.simulation.stock_days import StockDays
from quant_pipeline.sandbox.simulation.stock_lists import StockLists
from quant_pipeline.sandbox.simulation.ths_boards import ThsBoards
from quant_pipeline.sandbox.simulation.ths_hot import ThsHot
from quant_pipeline.sandbox.simulation.weeks_and_months import Periods


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
    """A `Market` (interface.py) over an Exchange. It never gives a session that the clock has not reached."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        grid = SessionGrid(exchange)
        days, boards = StockDays(grid), ThsBoards(grid)
        indexes, funds = Indexes(exchange), Funds(exchange)
        parts: tuple[Part, ...] = (
            StockLists(grid),
            days,
            Periods(grid, days),
            Dividends(grid),
            IndexMembers(grid),
            boards,
            ThsHot(grid, boards),
            indexes,
            funds,
            Bonds(exchange),
            Intraday(grid, days, indexes, funds),
        )
        self._parts = {api: part for part in parts for api in part.apis}
        self._hours = frozenset(hour for part in parts for hour in part.hours)

    def edition(self) -> str:
        now = clock.now()
        return f"{now.date()} {sum(now.time() >= hour for hour in self._hours)}"

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        return self._parts[api].frame(api, params, rows)
