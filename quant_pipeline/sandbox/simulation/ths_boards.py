"""同花顺's boards as Tushare gives them (ths_index, ths_member): concepts, industries, regions, and THS's own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.sandbox.simulation import company_names, name_periods, parameters, ths_names
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.interface import ParameterError
from quant_pipeline.sandbox.simulation.listing_boards import ListingBoard
from quant_pipeline.sandbox.simulation.random_streams import Purpose, stream
from quant_pipeline.sandbox.simulation.securities import PRESENT_YEAR, Register
from quant_pipeline.sandbox.simulation.session_grid import Ints, Mask, SessionGrid

_MARKET = 5_400
"""The market that the numbers of boards are set for."""
_CONCEPTS, _FEWEST_CONCEPTS = 120, 12
"""THS has some 390. Members are asked for board by board, 200 a minute: with a third of them a first run ends in three
minutes."""
_FIRST_CONCEPT, _FIRST_OPENED, _LAST_OPENED = 885_900, dt.date(2007, 8, 20), dt.date(2026, 6, 30)
_FIRST_INDUSTRY, _FIRST_REGION = 881_101, 882_001
_USUAL_SHARE, _SPREAD = 0.012, 0.7
"""Median share of the market that belongs to a concept, and how widely the shares spread."""
_FAVOURED, _OTHERS, _FAVOURITES = 6.0, 0.5, 4
"""A concept's stocks come mostly from a few industries."""
_FEWEST_MEMBERS = 6
_THEMES = {"大消费": 0.12, "数字经济": 0.1, "绿色低碳": 0.08, "专精特新": 0.2, "高股息": 0.1}
"""THS's own themes, and the share of the market that belongs to each."""
_NEW, _SPECIAL = "883301.TI", "883302.TI"
"""The boards of new listings and of ST stocks: the day tells who belongs to them."""
_YEAR = 243
"""Sessions for which a listing is new."""


@dataclass(frozen=True)
class Shelf:
    """Boards of one type (N concept, I industry, R region): an entry and a row of `members` (boards x codes) for each."""

    type: str
    ts_code: list[str]
    name: list[str]
    opened: Ints
    """Ordinals of the sessions from which on the boards are there."""
    members: Mask


class ThsBoards:
    """The boards of an exchange. A board is there from its first day on, while any of its members is listed."""

    apis = frozenset({"ths_index", "ths_member"})
    hours: frozenset[dt.time] = frozenset()

    def __init__(self, grid: SessionGrid) -> None:
        self._grid = grid
        self._exchange = grid.exchange
        self._membership = lru_cache(maxsize=4)(self._members_at)

    @cached_property
    def boards(self) -> pl.DataFrame:
        """ts_code, name, type and opened (ordinal) of every board that there will ever be."""
        shelves = self._shelves
        return pl.DataFrame(
            {
                "ts_code": [code for shelf in shelves for code in shelf.ts_code],
                "name": [name for shelf in shelves for name in shelf.name],
                "type": [shelf.type for shelf in shelves for _ in shelf.ts_code],
                "opened": np.concatenate([shelf.opened for shelf in shelves]),
            }
        )

    def concepts_of(self, codes: Ints, stop: int, most: int) -> list[list[str]]:
        """The names of up to `most` concepts that each of the codes belongs to before the ordinal `stop`."""
        concepts = self._shelves[0]
        known = int(np.searchsorted(concepts.opened, stop))
        belongs = concepts.members[:known, codes].T
        return [[concepts.name[place] for place in np.flatnonzero(row)[:most].tolist()] for row in belongs]

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        del rows  # boards come whole
        today = self._exchange.sessions.through(clock.now(), dt.time.min)
        return self._index(params, today) if api == "ths_index" else self._member(params, today)

    def _index(self, params: Mapping[str, str], today: int) -> pl.DataFrame:
        answer = (
            self.boards.with_columns(pl.Series("count", self._membership(today).sum(axis=1)), pl.lit("A").alias("exchange"))
            .filter((pl.col("opened") < today) & (pl.col("count") > 0))
            .with_columns(pl.col("opened").map_batches(self._grid.dates.gather, return_dtype=pl.String).alias("list_date"))
            .select("ts_code", "name", "count", "exchange", "list_date", "type")
        )
        return parameters.matching(answer, params, "ts_code", "exchange", "type", "name")

    def _member(self, params: Mapping[str, str], today: int) -> pl.DataFrame:
        if not (params.get("ts_code") or params.get("con_code")):
            raise ParameterError("参数校验失败，ts_code,con_code至少输入一个参数")
        asked = parameters.matching(self.boards.with_row_index("place"), params, "ts_code")
        place = asked.filter(pl.col("opened") < today)["place"].to_numpy()
        row, code = np.nonzero(self._membership(today)[place])
        answer = pl.DataFrame(
            {
                "ts_code": self.boards["ts_code"].gather(place[row]),
                "con_code": self._grid.ts_code.gather(code),
                "con_name": name_periods.at(self._exchange.register, today).gather(code),
                **dict.fromkeys(("weight", "in_date", "out_date"), pl.Series([None] * len(code), dtype=pl.String)),
                "is_new": pl.Series(["Y"] * len(code), dtype=pl.String),
            }
        )
        return parameters.matching(answer, params, "con_code")

    @cached_property
    def _shelves(self) -> tuple[Shelf, ...]:
        exchange = self._exchange
        first = exchange.sessions.ordinal(_FIRST_OPENED)
        generator = stream(exchange.seed, Purpose.THS_BOARDS)
        size = _size(exchange)
        return (
            _concepts(generator, exchange, size),
            _industries(generator, exchange.register, size, first),
            _regions(exchange.register, first),
            *_own(generator, exchange.register, first),
        )

    def _members_at(self, stop: int) -> Mask:
        """Boards x codes of the register: who belongs where before the ordinal `stop`."""
        register = self._exchange.register
        members = np.vstack([shelf.members for shelf in self._shelves])
        place = {code: row for row, code in enumerate(self.boards["ts_code"])}
        members[place[_NEW]] = stop - register.listed <= _YEAR
        members[place[_SPECIAL]] = name_periods.at(register, stop).str.contains(r"^\*?ST").fill_null(False).to_numpy()
        members &= (register.listed < stop) & (register.delisted >= stop)
        return members


