"""`qp.screen`: what a strategy picks, computed here and now; nothing is written."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any, Literal, overload

import polars as pl

from quant_pipeline.language import say
from quant_pipeline.market.datasets import DAILY_KLINE, STOCK_LIST
from quant_pipeline.market.search import Named, near
from quant_pipeline.notebook.asked import Day, day_of, frame_kind, nothing_within
from quant_pipeline.notebook.errors import NothingStored, QueryError, in_sentences
from quant_pipeline.notebook.frames import given
from quant_pipeline.notebook.opened import current
from quant_pipeline.strategies.base import Strategy
from quant_pipeline.strategies.panel import together
from quant_pipeline.strategies.registry import registered
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import folder_of, snapshot
from quant_pipeline.warehouse.panel import read_panel
from quant_pipeline.warehouse.reads import read_sql

if TYPE_CHECKING:
    import pandas as pd

_FIRST = ("rank", "ts_code", "name", "trade_date", "close", "pct_chg", "score")


@overload
def screen(
    strategy: str | type[Strategy], date: Day | None = ..., *, as_: Literal["pandas"] = ..., **parameters: Any
) -> pd.DataFrame: ...
@overload
def screen(
    strategy: str | type[Strategy], date: Day | None = ..., *, as_: Literal["polars"], **parameters: Any
) -> pl.DataFrame: ...
@in_sentences
def screen(
    strategy: str | type[Strategy],
    date: Day | None = None,
    *,
    as_: Literal["pandas", "polars"] = "pandas",
    **parameters: Any,
) -> pd.DataFrame | pl.DataFrame:
    """The hits of a strategy in a session, best first: rank, ts_code, name, trade_date, close [元, raw], pct_chg [%], score,
    and the strategy's own figures, a column each.

    `strategy`: its name, or a class of your own (a Strategy) · `date`: a session; None: the newest one that is stored ·
    `parameters`: those of the strategy that shall differ from its defaults. Nothing is written and nobody is told.
    pandas: no index but the rows' numbers. QueryError: an unknown strategy or parameter, a day without bars.
    """
    frame_kind(as_)
    chosen = strategy_of(strategy).with_parameters(parameters)
    opened = current()
    session = _session(opened.database, date)
    calendar = opened.calendar()
    with snapshot(opened.database, folder_of(opened.settings)) as stored:
        bars = read_panel(stored, calendar, together([chosen.needs]), [session], chosen.lookback)
        quotes = stored.read(DAILY_KLINE, start=session, end=session, columns=["ts_code", "close", "pct_chg"])
        names = stored.read(STOCK_LIST, columns=["ts_code", "name"])
    if quotes.is_empty():
        command = f"quant-pipeline sync --start {session} --end {session}"
        raise NothingStored(say("no bars of {session} are stored. Fetch them: {command}", session=session, command=command))
    hits = (
        chosen.screen(bars, [session])
        .join(quotes, on="ts_code", how="left")
        .join(names, on="ts_code", how="left")
        .sort("score", "ts_code", descending=[True, False], nulls_last=True)
        .with_row_index("rank", offset=1)
        .with_columns(pl.col("rank").cast(pl.Int64))
    )
    figures = pl.DataFrame([json.loads(each) for each in hits["figures"]], schema=list(chosen.figures))
    figures = figures.with_columns(pl.col(pl.Null).cast(pl.Float64))  # of no hit, no kind is known
    own = [name for name in chosen.figures if name not in _FIRST]
    return given(pl.concat([hits.select(_FIRST), figures.select(own)], how="horizontal"), as_)


def _session(database: Database, date: Day | None) -> dt.date:
    """The day that is asked for, or the newest of which bars are stored."""
    asked = day_of(date)
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
