"""The universe: which shares may be picked in a session. Every filter, with what it needs, once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from quant_pipeline.language import say
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.codes import Board, CodeError, board_of, parse
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    INDEX_WEIGHTS,
    NAME_HISTORY,
    PRICE_LIMITS,
    STOCK_LIST,
    SUSPENSIONS,
    THS_CONCEPTS,
    THS_INDUSTRIES,
    THS_MEMBERS,
    WATCHLISTS,
)
from quant_pipeline.market.index_members import INDEX_UNIVERSES
from quant_pipeline.market.search import Named, near
from quant_pipeline.market.trading_rules import delisting_period, session_number, special_treatment
from quant_pipeline.market.watchlists import WatchlistError, members

BOARDS: Final = {
    "main": (Board.SSE_MAIN, Board.SZSE_MAIN),
    "chinext": (Board.CHINEXT,),
    "star": (Board.STAR,),
    "bse": (Board.BSE,),
}
"""The boards by the names that people type."""
Tables = Mapping[str, "pl.DataFrame"]
_KEY = ("ts_code", "trade_date")


class UniverseError(ValueError):
    """A universe that cannot be had, or has nobody in it; the text says what to do."""


class Universe(BaseModel):
    """Filters, all of which a share must pass in a session. By default every share that traded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    boards: list[str] = Field([], description="Boards: main, chinext, star, bse; none: all of them. 板块，空为全部")
    index: str = Field(
        "", description="Members of an index on that day: sz50, hs300, zz500, zz1000; none: any share. 当日指数成分，空为不限"
    )
    ths: list[str] = Field(
        [],
        description="Members of any of these THS concepts or industries, by name or code, as last synced. "
        "同花顺概念或行业（名称或代码，按最近一次同步），空为不限",
    )
    codes: list[str] = Field([], description="Only these codes. 仅限这些代码，空为不限")
    watchlists: list[str] = Field(
        [], description="Codes in any of these watchlists of yours, as they are now. 自选列表（按现在的内容），空为不限"
    )
    without_st: bool = Field(
        False, description="Without ST, *ST and delisting shares, by their name of that day. 剔除当日ST与退市整理"
    )
    min_listed: int = Field(0, ge=0, description="Sessions since the listing, at least. 上市交易日数下限")
    min_amount: float = Field(0, ge=0, description="Turnover of the session, at least [千元]. 当日成交额下限（千元）")
    without_halted: bool = Field(
        False, description="Without shares that were suspended at any time of the session. 剔除当日曾停牌"
    )
    without_limit_up: bool = Field(False, description="Without shares that closed at their upper limit. 剔除收盘涨停")

    @property
    def chooses(self) -> bool:
        """Whether any filter is set."""
        return bool(self.asked)

    @property
    def asked(self) -> dict[str, object]:
        """The filters that are set, with their values."""
        return self.model_dump(exclude_defaults=True)


@dataclass(frozen=True)
class _Filter:
    """`keeps`: of the sessions' bars those that pass · `beside`: what it looks at too, and may be empty."""

    needs: tuple[Dataset, ...]
    keeps: Callable[[pl.DataFrame, Universe, Tables, Calendar], pl.DataFrame]
    beside: tuple[Dataset, ...] = ()


def needed(universe: Universe) -> tuple[Dataset, ...]:
    """The data sets that its filters look at, beside the bars."""
    return tuple(dict.fromkeys(dataset for name in universe.asked for dataset in _looked_at(name)))


def _looked_at(name: str) -> tuple[Dataset, ...]:
    return (*_FILTERS[name].needs, *_FILTERS[name].beside)