def _size(exchange: Exchange) -> float:
    """The market at the end of PRESENT_YEAR, as a part of a whole one."""
    register, present = exchange.register, exchange.sessions.of_year(PRESENT_YEAR).stop
    alive = (register.listed < present) & (register.delisted >= present)
    return float(alive.sum()) / _MARKET


def _codes(first: int, count: int) -> list[str]:
    return [f"{first + place}.TI" for place in range(count)]


def _concepts(generator: np.random.Generator, exchange: Exchange, size: float) -> Shelf:
    register, sessions = exchange.register, exchange.sessions
    count = max(_FEWEST_CONCEPTS, round(_CONCEPTS * size))
    opened = np.sort(generator.integers(sessions.ordinal(_FIRST_OPENED), sessions.ordinal(_LAST_OPENED), count))
    share = np.clip(generator.lognormal(np.log(_USUAL_SHARE), _SPREAD, count), 0.002, 0.12)
    favoured = np.full((count, len(company_names.INDUSTRIES)), _OTHERS)
    favourites = generator.integers(0, len(company_names.INDUSTRIES), (count, _FAVOURITES))
    np.put_along_axis(favoured, favourites, _FAVOURED, axis=1)
    chance = np.maximum(share[:, None] * favoured[:, register.industry], _FEWEST_MEMBERS / (size * _MARKET))
    return Shelf(
        type="N",
        ts_code=_codes(_FIRST_CONCEPT, count),
        name=ths_names.concepts(generator.permutation(ths_names.MOST_CONCEPTS)[:count].tolist()),
        opened=opened,
        members=generator.random((count, len(register)), dtype=np.float32) < chance,
    )


def _industries(generator: np.random.Generator, register: Register, size: float, first: int) -> Shelf:
    """Tushare's industries, in a whole market each of them in parts."""
    parts = min(max(1, round(ths_names.PARTS_OF_AN_INDUSTRY * size)), ths_names.PARTS_OF_AN_INDUSTRY)
    count = len(company_names.INDUSTRIES) * parts
    board = register.industry * parts + generator.integers(0, parts, len(register))
    return Shelf(
        type="I",
        ts_code=_codes(_FIRST_INDUSTRY, count),
        name=ths_names.parts_of_industries([industry for industry, _ in company_names.INDUSTRIES], parts),
        opened=np.full(count, first),
        members=np.arange(count)[:, None] == board,
    )


def _regions(register: Register, first: int) -> Shelf:
    count = len(company_names.AREAS)
    members = np.arange(count)[:, None] == register.area
    return Shelf("R", _codes(_FIRST_REGION, count), list(company_names.AREAS), np.full(count, first), members)


def _own(generator: np.random.Generator, register: Register, first: int) -> tuple[Shelf, ...]:
    """THS's own boards: special (S), by style (ST), by theme (TH), broad (BB)."""

    def shelf(board_type: str, start: int, boards: Mapping[str, Mask]) -> Shelf:
        members = np.vstack(list(boards.values()))
        return Shelf(board_type, _codes(start, len(boards)), list(boards), np.full(len(boards), first), members)

    shares, volatility = register.shares, register.volatility
    small, large = np.quantile(shares, (1 / 3, 2 / 3))
    calm, lively = np.quantile(volatility, (1 / 3, 2 / 3))
    nobody, everybody = np.zeros(len(register), dtype=bool), np.ones(len(register), dtype=bool)
    themes = {name: generator.random(len(register)) < share for name, share in _THEMES.items()}
    return (
        # the first two are _NEW and _SPECIAL
        shelf("S", 883_301, {"次新股": nobody, "ST板块": nobody, "微盘股": shares < np.quantile(shares, 0.08)}),
        shelf(
            "ST",
            883_401,
            {
                "大盘": shares >= large,
                "中盘": (shares >= small) & (shares < large),
                "小盘": shares < small,
                "高波动": volatility >= lively,
                "低波动": volatility < calm,
            },
        ),
        shelf("TH", 864_001, themes),
        shelf(
            "BB",
            883_957,
            {
                "同花顺全A": everybody,
                "同花顺创业板": np.equal(register.board, ListingBoard.CHINEXT),
                "同花顺科创板": np.equal(register.board, ListingBoard.STAR),
                "同花顺北交所": register.is_bse,
            },
        ),
    )
