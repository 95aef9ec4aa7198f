"""`qp.screen`, `qp.screens`: what a strategy picks, or each of them, computed here and now; nothing is written."""

from __future__ import annotations

import datetime as dt
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, overload

import polars as pl
import pydantic

from quant_pipeline.language import say
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.market.search import Named, near
from quant_pipeline.notebook.asked import Day, day_of, frame_kind, nothing_within
from quant_pipeline.notebook.errors import NothingStored, QueryError, in_sentences
from quant_pipeline.notebook.frames import given
from quant_pipeline.notebook.opened import Opened, current
from quant_pipeline.strategies.base import Strategy
from quant_pipeline.strategies.panel import Sight, all_of
from quant_pipeline.strategies.registry import registered
from quant_pipeline.strategies.universe import Universe
from quant_pipeline.warehouse.lake import Snapshot
from quant_pipeline.warehouse.reads import read_sql
from quant_pipeline.warehouse.screening import Market, all_screened, read_market, screened

if TYPE_CHECKING:
    import pandas as pd

_TOLD = ("rank", "ts_code", "name", "trade_date", "close", "pct_chg", "score", "reason", "industry", "concepts")


@overload
def screen(
    strategy: str | type[Strategy],
    date: Day | None = ...,
    *,
    universe: Mapping[str, Any] | None = ...,
    as_: Literal["pandas"] = ...,
    **parameters: Any,
) -> pd.DataFrame: ...
@overload
def screen(
    strategy: str | type[Strategy],
    date: Day | None = ...,
    *,
    universe: Mapping[str, Any] | None = ...,
    as_: Literal["polars"],
    **parameters: Any,
) -> pl.DataFrame: ...
@in_sentences
def screen(
    strategy: str | type[Strategy],
    date: Day | None = None,
    *,
    universe: Mapping[str, Any] | None = None,
    as_: Literal["pandas", "polars"] = "pandas",
    **parameters: Any,
) -> pd.DataFrame | pl.DataFrame:
    """The hits of a strategy in a session, best first: rank, ts_code, name, trade_date, close [元, raw], pct_chg [%], score,
    reason, industry, concepts, and the strategy's own figures, a column each. As the screen's asset would pick them.

    `strategy`: its name, or a class of your own (a Strategy) · `date`: a session; None: the newest one that is stored ·
    `universe`: filters by name: {"index": "hs300", "without_st": True, "min_amount": 50_000} (see Universe); None: every one ·
    `parameters`: those of the strategy that shall differ from its defaults. Nothing is written and nobody is told.
    pandas: no index but the rows' numbers. QueryError: an unknown strategy, parameter or filter, a day without bars.
    """
    frame_kind(as_)
    chosen, among = strategy_of(strategy).with_parameters(parameters), _universe(universe)
    calendar = current().calendar()
    with _read(date, chosen.sight) as (stored, market):
        hits = screened(stored, calendar, chosen, among, market)
    figures = pl.DataFrame([json.loads(each) for each in hits["figures"]], schema=list(chosen.figures))
    figures = figures.with_columns(pl.col(pl.Null).cast(pl.Float64))  # of no hit, no kind is known
    own = [name for name in chosen.figures if name not in _TOLD]
    return given(pl.concat([hits.select(_TOLD), figures.select(own)], how="horizontal"), as_)


@overload
def screens(
    date: Day | None = ...,
    *,
    strategies: Sequence[str | type[Strategy]] | None = ...,
    universe: Mapping[str, Any] | None = ...,
    as_: Literal["pandas"] = ...,
) -> pd.DataFrame: ...
@overload
def screens(
    date: Day | None = ...,
    *,
    strategies: Sequence[str | type[Strategy]] | None = ...,
    universe: Mapping[str, Any] | None = ...,
    as_: Literal["polars"],
) -> pl.DataFrame: ...
@in_sentences
def screens(
    date: Day | None = None,
    *,
    strategies: Sequence[str | type[Strategy]] | None = None,
    universe: Mapping[str, Any] | None = None,
    as_: Literal["pandas", "polars"] = "pandas",
) -> pd.DataFrame | pl.DataFrame:
    """The hits of many strategies in a session, over one read: screen, and the columns of `screen` without the figures.

    `strategies`: names or classes, with their defaults; None: all that are registered · the rest as in `screen`. A strategy
    that fails is warned of, and the others' hits are there. QueryError as in `screen`, and where all failed.
    """
    frame_kind(as_)
    asked = registered().strategies.values() if strategies is None else map(strategy_of, strategies)
    chosen, among = [each() for each in asked], _universe(universe)
    if not chosen:
        raise QueryError(say("no strategy is asked for. All: {names}", names=", ".join(registered().strategies)))
    calendar = current().calendar()
    with _read(date, all_of(each.sight for each in chosen)) as (stored, market):
        hits, failed = all_screened(stored, calendar, chosen, among, market)
    if len(failed) == len(chosen):
        raise QueryError("; ".join(failed.values()))
    for why in failed.values():
        warnings.warn(why, stacklevel=2)
    return given(hits.select("screen", *_TOLD), as_)


@contextmanager
def _read(date: Day | None, sight: Sight) -> Iterator[tuple[Snapshot, Market]]:
    """What is looked at of the day, or of the newest one that is stored. NothingStored, in words."""
    opened = current()
    session = _session(opened, date)
    with opened.rows() as stored:
        market = read_market(stored, opened.calendar(), sight, [session])
        if market.bars.is_empty():
            command = f"quant-pipeline sync --start {session} --end {session}"
            words = say("no bars of {session} are stored. Fetch them: {command}", session=session, command=command)
            raise NothingStored(words)
        yield stored, market


def _universe(filters: Mapping[str, Any] | None) -> Universe:
    """QueryError for a filter that there is not, or a value that it cannot take."""
    try:
        return Universe(**(filters or {}))
    except pydantic.ValidationError as error:
        problem = error.errors()[0]
        told = {"name": ".".join(map(str, problem["loc"])), "problem": problem["msg"]}
        words = say("the universe's filter {name} cannot be used: {problem}.", **told)
        raise QueryError(words + " " + say("All: {names}", names=", ".join(Universe.model_fields))) from None


def _session(opened: Opened, date: Day | None) -> dt.date:
    """The day that is asked for, or the newest of which bars are stored. QueryError for a day that is no session."""
    database, asked = opened.database, day_of(date)
    if asked is not None and not (calendar := opened.calendar()).is_session(asked):
        before = calendar.on_or_before(asked)
        raise QueryError(say("{day} is no session; the one before is {before}: ask for that", day=asked, before=before))
    if (nothing := nothing_within(database, DAILY_KLINE, asked, asked)) is not None:
        raise nothing
    if asked is not None:
        return asked
    newest: dt.date = read_sql(database, f"SELECT max(trade_date) AS newest FROM {DAILY_KLINE.name}").item()
    return newest


def strategy_of(strategy: str | type[Strategy]) -> type[Strategy]:
    """The class of that name, or the class itself. QueryError for a name that is not registered, with the likely ones."""
    if not isinstance(strategy, str):
        return strategy
    known = registered().strategies
    if strategy in known:
        return known[strategy]
    alike = near(strategy, [Named(name, each.zh) for name, each in known.items()])
    words = say("there is no strategy {name!r}.", name=strategy)
    if alike:
        words += " " + say("Did you mean {near}?", near=", ".join(f"{each.code} {each.name}" for each in alike))
    raise QueryError(words + " " + say("All: {names}", names=", ".join(known)))
