"""Indexes and exchange-traded funds as the Tushare APIs give them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.market.datasets import INDEX_DAILY
from quant_pipeline.sandbox.simulation import company_names, parameters
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.instrument_bars import NO_INDUSTRY, InstrumentBars, InstrumentTraits, InstrumentYear
from quant_pipeline.sandbox.simulation.interface import ParameterError
from quant_pipeline.sandbox.simulation.parameters import among, matching
from quant_pipeline.sandbox.simulation.random_streams import Purpose, stream
from quant_pipeline.sandbox.simulation.securities import PRESENT_YEAR
from quant_pipeline.sandbox.simulation.sessions import LAST_YEAR

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

CLOSED = dt.time(16, 0)
FACTORS = dt.time(9, 20)
_INDEX = InstrumentTraits(Purpose.INDEXES, digits=4, limit=0.2, turnover=3e6)
_FUND = InstrumentTraits(Purpose.FUNDS, digits=3, limit=0.1, turnover=2e5, splits=0.0004)
_CORE_NAMES = dict(
    zip(
        INDEX_DAILY.codes,
        (
            *("上证指数", "深证成指", "创业板指", "科创50", "北证50"),
            *("上证50", "沪深300", "中证500", "中证1000", "深证100", "中小100"),
        ),
        strict=True,
    )
)
_CORE_DAYS = {
    "000300.SH": "20050408",
    "399005.SZ": "20060124",
    "399330.SZ": "20060124",
    "000905.SH": "20070115",
    "399006.SZ": "20100601",
    "000852.SH": "20141017",
    "000688.SH": "20200723",
    "899050.BJ": "20221121",
}
_FUND_ENDINGS = ("ETF", "龙头ETF", "产业ETF", "主题ETF")
_FUND_HOUSES = ("华夏", "易方达", "南方", "嘉实", "富国", "广发", "博时", "国泰")
_FUNDS_PER_MARKET = 120 / 5_400
_CLOSED_SHARE = 0.06


@dataclass(frozen=True)
class Listing:
    """Instruments of a group, in the order of its columns; `listed` and `delisted` are session ordinals."""

    ts_code: Sequence[str]
    name: Sequence[str]
    listed: Ints
    delisted: Ints


class _InstrumentRows:
    """Rows of a bars's instruments: what indexes and funds share."""

    def __init__(self, exchange: Exchange, listing: Listing, bars: InstrumentBars, amount_unit: float) -> None:
        self._exchange, self._listing, self._bars = exchange, listing, bars
        self._unit = amount_unit
        self._codes = pl.Series("ts_code", list(listing.ts_code), dtype=pl.String)
        self._dates = pl.Series("trade_date", exchange.sessions.dates.tolist(), dtype=pl.String)

    def bars(self, params: Mapping[str, str], ready: dt.time, *, factors: bool = False) -> pl.DataFrame:
        """Daily bars, or factors, of the sessions and codes that the parameters ask for; newest first."""
        sessions = self._exchange.sessions
        first, stop = sessions.of_year(self._exchange.first_year).start, sessions.through(clock.now(), ready)
        first, stop = parameters.span(params, sessions, first, stop)
        wanted = np.arange(len(self._codes))
        if params.get("ts_code"):
            asked = {code.strip() for code in params["ts_code"].split(",")}
            wanted = np.flatnonzero(self._codes.is_in(list(asked)).to_numpy())
        frames = []
        while stop > first and len(wanted):
            year = int(str(sessions.days[stop - 1])[:4])
            begin = sessions.of_year(year).start
            rows = np.arange(max(first, begin), stop)
            frames.append(self._cells(self._bars.year(year), rows, begin, wanted, factors=factors))
            stop = begin
        return (
            pl.concat(frames) if frames else self._cells(self._bars.year(self._exchange.first_year), wanted[:0], 0, wanted[:0])
        )

    def _cells(self, year: InstrumentYear, ordinals: Ints, begin: int, wanted: Ints, *, factors: bool = False) -> pl.DataFrame:
        alive = (self._listing.listed[wanted] <= ordinals[:, None]) & (ordinals[:, None] < self._listing.delisted[wanted])
        row, column = np.nonzero(alive[::-1])
        at = (ordinals[::-1][row] - begin, wanted[column])
        keys = {"ts_code": self._codes.gather(wanted[column]), "trade_date": self._dates.gather(ordinals[::-1][row])}
        if factors:
            return pl.DataFrame({**keys, "adj_factor": year.factor[at]})
        opened, high, low, close, pre, vol = (
            each[at] for each in (year.open, year.high, year.low, year.close, year.pre_close, year.vol)
        )
        mean = (opened + high + low + close) / 4
        return pl.DataFrame(
            {
                **keys,
                "open": opened,
                "high": high,
                "low": low,
                "close": close,
                "pre_close": pre,
                "change": np.round(close - pre, 4),
                "pct_chg": np.round((close / pre - 1) * 100, 4),
                "vol": vol,
                "amount": np.round(vol * mean * self._unit, 3),
            }
        )


