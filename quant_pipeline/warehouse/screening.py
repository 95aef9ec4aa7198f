"""What the screens of some sessions look at: one read, which they share, and what is told of the hits beside it."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import polars as pl

from quant_pipeline.language import told
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    DAILY_KLINE,
    INDEX_WEIGHTS,
    SCREEN_RESULTS,
    STOCK_LIST,
    THS_CONCEPTS,
    THS_MEMBERS,
)
from quant_pipeline.strategies.base import Strategy, StrategyError
from quant_pipeline.strategies.panel import IN_UNIVERSE, SharedPanel, Sight
from quant_pipeline.strategies.universe import Universe, chosen, needed
from quant_pipeline.warehouse.lake import Snapshot
from quant_pipeline.warehouse.panel import read_panel

_KEY = ("ts_code", "trade_date")
_CONCEPT = "N"
_BETWEEN = "、"
_DIGITS = 9
"""Of a score, that count: sums over longer windows differ behind them."""
_AT_ONCE = 2
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Market:
    """The panel of some sessions, the raw bars of these (ts_code, trade_date, close, pct_chg, amount), and what is told of each
    code (ts_code, name, industry, concepts)."""

    sessions: tuple[dt.date, ...]
    sight: Sight
    states: Mapping[tuple[str, int], int]
    panel: SharedPanel
    bars: pl.DataFrame
    described: pl.DataFrame

    def serves(self, stored: Snapshot, sight: Sight, sessions: Sequence[dt.date]) -> bool:
        """Whether a screen finds all that it needs here, as it is stored now."""
        return self.sessions == tuple(sessions) and self.sight.covers(sight) and self.states == _states(stored, self.sight)


def read_market(stored: Snapshot, calendar: Calendar, sight: Sight, sessions: Sequence[dt.date]) -> Market:
    """What strategies of this sight look at for these sessions."""
    panel = read_panel(stored, calendar, sight, sessions)
    columns = [*_KEY, "close", "pct_chg", "amount"]
    bars = stored.read(DAILY_KLINE, start=sessions[0], end=sessions[-1], columns=columns)
    days = {"first": sessions[0], "last": sessions[-1]}
    _logger.info(told("read {bars:,} bars for the screens of {first} to {last}", bars=panel.rows.height, **days))
    shared = SharedPanel(panel, min(sessions))
    return Market(tuple(sessions), sight, _states(stored, sight), shared, bars, _described(stored))


def screened(stored: Snapshot, calendar: Calendar, strategy: Strategy, universe: Universe, market: Market) -> pl.DataFrame:
    """The strategy's hits in the market's sessions, as `screen_results` has them, the best of each session first.

    StrategyError, UniverseError: sentences, and there are no hits of any session.
    """
    return _hits(strategy, universe, market, _within(stored, calendar, universe, market))


def all_screened(
    stored: Snapshot, calendar: Calendar, strategies: Sequence[Strategy], universe: Universe, market: Market
) -> tuple[pl.DataFrame, dict[str, str]]:
    """The hits of all, in their order, as `screened` has them; and of those that failed, why: the others are not hurt.

    Two at a time: while one waits for Python the other computes.
    """
    within = _within(stored, calendar, universe, market)
    found, failed = [], {}
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        asked = [(each, threads.submit(_hits, each, universe, market, within)) for each in strategies]
        for strategy, hits in asked:
            try:
                found.append(hits.result())
            except StrategyError as error:
                failed[strategy.name] = str(error)
    schema = {column.name: column.type.polars for column in SCREEN_RESULTS.columns}
    return (pl.concat(found) if found else pl.DataFrame(schema=schema)), failed


def _hits(strategy: Strategy, universe: Universe, market: Market, within: pl.DataFrame | None) -> pl.DataFrame:
    panel, asked = market.panel.seen(strategy.sight), None
    if within is not None:
        asked = json.dumps(universe.asked, ensure_ascii=False)
        panel = panel.join(within, on=_KEY, how="left", maintain_order="left").with_columns(
            pl.col(IN_UNIVERSE).fill_null(False)
        )
    order = pl.struct(-pl.col("score"), "ts_code").rank("ordinal").over("trade_date")
    hits = strategy.screen(panel, market.sessions).with_columns(pl.col("score").round_sig_figs(_DIGITS))
    reasons = [strategy.reason(json.loads(figures)) for figures in hits["figures"]]
    return (
        hits.join(market.bars, on=_KEY, how="left", maintain_order="left")
        .join(market.described, on="ts_code", how="left", maintain_order="left")
        .with_columns(
            screen=pl.lit(strategy.name),
            rank=order.cast(pl.Int64),
            reason=pl.Series(reasons, dtype=pl.String),
            parameters=pl.lit(strategy.parameters.model_dump_json()),
            universe=pl.lit(asked, pl.String),
        )
        .select(SCREEN_RESULTS.column_names)
        .sort("trade_date", "rank")
    )


def _within(stored: Snapshot, calendar: Calendar, universe: Universe, market: Market) -> pl.DataFrame | None:
    """The bars that may be picked, marked so; None: all may."""
    if not universe.chooses:
        return None
    tables = {dataset.name: _rows(stored, dataset, market.sessions) for dataset in needed(universe)}
    return chosen(universe, market.bars, tables, calendar).with_columns(pl.lit(True).alias(IN_UNIVERSE))


def _rows(stored: Snapshot, dataset: Dataset, sessions: Sequence[dt.date]) -> pl.DataFrame:
    if not dataset.dated:
        return stored.read(dataset)
    return stored.read(dataset, start=None if dataset is INDEX_WEIGHTS else sessions[0], end=sessions[-1])


def _described(stored: Snapshot) -> pl.DataFrame:
    """ts_code, name, industry, concepts (of the last sync of THS's boards)."""
    listed = stored.read(STOCK_LIST, columns=["ts_code", "name", "industry"])
    concepts = stored.read(THS_CONCEPTS, columns=["ts_code", "name", "type"]).filter(type=_CONCEPT)
    members = stored.read(THS_MEMBERS, columns=["ts_code", "con_code", "is_new"])
    of_code = (
        members.filter(pl.col("is_new").fill_null("Y") != "N")
        .join(concepts.select("ts_code", concept="name"), on="ts_code")
        .group_by(ts_code="con_code")
        .agg(pl.col("concept").sort().str.join(_BETWEEN).alias("concepts"))
    )
    return listed.join(of_code, on="ts_code", how="left")


def _states(stored: Snapshot, sight: Sight) -> dict[tuple[str, int], int]:
    names = {*sight.columns, *(each.name for each in (DAILY_KLINE, ADJ_FACTOR, STOCK_LIST, THS_CONCEPTS, THS_MEMBERS))}
    return {key: total for key, total in stored.sums.items() if key[0] in names}
