"""Convertible bonds as the Tushare APIs give them: each hangs on a stock of the register, and its price on the stock's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.sandbox import parameters
from quant_pipeline.sandbox.exchange import Exchange, Year
from quant_pipeline.sandbox.parameters import matching
from quant_pipeline.sandbox.quoted import CLOSED
from quant_pipeline.sandbox.streams import Purpose, stream

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_PER_MARKET = 330 / 5_400
_YEARS = 6
_FLOOR, _SHARE = 62.0, 0.55
"""A bond's price: a floor, and a share of what it converts into. So it moves less than the stock, whose limit is 20 %."""
_PREFIXES = {"SSE": ("110", "113", "118"), "SZSE": ("123", "127", "128")}


class Bonds:
    """cb_basic and cb_daily."""

    apis = frozenset({"cb_basic", "cb_daily"})
    hours = frozenset({CLOSED})

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        register, sessions = exchange.register, exchange.sessions
        generator = stream(exchange.seed, Purpose.BONDS)
        first, last = sessions.ordinal(dt.date(2019, 1, 2)), sessions.ordinal(dt.date(2026, 9, 1))
        old = np.flatnonzero(
            (register.listed < last - 250) & ~register.is_bse & (register.delisted > sessions.ordinal(dt.date(2032, 1, 1)))
        )
        count = min(len(old), max(8, round(len(register) * _PER_MARKET)))
        self._stock = np.sort(generator.choice(old, count, replace=False))
        self._listed = np.maximum(generator.integers(first, last, count), register.listed[self._stock] + 250)
        due = sessions.days[self._listed] + np.timedelta64(365 * _YEARS, "D")
        self._delisted = np.searchsorted(sessions.days, due)
        self._conv_price = np.round(register.anchor[self._stock] / 100 * generator.uniform(0.8, 1.2, count), 2).clip(1.0)
        self._size = np.round(generator.lognormal(2.2, 0.7, count), 2) * 1e8
        self._noise = generator.uniform(0.0, 6.3, count)
        suffix = [str(code)[-2:] for code in register.ts_code[self._stock]]
        numbers = generator.permutation(1_000)[:count]
        groups = [_PREFIXES["SSE" if each == "SH" else "SZSE"] for each in suffix]
        self._ts_code = [
            f"{group[n % 3]}{n:03d}.{each}" for group, n, each in zip(groups, numbers.tolist(), suffix, strict=True)
        ]
        self._suffix = suffix

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        del rows
        return self._basic(params) if api == "cb_basic" else self._daily(params)

    def _daily(self, params: Mapping[str, str]) -> pl.DataFrame:
        sessions = self._exchange.sessions
        first, stop = sessions.of_year(self._exchange.first_year).start, sessions.through(clock.now(), CLOSED)
        first, stop = parameters.span(params, sessions, first, stop)
        wanted = np.arange(len(self._ts_code))
        if params.get("ts_code"):
            asked = {code.strip() for code in params["ts_code"].split(",")}
            wanted = np.array([place for place, code in enumerate(self._ts_code) if code in asked], dtype=np.int64)
        if len(wanted):
            first, stop = max(first, int(self._listed[wanted].min())), min(stop, int(self._delisted[wanted].max()))
        frames = []
        while stop > first and len(wanted):
            year = self._exchange.year(int(str(sessions.days[stop - 1])[:4]))
            frames.append(self._cells(year, np.arange(max(first, year.ordinals.start), stop), wanted))
            stop = year.ordinals.start
        nothing = self._exchange.year(self._exchange.first_year)
        return pl.concat(frames) if frames else self._cells(nothing, np.empty(0, np.int64), wanted[:0])

    def _cells(self, year: Year, ordinals: Ints, wanted: Ints) -> pl.DataFrame:
        """The bars of a year's sessions; a bond whose stock is halted is halted too."""
        places = np.full(len(self._exchange.register), -1)
        places[year.events.codes] = np.arange(len(year.events.codes))
        column = places[self._stock[wanted]]
        known = column >= 0
        wanted, column = wanted[known], column[known]
        row = ordinals - year.ordinals.start
        present = (
            (self._listed[wanted] <= ordinals[:, None])
            & (ordinals[:, None] < self._delisted[wanted])
            & year.trading[np.ix_(row, column)]
        )
        down, across = np.nonzero(present[::-1])
        at, bond = (row[::-1][down], column[across]), wanted[across]
        conv = self._conv_price[bond]
        bars, walk = year.bars, year.walk
        value = walk.close[at] / conv
        wave = 0.004 * np.sin(ordinals[::-1][down] / 3 + self._noise[bond])

        def priced(cents: npt.NDArray[np.int32]) -> Floats:
            price: Floats = np.round(_FLOOR + _SHARE * cents[at] / conv + wave * 10, 3)
            return price

        opened, high, low, close, pre = (priced(each) for each in (bars.open, bars.high, bars.low, walk.close, walk.pre_close))
        vol = np.maximum(np.round(bars.vol[at] / 40), 1.0)
        mean = (opened + high + low + close) / 4
        return pl.DataFrame(
            {
                "ts_code": pl.Series([self._ts_code[n] for n in bond.tolist()], dtype=pl.String),
                "trade_date": pl.Series(self._exchange.sessions.dates[ordinals[::-1][down]].tolist(), dtype=pl.String),
                "open": opened,
                "high": high,
                "low": low,
                "close": close,
                "pre_close": pre,
                "change": np.round(close - pre, 4),
                "pct_chg": np.round((close / pre - 1) * 100, 4),
                "vol": vol,
                "amount": np.round(vol * 10 * mean / 10_000, 4),
                "bond_value": np.full(len(bond), 95.0),
                "bond_over_rate": np.round((close / 95.0 - 1) * 100, 4),
                "cb_value": np.round(value, 4),
                "cb_over_rate": np.round((close / value - 1) * 100, 4),
            }
        )

    def _basic(self, params: Mapping[str, str]) -> pl.DataFrame:
        sessions, register = self._exchange.sessions, self._exchange.register
        today = sessions.through(clock.now(), dt.time.min)
        shown = np.flatnonzero(self._listed < today)
        gone = self._delisted[shown] < today
        days = sessions.dates
        stock = [str(register.ts_code[place]) for place in self._stock[shown]]
        current = register.name_rows.filter(pl.col("start") < today).group_by("code").last()
        name_of = dict(current.select("code", "name").iter_rows())
        names = [str(name_of.get(int(place), "")) for place in self._stock[shown]]
        begin, end = self._listed[shown], self._delisted[shown]
        count = len(shown)
        frame = pl.DataFrame(
            {
                "ts_code": [self._ts_code[n] for n in shown],
                "bond_full_name": [f"{name}可转换公司债券（模拟）" for name in names],
                "bond_short_name": [f"{name[:2]}转债" for name in names],
                "cb_code": [None] * count,
                "stk_code": stock,
                "stk_short_name": names,
                "maturity": [float(_YEARS)] * count,
                "par": [100.0] * count,
                "issue_price": [100.0] * count,
                "issue_size": self._size[shown].tolist(),
                "remain_size": (self._size[shown] * 0.9).round().tolist(),
                "value_date": [days[n - 20] for n in begin],
                "maturity_date": [days[n] for n in end],
                "rate_type": ["累进利率"] * count,
                "coupon_rate": [0.3] * count,
                "list_date": [days[n] for n in begin],
                "delist_date": [days[n] if over else None for n, over in zip(end, gone, strict=True)],
                "exchange": [self._suffix[n] for n in shown],
                "conv_start_date": [days[n + 120] for n in begin],
                "conv_end_date": [days[n] for n in end],
                "first_conv_price": self._conv_price[shown].tolist(),
                "conv_price": self._conv_price[shown].tolist(),
            },
            schema_overrides={"cb_code": pl.String, "delist_date": pl.String},
        )
        return matching(frame, params, "ts_code", "list_date", "exchange")
