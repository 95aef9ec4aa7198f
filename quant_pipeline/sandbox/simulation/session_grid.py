"""The grid of sessions and codes of the simulated years: which cells a call asks for, newest session first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.sandbox.simulation import parameters
from quant_pipeline.sandbox.simulation.exchange import Exchange, Year

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class GridPart:
    """Cells of one year, newest session first: the row and the column of each."""

    year: Year
    row: Ints
    column: Ints

    @property
    def code(self) -> Ints:
        """The cells' codes as places in the register."""
        return self.year.events.codes[self.column]


@dataclass(frozen=True)
class GridTable:
    """A table that has a row for some of the cells."""

    ready: dt.time
    """The time of a session's day at which its rows appear."""
    present: Callable[[Year, slice], Mask]
    """The cells of a year's sessions that have a row: sessions x the year's codes."""
    build: Callable[[GridPart], pl.DataFrame]


class SessionGrid:
    """The cells of an exchange, as far as the clock has come."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.ts_code = pl.Series("ts_code", exchange.register.ts_code.tolist(), dtype=pl.String)
        self.dates = pl.Series("trade_date", exchange.sessions.dates.tolist(), dtype=pl.String)
        self._place = {code: place for place, code in enumerate(exchange.register.ts_code)}

    def frame(self, table: GridTable, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        """The rows that the parameters ask for, at least the newest `rows` of them."""
        frames = [table.build(piece) for piece in self._pieces(table, params, rows)]
        if not frames:
            none = np.empty(0, dtype=np.int64)
            return table.build(GridPart(self.exchange.year(self.exchange.first_year), none, none))
        return pl.concat(frames, rechunk=True) if len(frames) > 1 else frames[0]

    def keys(self, piece: GridPart) -> dict[str, pl.Series]:
        """ts_code and trade_date of the cells."""
        return {
            "ts_code": self.ts_code.gather(piece.code),
            "trade_date": self.dates.gather(piece.row + piece.year.ordinals.start),
        }

    def simulated(self, ready: dt.time) -> tuple[int, int]:
        """The ordinals (first, stop) of the simulated sessions of which rows that appear at `ready` are there."""
        sessions = self.exchange.sessions
        return sessions.of_year(self.exchange.first_year).start, sessions.through(clock.now(), ready)

    def places(self, params: Mapping[str, str]) -> Ints | None:
        """The places in the register of the codes asked for; None: all."""
        if not params.get("ts_code"):
            return None
        asked = (self._place.get(code.strip()) for code in params["ts_code"].split(","))
        return np.array(sorted({place for place in asked if place is not None}), dtype=np.int64)

    def _pieces(self, table: GridTable, params: Mapping[str, str], rows: int) -> Iterator[GridPart]:
        sessions, register = self.exchange.sessions, self.exchange.register
        first, stop = parameters.span(params, sessions, *self.simulated(table.ready))
        wanted = self.places(params)
        if wanted is not None:
            # no need to simulate the years in which none of them was listed
            first = max(first, int(register.listed[wanted].min(initial=stop)))
            stop = min(stop, int(register.delisted[wanted].max(initial=first)))
        left = rows
        while stop > first and left > 0:
            year = self.exchange.year(_year_of(sessions.days[stop - 1]))
            begin = year.ordinals.start
            piece = _newest(table, year, slice(max(first, begin) - begin, stop - begin), wanted, left)
            left -= len(piece.row)
            if len(piece.row):
                yield piece
            stop = begin


def _newest(table: GridTable, year: Year, sessions: slice, wanted: Ints | None, left: int) -> GridPart:
    """The cells of a year's sessions: of the newest ones, until `left` are reached."""
    present = table.present(year, sessions)
    columns = None
    if wanted is not None:
        columns = np.flatnonzero(np.isin(year.events.codes, wanted))
        present = present[:, columns]
    newest_first = present[::-1]
    enough = int(np.searchsorted(np.cumsum(newest_first.sum(axis=1)), left)) + 1
    row, column = np.nonzero(newest_first[:enough])
    return GridPart(year, sessions.stop - 1 - row, column if columns is None else columns[column])


def _year_of(day: np.datetime64) -> int:
    return int(day.astype("datetime64[Y]").astype(np.int64)) + 1970
