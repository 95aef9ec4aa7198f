"""Convertible bonds as the Tushare APIs give them: each hangs on a stock of the register, and its price on the stock's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.sandbox.simulation import name_periods, parameters
from quant_pipeline.sandbox.simulation.bond_terms import LIFE, BondTerms
from quant_pipeline.sandbox.simulation.exchange import Exchange, Year
from quant_pipeline.sandbox.simulation.indexes_and_funds import CLOSED
from quant_pipeline.sandbox.simulation.parameters import matching

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_BLEND = 5.0
"""How sharply the price turns from the bond's floor to its conversion value."""
_LOTS = 40
"""手 of the stock for a 手 of the bond."""


class Bonds:
    """cb_basic and cb_daily."""

    apis = frozenset({"cb_basic", "cb_daily"})
    hours = frozenset({CLOSED})

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._terms = BondTerms(exchange)
        self._codes = pl.Series("ts_code", self._terms.ts_code, dtype=pl.String)
        self._dates = pl.Series("trade_date", exchange.sessions.dates.tolist(), dtype=pl.String)

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        return self._basic(params) if api == "cb_basic" else self._daily(params, rows)

    def _daily(self, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        sessions, terms = self._exchange.sessions, self._terms
        first, stop = sessions.of_year(self._exchange.first_year).start, sessions.through(clock.now(), CLOSED)
        first, stop = parameters.span(params, sessions, first, stop)
        wanted = np.arange(len(self._codes))
        if params.get("ts_code"):
            asked = [code.strip() for code in params["ts_code"].split(",")]
            wanted = np.flatnonzero(self._codes.is_in(asked).to_numpy())
        first = max(first, int(terms.listed[wanted].min(initial=stop)))
        stop = min(stop, int(terms.delisted[wanted].max(initial=first)))
        frames, left = [], rows
        while stop > first and left > 0:
            year = self._exchange.year(int(str(sessions.days[stop - 1])[:4]))
            frames.append(self._bars(year, np.arange(max(first, year.ordinals.start), stop), wanted))
            left -= frames[-1].height
            stop = year.ordinals.start
        nothing = np.empty(0, np.int64)
        return pl.concat(frames) if frames else self._bars(self._exchange.year(self._exchange.first_year), nothing, wanted[:0])

    def _bars(self, year: Year, ordinals: Ints, wanted: Ints) -> pl.DataFrame:
        """The bars of a year's sessions, newest first; a bond whose stock is halted is halted too."""
        terms, walk, start = self._terms, year.walk, year.ordinals.start
        places = np.full(len(self._exchange.register), -1)
        places[year.events.codes] = np.arange(len(year.events.codes))
        wanted = wanted[places[terms.stock[wanted]] >= 0]
        column = places[terms.stock[wanted]]
        newest_first = ordinals[::-1]
        alive = (terms.listed[wanted] <= newest_first[:, None]) & (newest_first[:, None] < terms.delisted[wanted])
        down, across = np.nonzero(alive & year.trading[np.ix_(newest_first - start, column)])
        row, column, bond = newest_first[down] - start, column[across], wanted[across]
        at, stock = (row, column), terms.stock[bond]

        def conv_price(row: Ints) -> Floats:
            held = row >= walk.ex_session[column]
            return terms.conv_price(bond, np.where(held, walk.after.factor[stock], walk.before.factor[stock]))

        conv = conv_price(row)
        # the stock's close before, not its ex-rights price: a bond has no ex-dates, its conversion price moves instead
        last = np.where(row > 0, walk.close[row - 1, column], walk.before.close[stock])
        pre = self._priced(bond, last / conv_price(row - 1))
        bars, value = year.bars, walk.close[at] / conv
        opened, high, low, close = (
            self._priced(bond, each[at] / conv) for each in (bars.open, bars.high, bars.low, walk.close)
        )
        vol = np.maximum(np.round(bars.vol[at] / _LOTS), 1.0)
        mean = (opened + high + low + close) / 4
        return pl.DataFrame(
            {
                "ts_code": self._codes.gather(bond),
                "trade_date": self._dates.gather(row + start),
                "open": opened,
                "high": high,
                "low": low,
                "close": close,
                "pre_close": pre,
                "change": np.round(close - pre, 4),
                "pct_chg": np.round((close / pre - 1) * 100, 4),
                "vol": vol,
                "amount": np.round(vol * 10 * mean / 10_000, 4),
                "bond_value": terms.floor[bond],
                "bond_over_rate": np.round((close / terms.floor[bond] - 1) * 100, 4),
                "cb_value": np.round(value, 4),
                "cb_over_rate": np.round((close / value - 1) * 100, 4),
            }
        )

    def _priced(self, bond: Ints, value: Floats) -> Floats:
        """Prices [元] at conversion values: above the greater of floor and value, and never moving as far as the value does,
        so that a bond keeps within 20 % even where its stock's limit is rounded up. A function of the value alone: over a
        halt, and from one close to the next pre_close, nothing else moves it."""
        floor = self._terms.floor[bond]
        greater, lesser = np.maximum(floor, value), np.minimum(floor, value)
        price: Floats = greater * (1 + (lesser / greater) ** _BLEND) ** (1 / _BLEND) + self._terms.premium[bond]
        return np.round(price, 3)

    def _basic(self, params: Mapping[str, str]) -> pl.DataFrame:
        sessions, register, terms = self._exchange.sessions, self._exchange.register, self._terms
        today = sessions.through(clock.now(), dt.time.min)
        shown = np.flatnonzero(terms.listed < today)
        gone = terms.delisted[shown] < today
        name_of = name_periods.at(register, today)
        names = [name_of[place] or "" for place in terms.stock[shown].tolist()]
        listed, maturity = sessions.days[terms.listed[shown]], terms.maturity[shown]
        count = len(shown)

        def dates(days: npt.NDArray[np.datetime64]) -> pl.Series:
            return pl.Series(np.char.replace(days.astype("datetime64[D]").astype(str), "-", "").tolist(), dtype=pl.String)

        # `delisted` of a living bond may lie past the last simulated session
        ends = sessions.days[np.minimum(terms.delisted[shown], len(sessions.days) - 1)]
        stock = [str(code) for code in register.ts_code[terms.stock[shown]]]
        frame = pl.DataFrame(
            {
                "ts_code": self._codes.gather(shown),
                "bond_full_name": [f"{name}可转换公司债券（模拟）" for name in names],
                "bond_short_name": [f"{name[:2]}转债" for name in names],
                "cb_code": pl.Series([None] * count, dtype=pl.String),
                "stk_code": stock,
                "stk_short_name": names,
                "maturity": [float(LIFE)] * count,
                "par": [100.0] * count,
                "issue_price": [100.0] * count,
                "issue_size": terms.size[shown],
                "remain_size": (terms.size[shown] * 0.9).round(),
                "value_date": dates(listed - np.timedelta64(28, "D")),
                "maturity_date": dates(maturity),
                "rate_type": ["累进利率"] * count,
                "coupon_rate": [0.3] * count,
                "list_date": dates(listed),
                "delist_date": pl.select(pl.when(pl.Series(gone)).then(dates(ends))).to_series(),
                "exchange": [code[-2:] for code in stock],
                "conv_start_date": dates(listed + np.timedelta64(182, "D")),
                "conv_end_date": dates(maturity),
                "first_conv_price": terms.first_conv_price(shown),
                "conv_price": terms.conv_price(shown, self._factors(shown, gone, today)),
            }
        )
        return matching(frame, params, "ts_code", "list_date", "exchange")

    def _factors(self, shown: Ints, gone: npt.NDArray[np.bool_], today: int) -> Floats:
        """The stocks' factors today; of a bond that is over, those at the beginning of its last year, since its last
        session's would take a simulation of that whole year."""
        days, first_year, stock = self._exchange.sessions.days, self._exchange.first_year, self._terms.stock[shown]
        now = self._exchange.year(max(clock.today().year, first_year))
        places = np.zeros(len(self._exchange.register), dtype=np.int64)
        places[now.events.codes] = np.arange(len(now.events.codes))
        held = (today - 1 - now.ordinals.start) >= now.walk.ex_session[places[stock]]
        factor: Floats = np.where(held, now.walk.after.factor[stock], now.walk.before.factor[stock])
        ended = np.flatnonzero(gone)
        years = days[self._terms.delisted[shown[ended]]].astype("datetime64[Y]").astype(np.int64) + 1970
        for year in np.unique(years).tolist():
            of_year = ended[years == year]
            factor[of_year] = self._exchange.state_before(max(year, first_year)).factor[stock[of_year]]
        return factor