def chosen(universe: Universe, bars: pl.DataFrame, tables: Tables, calendar: Calendar) -> pl.DataFrame:
    """The bars that may be picked: ts_code, trade_date.

    `bars`: those of the sessions, raw: ts_code, trade_date, close [元], amount [千元] · `tables`: of each data set that is
    `needed` its rows: a list whole, one by session those of the sessions, `index_weights` up to the last session.
    UniverseError where a filter's value is unknown, its data are not stored, or nobody is left in a session with bars.
    """
    kept = bars
    for name in universe.asked:
        each = _FILTERS[name]
        for dataset in each.needs:
            if not dataset.dated and tables[dataset.name].is_empty():
                raise _lacking(name, dataset)
        kept = each.keeps(kept, universe, tables, calendar)
    if empty := sorted(set(bars["trade_date"]) - set(kept["trade_date"])):
        raise UniverseError(
            say(
                "the universe is empty on {day}: no share that traded passes {filters}; widen it",
                day=empty[0],
                filters=", ".join(f"{name}={value}" for name, value in universe.asked.items()),
            )
        )
    return kept.select(_KEY)


def _lacking(name: str, dataset: Dataset, day: dt.date | None = None) -> UniverseError:
    window = "" if day is None else f" --start {day} --end {day}"
    when = "" if day is None else f" {day}"
    return UniverseError(
        say(
            "the filter {filter} needs {dataset}{when}, of which nothing is stored. Fetch it: {command}",
            filter=name,
            dataset=dataset.name,
            when=when,
            command=f"quant-pipeline sync --datasets {dataset.name}{window}",
        )
    )


def _on_boards(rows: pl.DataFrame, universe: Universe, tables: Tables, calendar: Calendar) -> pl.DataFrame:
    del tables, calendar
    for name in universe.boards:
        if name not in BOARDS:
            raise UniverseError(say("{name} is no board: write {boards}", name=name, boards=", ".join(BOARDS)))
    wanted = [board.value for name in universe.boards for board in BOARDS[name]]
    return rows.filter(board_of(pl.col("ts_code")).is_in(wanted))


def _of_codes(rows: pl.DataFrame, universe: Universe, tables: Tables, calendar: Calendar) -> pl.DataFrame:
    del tables, calendar
    try:
        return rows.filter(pl.col("ts_code").is_in([parse(code) for code in universe.codes]))
    except CodeError as error:
        raise UniverseError(str(error)) from None


def _in_watchlists(rows: pl.DataFrame, universe: Universe, tables: Tables, calendar: Calendar) -> pl.DataFrame:
    """As the lists are now: they have no past."""
    del calendar
    try:
        return rows.filter(pl.col("ts_code").is_in(members(tables[WATCHLISTS.name], universe.watchlists)))
    except WatchlistError as error:
        raise UniverseError(str(error)) from None


def _in_index(rows: pl.DataFrame, universe: Universe, tables: Tables, calendar: Calendar) -> pl.DataFrame:
    """Members on a day: those of the last label up to it."""
    del calendar
    code = INDEX_UNIVERSES.get(universe.index.lower(), universe.index.upper())
    if code not in INDEX_UNIVERSES.values():
        known = ", ".join(f"{name} ({code})" for name, code in INDEX_UNIVERSES.items())
        raise UniverseError(say("members of {index} are not kept: write one of {known}", index=universe.index, known=known))
    members = tables[INDEX_WEIGHTS.name].filter(index_code=code).select(label="trade_date", ts_code="con_code")
    labels = members.select("label").unique().sort("label")
    days = rows.select("trade_date").unique().sort("trade_date")
    labelled = days.join_asof(labels, left_on="trade_date", right_on="label", strategy="backward", check_sortedness=False)
    if before := labelled.filter(pl.col("label").is_null())["trade_date"].to_list():
        raise _lacking("index", INDEX_WEIGHTS, before[0])
    return rows.join(labelled, on="trade_date").join(members, on=["label", "ts_code"], how="semi").select(rows.columns)


