"""ths_hot: 同花顺's list of the hottest stocks, hour by hour and once in the evening."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.sandbox.simulation import name_periods, parameters
from quant_pipeline.sandbox.simulation.listing_boards import limit_prices
from quant_pipeline.sandbox.simulation.random_streams import Purpose, stream
from quant_pipeline.sandbox.simulation.session_grid import Ints, Mask, SessionGrid
from quant_pipeline.sandbox.simulation.ths_boards import ThsBoards

Floats = npt.NDArray[np.float64]

LIST = "热股"
LENGTH = 100
EVENING = dt.time(22, 30)
_TRADED = (0.02, 0.35, 0.5, 0.5, 0.7, 0.85, 1.0, 1.0)
"""How much of the day is over when each of the lists is made."""
TIMES = (*(dt.time(hour, 30) for hour in range(9, 16)), EVENING)
_JITTER = 0.25
_CONCEPTS = 3


@dataclass(frozen=True)
class _Hot:
    """Entries of lists, one after the other."""

    place: Ints
    """Of the list, in TIMES."""
    rank: Ints
    code: Ints
    price: Floats
    """分."""
    change: Floats
    sealed: Mask
    """Whether the price stands at the upper limit."""
    heat: Floats


_NONE, _NOTHING = np.empty(0, dtype=np.int64), np.empty(0)
_NOBODY = _Hot(_NONE, _NONE, _NONE, _NOTHING, _NOTHING, np.empty(0, dtype=bool), _NOTHING)


class ThsHot:
    """ths_hot. A list tells what was known when it was made: the price so far, never the close."""

    apis = frozenset({"ths_hot"})
    hours = frozenset(TIMES)

    def __init__(self, grid: SessionGrid, boards: ThsBoards) -> None:
        self._grid, self._boards = grid, boards
        self._register = grid.exchange.register

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        """The lists of one session (the latest, when none is named), newest first; unless is_new=N, the last one only."""
        del api, rows  # a session's lists come whole
        sessions = self._grid.exchange.sessions
        first, stop = parameters.span(params, sessions, *self._grid.simulated(TIMES[0]))
        made = self._made(stop - 1) if stop > first and params.get("market", LIST) == LIST else []
        if params.get("is_new") != "N":
            made = made[-1:]
        answer = self._rows(stop - 1, self._lists(stop - 1, made[::-1]) if made else _NOBODY)
        return parameters.matching(answer, params, "ts_code")

    def _made(self, session: int) -> list[int]:
        """Which of the session's lists are made by now: places in TIMES."""
        day, now = self._day(session), clock.now().replace(tzinfo=None)
        return [place for place, time in enumerate(TIMES) if dt.datetime.combine(day, time) <= now]

    def _lists(self, session: int, places: Sequence[int]) -> _Hot:
        """Who is in the lists made at these places of TIMES, the hottest of each first."""
        exchange = self._grid.exchange
        year = exchange.year(self._day(session).year)
        row = session - year.ordinals.start
        column = np.flatnonzero(year.trading[row])
        code = year.events.codes[column]
        pre, opened, close, vol = (
            matrix[row, column].astype(np.float64)
            for matrix in (year.walk.pre_close, year.bars.open, year.walk.close, year.bars.vol)
        )
        _, up = limit_prices(pre, year.events.regime[row, column], self._register.is_bse[code])
        jitter = stream(exchange.seed, Purpose.THS_HOT, session).standard_normal((len(TIMES), len(self._register)))
        lists = []
        for place in places:
            price = np.rint(opened + (close - opened) * _TRADED[place])
            change = price / pre - 1
            noise = np.exp(jitter[place, code] * _JITTER)
            heat = np.sqrt(vol * _TRADED[place] * price) * (1 + 8 * np.abs(change)) * (1 + (price >= up)) * noise
            hottest = np.argsort(-heat, kind="stable")[:LENGTH]
            at = (np.full(len(hottest), place), np.arange(1, len(hottest) + 1))
            lists.append((*at, *(each[hottest] for each in (code, price, change, price >= up, heat))))
        return _Hot(*(np.concatenate(column) for column in zip(*lists, strict=True)))

    def _rows(self, session: int, hot: _Hot) -> pl.DataFrame:
        count = len(hot.code)
        times = [f"{dt.datetime.combine(self._day(session), time)}" for time in TIMES]
        concepts = self._boards.concepts_of(hot.code, session + 1, _CONCEPTS)
        return pl.DataFrame(
            {
                "trade_date": self._grid.dates.gather(np.full(count, session)),
                "data_type": pl.Series([LIST] * count, dtype=pl.String),
                "ts_code": self._grid.ts_code.gather(hot.code),
                "ts_name": name_periods.at(self._register, session + 1).gather(hot.code),
                "rank": hot.rank,
                "pct_change": np.round(hot.change * 100, 2),
                "current_price": hot.price / 100,
                "concept": pl.Series([orjson.dumps(of_code).decode() for of_code in concepts], dtype=pl.String),
                "rank_reason": pl.Series(["涨停" if sealed else None for sealed in hot.sealed.tolist()], dtype=pl.String),
                "hot": np.round(hot.heat, 1),
                "rank_time": pl.Series(times, dtype=pl.String).gather(hot.place),
            }
        )

    def _day(self, session: int) -> dt.date:
        day: dt.date = self._grid.exchange.sessions.days[session].astype(object)
        return day
