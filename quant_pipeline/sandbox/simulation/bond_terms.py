"""The register of convertible bonds: which stock each hangs on, when it trades, and what it converts at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.listing_boards import ListingBoard
from quant_pipeline.sandbox.simulation.random_streams import Purpose, stream
from quant_pipeline.sandbox.simulation.securities import PRESENT_YEAR
from quant_pipeline.sandbox.simulation.sessions import LAST_YEAR

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LIFE = 6
"""Years to maturity."""
_FIRST_YEAR = 2017
_ALIVE, _MARKET = 300, 5_400
_REDEEMED = 0.45
"""How many are called or put before maturity, at any time after their first year."""
_MEAN_LIFE = LIFE - _REDEEMED * (LIFE - 1) / 2
_SEASONED = 60
"""Sessions that a stock has been listed before the year in which its bond is."""
_PREFIXES = {
    (ListingBoard.MAIN, "SH"): ("110", "113"),
    (ListingBoard.STAR, "SH"): ("118",),
    (ListingBoard.MAIN, "SZ"): ("127", "128"),
    (ListingBoard.CHINEXT, "SZ"): ("123",),
}


class BondTerms:
    """Arrays over all bonds in the order of their listing years; `listed` and `delisted` are session ordinals."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        register, sessions = exchange.register, exchange.sessions
        generator = stream(exchange.seed, Purpose.BONDS)
        stop = sessions.of_year(PRESENT_YEAR).stop
        alive = int(((register.listed < stop) & (register.delisted >= stop)).sum())
        yearly = max(2, round(_ALIVE * alive / _MARKET / _MEAN_LIFE))
        stocks, listings = [], []
        for year in range(_FIRST_YEAR, LAST_YEAR + 1):
            ordinals = sessions.of_year(year)
            fit = (register.listed < ordinals.start - _SEASONED) & (register.delisted > ordinals.stop) & ~register.is_bse
            chosen = generator.choice(np.flatnonzero(fit), min(yearly, int(fit.sum())), replace=False)
            stocks.append(chosen)
            listings.append(generator.integers(ordinals.start, ordinals.stop, len(chosen)))
        self.stock: Ints = np.concatenate(stocks)
        """The place of the stock in the exchange's register."""
        self.listed: Ints = np.concatenate(listings)
        count = len(self.stock)
        self.year: Ints = sessions.days[self.listed].astype("datetime64[Y]").astype(np.int64) + 1970
        self.maturity = sessions.days[self.listed] + np.timedelta64(round(365.25 * LIFE), "D")
        years = np.where(generator.random(count) < _REDEEMED, generator.uniform(1, LIFE, count), LIFE)
        over = sessions.days[self.listed] + (years * 365.25).round().astype("timedelta64[D]")
        # the stock's end is the bond's, too
        self.delisted: Ints = np.minimum(np.searchsorted(sessions.days, over), register.delisted[self.stock])
        """The first session in which the bond no longer trades."""
        self.floor: Floats = np.round(generator.uniform(85.0, 105.0, count), 2)
        """Worth of the bond without the right to convert, 元."""
        self.premium: Floats = generator.uniform(2.0, 6.0, count)
        """What the right to convert costs beside that, 元."""
        self.size: Floats = np.round(generator.lognormal(2.2, 0.7, count), 2) * 1e8
        self._above = generator.uniform(1.0, 1.15, count)
        self.ts_code = self._codes(generator)
        self._scale: dict[int, Floats] = {}

    def conv_price(self, bond: Ints, factor: Floats) -> Floats:
        """The conversion price [元] of bonds when their stocks' adjustment factor is `factor`: ex-dates lower it."""
        scale = np.empty(len(bond))
        for year in np.unique(self.year[bond]).tolist():
            of_year = self.year[bond] == year
            scale[of_year] = self._scale_of(year)[bond[of_year] - int(np.searchsorted(self.year, year))]
        price: Floats = np.maximum(np.round(scale / factor, 2), 0.01)
        return price

    def first_conv_price(self, bond: Ints) -> Floats:
        """The conversion price at the issue, which is at the beginning of the listing year."""
        factor = np.empty(len(bond))
        for year in np.unique(self.year[bond]).tolist():
            of_year = self.year[bond] == year
            factor[of_year] = self._exchange.state_before(self._simulated(year)).factor[self.stock[bond[of_year]]]
        return self.conv_price(bond, factor)

    def _scale_of(self, year: int) -> Floats:
        """Conversion price times factor, which no ex-date changes, of the bonds listed in a year."""
        if year not in self._scale:
            of_year = self.year == year
            state = self._exchange.state_before(self._simulated(year))
            stock = self.stock[of_year]
            # no company lets its bonds convert at the price of a bad year
            price = np.maximum(state.close[stock] * self._above[of_year], self._exchange.register.anchor[stock] * 0.6)
            self._scale[year] = np.round(price / 100, 2) * state.factor[stock]
        return self._scale[year]

    def _simulated(self, year: int) -> int:
        """Bonds older than the simulated years are issued at the stocks' first simulated prices."""
        return max(year, self._exchange.first_year)

    def _codes(self, generator: np.random.Generator) -> list[str]:
        register = self._exchange.register
        of_bond = [
            (ListingBoard(board), str(code)[-2:])
            for board, code in zip(register.board[self.stock], register.ts_code[self.stock], strict=True)
        ]
        free = {group: iter(generator.permutation(1_000 * len(prefixes)).tolist()) for group, prefixes in _PREFIXES.items()}
        numbers = [(group, next(free[group])) for group in of_bond]
        return [f"{_PREFIXES[group][n // 1_000]}{n % 1_000:03d}.{group[1]}" for group, n in numbers]