class Indexes:
    """index_basic and index_daily: the core indexes, one per industry of the exchange, a few of 中证."""

    apis = frozenset({"index_basic", "index_daily"})
    hours = frozenset({CLOSED})

    def __init__(self, exchange: Exchange) -> None:
        industries = [industry for industry, _ in company_names.INDUSTRIES]
        codes = [*_CORE_NAMES, *(f"{399_800 + place}.SZ" for place in range(len(industries))), "H30269.CSI", "931865.CSI"]
        titles = [*_CORE_NAMES.values(), *(f"{industry}指数" for industry in industries), "红利低波", "中证半导"]
        count = len(codes)
        generator = stream(exchange.seed, Purpose.INDEXES)
        industry = np.full(count, NO_INDUSTRY)
        industry[len(_CORE_NAMES) : len(_CORE_NAMES) + len(industries)] = np.arange(len(industries))
        days = [_CORE_DAYS.get(code, "20050104") for code in codes]
        listed = np.array([exchange.sessions.ordinal(dt.date.fromisoformat(f"{d[:4]}-{d[4:6]}-{d[6:]}")) for d in days])
        self._listing = Listing(codes, titles, listed, np.full(count, np.iinfo(np.int64).max))
        self._days = days
        bars = InstrumentBars(
            _INDEX,
            exchange.seed,
            exchange.sessions,
            exchange.first_year,
            np.round(generator.uniform(900, 4_000, count), 4),
            generator.uniform(0.8, 1.2, count),
            np.full(count, 0.003),
            industry,
        )
        # 手 x points are no money: the turnover is that of the shares behind the index, at some 12 元 each
        self._rows = _InstrumentRows(exchange, self._listing, bars, 0.1 * 12 / 2_000)

    @property
    def names(self) -> dict[str, str]:
        """The name of each code."""
        return dict(zip(self._listing.ts_code, self._listing.name, strict=True))

    def session(self, params: Mapping[str, str], ready: dt.time) -> pl.DataFrame:
        """Daily bars of sessions that began, from their time of day `ready` on."""
        return self._rows.bars(params, ready)

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        del rows
        if api == "index_daily":
            if not params.get("ts_code"):
                raise ParameterError("参数校验失败，ts_code必填")
            return self._rows.bars(params, CLOSED)
        suffix = [code.rpartition(".")[2] for code in self._listing.ts_code]
        market = [{"SH": "SSE", "SZ": "SZSE", "BJ": "BSE"}.get(each, each) for each in suffix]
        core = [code in _CORE_NAMES for code in self._listing.ts_code]
        frame = pl.DataFrame(
            {
                "ts_code": list(self._listing.ts_code),
                "name": list(self._listing.name),
                "fullname": [f"{name}（模拟）" for name in self._listing.name],
                "market": ["SSE" if each == "BSE" else each for each in market],
                "publisher": ["中证指数有限公司" if each == "CSI" else "交易所" for each in market],
                "index_type": [None] * len(core),
                "category": ["规模指数" if each else "行业指数" for each in core],
                "base_date": ["20041231"] * len(core),
                "base_point": [1_000.0] * len(core),
                "list_date": self._days,
                **{name: [None] * len(core) for name in ("weight_rule", "desc", "exp_date")},
            },
            schema_overrides=dict.fromkeys(("index_type", "weight_rule", "desc", "exp_date"), pl.String),
        )
        frame = among(frame, "market", params.get("market") or "SSE")
        return matching(frame, params, "ts_code", "publisher", "category")