def _in_ths_boards(rows: pl.DataFrame, universe: Universe, tables: Tables, calendar: Calendar) -> pl.DataFrame:
    del calendar
    lists = pl.concat([tables[each.name].select("ts_code", "name") for each in (THS_CONCEPTS, THS_INDUSTRIES)])
    codes = {spelling: code for code, name in lists.iter_rows() for spelling in (code, name)}
    for text in universe.ths:
        if text not in codes:
            alike = near(text, [Named(code, name) for code, name in lists.iter_rows()])
            meant = "、".join(f"{each.name} {each.code}" for each in alike) or "–"
            raise UniverseError(say("{name} is no THS concept or industry; perhaps: {alike}", name=text, alike=meant))
    members = tables[THS_MEMBERS.name].filter(pl.col("ts_code").is_in([codes[text] for text in universe.ths]))
    now = members.filter(pl.col("is_new").fill_null("Y") != "N")["con_code"].unique()
    return rows.filter(pl.col("ts_code").is_in(now.to_list()))


def _not_st(rows: pl.DataFrame, universe: Universe, tables: Tables, calendar: Calendar) -> pl.DataFrame:
    """By the name of the day: today's tells nothing of the past. Of whom no name is known, nothing is known against."""
    del universe, calendar
    names = tables[NAME_HISTORY.name].select("ts_code", "name", "start_date").sort("start_date")
    named = rows.sort("trade_date").join_asof(
        names, left_on="trade_date", right_on="start_date", by="ts_code", strategy="backward", check_sortedness=False
    )
    name = pl.col("name")
    special = special_treatment(name, pl.col("trade_date")) | delisting_period(name)
    return named.filter(~special.fill_null(False)).select(rows.columns)


def _listed_long(rows: pl.DataFrame, universe: Universe, tables: Tables, calendar: Calendar) -> pl.DataFrame:
    listed = rows.join(tables[STOCK_LIST.name].select("ts_code", "list_date"), on="ts_code", how="left")
    number = session_number(pl.col("list_date"), pl.col("trade_date"), calendar)
    return listed.filter((number > universe.min_listed).fill_null(True)).select(rows.columns)


def _traded_enough(rows: pl.DataFrame, universe: Universe, tables: Tables, calendar: Calendar) -> pl.DataFrame:
    del tables, calendar
    return rows.filter(pl.col("amount") >= universe.min_amount)


def _never_halted(rows: pl.DataFrame, universe: Universe, tables: Tables, calendar: Calendar) -> pl.DataFrame:
    del universe, calendar
    return rows.join(tables[SUSPENSIONS.name].filter(suspend_type="S"), on=_KEY, how="anti")


def _below_the_limit(rows: pl.DataFrame, universe: Universe, tables: Tables, calendar: Calendar) -> pl.DataFrame:
    del universe, calendar
    limits = tables[PRICE_LIMITS.name].select(*_KEY, "up_limit")
    if without := sorted(set(rows["trade_date"]) - set(limits["trade_date"])):
        raise _lacking("without_limit_up", PRICE_LIMITS, without[0])
    at_limit = (pl.col("close") >= pl.col("up_limit")).fill_null(False)
    return rows.join(limits, on=_KEY, how="left").filter(~at_limit).select(rows.columns)


_FILTERS: Final[Mapping[str, _Filter]] = {
    "boards": _Filter((), _on_boards),
    "codes": _Filter((), _of_codes),
    "watchlists": _Filter((), _in_watchlists, (WATCHLISTS,)),
    "index": _Filter((INDEX_WEIGHTS,), _in_index),
    "ths": _Filter((THS_MEMBERS,), _in_ths_boards, (THS_CONCEPTS, THS_INDUSTRIES)),
    "without_st": _Filter((NAME_HISTORY,), _not_st),
    "min_listed": _Filter((STOCK_LIST,), _listed_long),
    "min_amount": _Filter((), _traded_enough),
    "without_halted": _Filter((SUSPENSIONS,), _never_halted),
    "without_limit_up": _Filter((PRICE_LIMITS,), _below_the_limit),
}
