"""index_weight: the largest companies of the simulated exchange, twice a year anew, with their weights at each month's end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.sandbox.simulation import parameters
from quant_pipeline.sandbox.simulation.exchange import Exchange, Year
from quant_pipeline.sandbox.simulation.interface import ParameterError
from quant_pipeline.sandbox.simulation.listing_boards import BLOCKS
from quant_pipeline.sandbox.simulation.securities import PRESENT_YEAR
from quant_pipeline.sandbox.simulation.session_grid import Ints, SessionGrid

Floats = npt.NDArray[np.float64]

_MARKET = 5_000
"""From so many codes alive in PRESENT_YEAR on the indexes have their full numbers of members: a smaller market has fewer."""
_FEWEST = 5
_RANKS = {
    **dict.fromkeys(("000300.SH", "399300.SZ"), (0, 300)),
    **dict.fromkeys(("000905.SH", "399905.SZ"), (300, 800)),
    "000852.SH": (800, 1_800),
    "000016.SH": (0, 50),
}
"""Index -> the places that its members have by market value; of 000016.SH in Shanghai alone."""
_SINCE = {"000300.SH": "2005-04-08", "000905.SH": "2007-01-15", "000852.SH": "2014-10-17", "000016.SH": "2004-01-02"}
_SAME = {"399300.SZ": "000300.SH", "399905.SZ": "000905.SH"}
_LOOKED_AT_BEFORE = 30
"""Sessions before a review takes effect, whose values it goes by."""
_OLD_ENOUGH = 60


class IndexMembers:
    """index_weight: a snapshot at each month's last session, which appears on the day after."""

    apis = frozenset({"index_weight"})
    hours: frozenset[dt.time] = frozenset()

    def __init__(self, grid: SessionGrid) -> None:
        self._grid = grid
        self._exchange: Exchange = grid.exchange
        months = grid.exchange.sessions.days.astype("datetime64[M]").astype(np.int64)
        register, present = grid.exchange.register, grid.exchange.sessions.of_year(PRESENT_YEAR).stop
        alive = int(((register.listed < present) & (register.delisted >= present)).sum())
        self._scale = min(1.0, alive / _MARKET)
        self._month_ends = np.append(np.flatnonzero(np.diff(months)), len(months) - 1)

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        del api
        index = params.get("index_code", "")
        if not index:
            raise ParameterError("参数校验失败，index_code必填")
        sessions = self._exchange.sessions
        first = sessions.of_year(self._exchange.first_year).start
        # the day after: a session counts once its day is over
        stop = sessions.ordinal(clock.today())
        first, stop = parameters.span(params, sessions, first, stop)
        if index not in _RANKS:
            return pl.DataFrame(schema=_COLUMNS)
        first = max(first, sessions.ordinal(dt.date.fromisoformat(_SINCE[_SAME.get(index, index)])))
        ends = self._month_ends[(self._month_ends >= first) & (self._month_ends < stop)]
        frames: list[pl.DataFrame] = []
        for end in ends[::-1].tolist():
            frames.append(self._snapshot(index, end))
            if sum(map(len, frames)) >= rows:
                break
        return pl.concat(frames) if frames else pl.DataFrame(schema=_COLUMNS)

    def _snapshot(self, index: str, ordinal: int) -> pl.DataFrame:
        code = self._members(index, self._review(ordinal))
        year = self._year(ordinal)
        value = self._values(year, ordinal)[code] * self._exchange.register.free_share[code]
        code, value = code[value > 0], value[value > 0]
        order = np.argsort(-value, kind="stable")
        weight = np.round(value / value.sum() * 100, 4)
        return pl.DataFrame(
            {
                "index_code": pl.Series([index] * len(code), dtype=pl.String),
                "con_code": self._grid.ts_code.gather(code[order]),
                "trade_date": pl.Series([self._exchange.sessions.dates[ordinal]] * len(code), dtype=pl.String),
                "weight": weight[order],
            }
        )

    def _members(self, index: str, review: int) -> Ints:
        """Places in the register of the members that a review took, the largest first."""
        register = self._exchange.register
        year = self._year(review)
        old = register.listed <= max(review - _OLD_ENOUGH, year.ordinals.start)
        value = np.where(old & ~register.is_bse, self._values(year, review), 0.0)
        if index == "000016.SH":
            value = np.where(np.array([block.exchange == "SSE" for block in BLOCKS])[register.block], value, 0.0)
        start, end = (round(rank * self._scale) for rank in _RANKS[index])
        ranked = np.argsort(-value, kind="stable")[start : max(end, start + _FEWEST)]
        return ranked[value[ranked] > 0]

    def _review(self, ordinal: int) -> int:
        """The session whose values the members of that session go by: some weeks before the last review took effect."""
        sessions = self._exchange.sessions
        day: dt.date = sessions.days[ordinal].astype(object)
        effective = [_after_second_friday(year, month) for year in (day.year - 1, day.year) for month in (6, 12)]
        last = sessions.ordinal(max(each for each in effective if each <= day))
        return max(last - _LOOKED_AT_BEFORE, sessions.of_year(self._exchange.first_year).start)

    def _values(self, year: Year, ordinal: int) -> Floats:
        """The market value of every code of the register in that session; 0 of one that is not listed."""
        row = ordinal - year.ordinals.start
        codes, walk = year.events.codes, year.walk
        shares = np.where(row >= walk.ex_session, walk.after.shares[codes], walk.before.shares[codes])
        value = np.zeros(len(self._exchange.register))
        value[codes] = np.where(year.events.listed[row], walk.close[row] * shares, 0.0)
        return value

    def _year(self, ordinal: int) -> Year:
        day: dt.date = self._exchange.sessions.days[ordinal].astype(object)
        return self._exchange.year(day.year)


_COLUMNS = {"index_code": pl.String, "con_code": pl.String, "trade_date": pl.String, "weight": pl.Float64}


def _after_second_friday(year: int, month: int) -> dt.date:
    """The Monday after the second Friday: since then a review's members are in the index."""
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=(4 - first.weekday()) % 7 + 7 + 3)
