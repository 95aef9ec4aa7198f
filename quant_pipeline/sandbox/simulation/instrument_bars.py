"""The bars of instruments that follow the market, session by session, years on end: indexes and funds.

Their returns are the market's and their industry's own (`walk.common_returns`), and some of their own; so they hang together
with the stocks, and no stock has to be simulated for them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quant_pipeline.sandbox.simulation.random_streams import Purpose, stream
from quant_pipeline.sandbox.simulation.sessions import Sessions
from quant_pipeline.sandbox.simulation.walk import common_returns

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NO_INDUSTRY = -1

_CALM = 0.35
"""How much of a session's range lies beyond its open and close."""
_YEARS_IN_MEMORY = 6
_SPLIT_FROM, _MERGED_UNDER = 1.5, 0.3
"""What may be split, one into two, and what is merged, two into one: 元."""


@dataclass(frozen=True)
class InstrumentTraits:
    """What the instruments of a group have in common: how prices are rounded, how far a session may go."""

    purpose: Purpose
    digits: int
    limit: float
    turnover: float
    """Usual volume of a session, in 手."""
    splits: float = 0.0
    """Chance of a split (one becomes two) in a session; what splits is merged again when it became too cheap."""


@dataclass(frozen=True)
class InstrumentYear:
    """A year of bars: matrices sessions x instruments. Prices are rounded; `factor` is the adjustment factor."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    pre_close: Floats
    vol: Floats
    factor: Floats
    """Cumulative: doubles with a split, halves with a merger."""


class InstrumentBars:
    """The bars of `len(beta)` instruments from the first simulated year on. `base`: their prices at its beginning;
    `industry`: whose returns they follow beside the market's, as a place in `names.INDUSTRIES` or NO_INDUSTRY."""

    def __init__(
        self,
        traits: InstrumentTraits,
        seed: int,
        sessions: Sessions,
        first_year: int,
        base: Floats,
        beta: Floats,
        own: Floats,
        industry: Ints,
    ) -> None:
        self._traits, self._seed, self._sessions, self._first_year = traits, seed, sessions, first_year
        self._base, self._beta, self._own, self._industry = base, beta, own, industry
        self._ends: dict[int, tuple[Floats, Floats]] = {}
        self._years: dict[int, InstrumentYear] = {}

    def year(self, year: int) -> InstrumentYear:
        """The year's bars; those of the years before are made on the way, and only their ends are kept."""
        if year not in self._years:
            known = max((each for each in self._ends if each < year), default=self._first_year - 1)
            for number in range(known + 1, year + 1):
                self._years[number] = self._made(number)
            others = sorted(self._years.keys() - {year})
            for number in others[: -(_YEARS_IN_MEMORY - 1)]:
                del self._years[number]
        return self._years[year]

    def _made(self, year: int) -> InstrumentYear:
        traits, ordinals = self._traits, self._sessions.of_year(year)
        days, count = len(ordinals), len(self._base)
        market, sector = common_returns(stream(self._seed, Purpose.RETURNS, year), days)
        generator = stream(self._seed, traits.purpose, year)
        own = generator.standard_normal((days, count)) * self._own
        own += np.where(self._industry == NO_INDUSTRY, 0.0, sector[:, self._industry])
        moves = np.clip(market[:, None] * self._beta + own, -traits.limit * 0.9, traits.limit * 0.9)
        split = generator.random((days, count)) < traits.splits
        draws = generator.random((4, days, count))
        price, factor = self._ends.get(year - 1, (self._base, np.ones(count)))
        close, pre, factors = np.empty((days, count)), np.empty((days, count)), np.empty((days, count))
        for row in range(days):
            ratio = np.where(split[row] & (price >= _SPLIT_FROM), 2.0, 1.0)
            if traits.splits:
                ratio[price < _MERGED_UNDER] = 0.5
            pre[row] = np.round(price / ratio, traits.digits)
            factor = np.where(ratio == 1.0, factor, np.round(factor * price / pre[row], 6))
            price = np.round(pre[row] * (1.0 + moves[row]), traits.digits)
            close[row], factors[row] = price, factor
        self._ends[year] = (price, factor)
        opened = np.round(pre + (close - pre) * draws[0] * 0.7, traits.digits)
        reach = pre * 0.006 * _CALM
        high = np.round(np.maximum(opened, close) + reach * draws[1], traits.digits)
        low = np.round(np.maximum(np.minimum(opened, close) - reach * draws[2], 10.0**-traits.digits), traits.digits)
        vol = np.round(traits.turnover * (0.4 + 1.2 * draws[3]) * (1 + 20 * np.abs(moves)))
        return InstrumentYear(opened, high, low, close, pre, np.maximum(vol, 1.0), factors)
