"""ths_hot: 同花顺's list of the hottest stocks, hour by hour and once in the evening."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.sandbox import naming, parameters
from quant_pipeline.sandbox.boards import limit_prices
from quant_pipeline.sandbox.cells import Cells, Ints
from quant_pipeline.sandbox.streams import Purpose, stream
from quant_pipeline.sandbox.ths_boards import ThsBoards

Floats = npt.NDArray[np.float64]

LIST = "热股"
LENGTH = 100
EVENING = dt.time(22, 30)
_TRADED = (0.02, 0.35, 0.5, 0.5, 0.7, 0.85, 1.0, 1.0)
"""How much of the day is over when each of the lists is made."""
TIMES = (*(dt.time(hour, 30) for hour in range(9, 16)), EVENING)
_JITTER = 0.25
_CONCEPTS = 3
_NOBODY, _NOTHING = np.empty(0, dtype=np.int64), np.empty(0)


class ThsHot:
    """ths_hot. A list tells what was known when it was made: the price so far, never the close."""

    apis = frozenset({"ths_hot"})
    hours = frozenset(TIMES)

    def __init__(self, cells: Cells, boards: ThsBoards) -> None:
        self._cells, self._boards = cells, boards
        self._register = cells.exchange.register

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        """The lists of one session (the latest, when none is named), newest first; unless is_new=N, the last one only."""
        del api, rows  # a session's lists come whole
        sessions = self._cells.exchange.sessions
        first, stop = parameters.span(params, sessions, *self._cells.simulated(TIMES[0]))
        now = clock.now()
        made = [] if stop <= first else self._made(stop - 1, now.replace(tzinfo=None))
        if params.get("is_new") != "N":
            made = made[-1:]
        if params.get("market", LIST) != LIST:
            made = []
        lists = [self._list(stop - 1, place) for place in reversed(made)]
        answer = pl.concat(lists) if lists else self._rows(0, 0, _NOBODY, _NOTHING, _NOTHING, _NOTHING > 0, _NOTHING)
        return parameters.matching(answer, params, "ts_code")

    def _made(self, session: int, now: dt.datetime) -> list[int]:
        """Which of the session's lists are made by now."""
        day = self._cells.exchange.sessions.days[session].astype(object)
        return [place for place, time in enumerate(TIMES) if dt.datetime.combine(day, time) <= now]

    def _list(self, session: int, place: int) -> pl.DataFrame:
        exchange = self._cells.exchange
        day: dt.date = exchange.sessions.days[session].astype(object)
        year = exchange.year(day.year)
        row = session - year.ordinals.start
        column = np.flatnonzero(year.trading[row])
        code = year.events.codes[column]
        done = _TRADED[place]
        pre, opened, close = (
            matrix[row, column].astype(np.float64) for matrix in (year.walk.pre_close, year.bars.open, year.walk.close)
        )
        price = np.rint(opened + (close - opened) * done)
        change = price / pre - 1
        _, up = limit_prices(pre, year.events.regime[row, column], self._register.is_bse[code])
        sealed = price >= up
        money = year.bars.vol[row, column] * done * price
        jitter = stream(exchange.seed, Purpose.THS_HOT, session).standard_normal((len(TIMES), len(self._register)))
        heat: Floats = np.sqrt(money) * (1 + 8 * np.abs(change)) * (1 + sealed) * np.exp(jitter[place, code] * _JITTER)
        hottest = np.argsort(-heat, kind="stable")[:LENGTH]
        return self._rows(session, place, code[hottest], price[hottest], change[hottest], sealed[hottest], heat[hottest])

    def _rows(
        self, session: int, place: int, code: Ints, price: Floats, change: Floats, sealed: npt.NDArray[np.bool_], heat: Floats
    ) -> pl.DataFrame:
        count = len(code)
        day = self._cells.exchange.sessions.days[session].astype(object)
        concepts = self._boards.concepts_of(code, session + 1, _CONCEPTS)
        return pl.DataFrame(
            {
                "trade_date": self._cells.dates.gather([session] * count),
                "data_type": pl.Series([LIST] * count, dtype=pl.String),
                "ts_code": self._cells.ts_code.gather(code),
                "ts_name": naming.at(self._register, session + 1).gather(code),
                "rank": np.arange(1, count + 1),
                "pct_change": np.round(change * 100, 2),
                "current_price": price / 100,
                "concept": pl.Series([orjson.dumps(of_code).decode() for of_code in concepts], dtype=pl.String),
                "rank_reason": pl.Series(["涨停" if up else None for up in sealed.tolist()], dtype=pl.String),
                "hot": np.round(heat, 1),
                "rank_time": pl.Series([f"{dt.datetime.combine(day, TIMES[place])}"] * count, dtype=pl.String),
            }
        )