class Funds:
    """fund_basic, fund_daily and fund_adj: exchange-traded funds, some of them delisted, one in a while split."""

    apis = frozenset({"fund_basic", "fund_daily", "fund_adj"})
    hours = frozenset({CLOSED, FACTORS})

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        sessions, register = exchange.sessions, exchange.register
        present, end = sessions.of_year(PRESENT_YEAR).stop, sessions.of_year(LAST_YEAR).stop
        first = sessions.ordinal(dt.date(2005, 2, 23))
        alive = int(((register.listed < present) & (register.delisted >= present)).sum())
        # as many again for every session after the present as before it
        count = round(max(8, alive * _FUNDS_PER_MARKET / (1 - _CLOSED_SHARE)) * (end - first) / (present - first))
        generator = stream(exchange.seed, Purpose.FUNDS)
        prefixes = generator.choice(["510", "512", "515", "561", "588", "159"], count)
        numbers = generator.permutation(1_000)[:count]
        codes = sorted({f"{prefix}{number:03d}" for prefix, number in zip(prefixes, numbers.tolist(), strict=True)})
        codes = [f"{code}.{'SZ' if code.startswith('159') else 'SH'}" for code in codes]
        count = len(codes)
        listed = generator.integers(first, end, count)
        lives = np.where(generator.random(count) < _CLOSED_SHARE, generator.integers(400, 1_500, count), 10**6)
        order = generator.permutation(count)
        industry = order % len(company_names.INDUSTRIES)
        names_ = [
            f"{company_names.INDUSTRIES[place][0]}{_FUND_ENDINGS[n % len(_FUND_ENDINGS)]}"
            for n, place in zip(order.tolist(), industry.tolist(), strict=True)
        ]
        self._house = [_FUND_HOUSES[n % len(_FUND_HOUSES)] for n in range(count)]
        self._listing = Listing(codes, names_, listed, listed + lives)
        bars = InstrumentBars(
            _FUND,
            exchange.seed,
            sessions,
            exchange.first_year,
            np.round(generator.uniform(0.6, 3.5, count), 3),
            generator.uniform(0.8, 1.3, count),
            np.full(count, 0.003),
            industry,
        )
        self._rows = _InstrumentRows(exchange, self._listing, bars, 0.1)

    @property
    def names(self) -> dict[str, str]:
        """The name of each code."""
        return dict(zip(self._listing.ts_code, self._listing.name, strict=True))

    def session(self, params: Mapping[str, str], ready: dt.time) -> pl.DataFrame:
        """Daily bars of sessions that began, from their time of day `ready` on."""
        return self._rows.bars(params, ready)

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        del rows
        if api == "fund_basic":
            return self._basic(params)
        return self._rows.bars(params, FACTORS if api == "fund_adj" else CLOSED, factors=api == "fund_adj")

    def _basic(self, params: Mapping[str, str]) -> pl.DataFrame:
        listing, sessions = self._listing, self._exchange.sessions
        today = sessions.through(clock.now(), dt.time.min)
        known = np.flatnonzero(listing.listed < today + 20)
        gone, coming = listing.delisted[known] < today, listing.listed[known] >= today
        days = sessions.dates
        status = np.where(gone, "D", np.where(coming, "I", "L"))
        frame = pl.DataFrame(
            {
                "ts_code": [listing.ts_code[n] for n in known.tolist()],
                "name": [listing.name[n] for n in known.tolist()],
                "management": [f"{self._house[n]}基金" for n in known.tolist()],
                "custodian": ["中国银行"] * len(known),
                "fund_type": ["股票型"] * len(known),
                "found_date": [days[listing.listed[n] - 15] for n in known],
                "due_date": [None] * len(known),
                "list_date": [None if late else days[listing.listed[n]] for n, late in zip(known, coming, strict=True)],
                "issue_date": [days[listing.listed[n] - 30] for n in known],
                "delist_date": [days[listing.delisted[n]] if over else None for n, over in zip(known, gone, strict=True)],
                "issue_amount": [10.0] * len(known),
                "m_fee": [0.5] * len(known),
                "c_fee": [0.1] * len(known),
                "duration_year": [None] * len(known),
                "p_value": [1.0] * len(known),
                "min_amount": [0.1] * len(known),
                "benchmark": [f"{listing.name[n]}的标的指数收益率" for n in known.tolist()],
                "status": status.tolist(),
                "invest_type": ["被动指数型"] * len(known),
                "type": ["契约型开放式"] * len(known),
                "market": ["E"] * len(known),
            },
            schema_overrides=dict.fromkeys(("due_date", "delist_date", "list_date"), pl.String) | {"duration_year": pl.Float64},
        )
        return matching(frame, params, "ts_code", "status", "market")
