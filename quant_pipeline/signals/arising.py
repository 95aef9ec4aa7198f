"""The signals that strategies give for sessions: to buy, what their screens picked; to sell, what they say of the same bars."""

from __future__ import annotations

import bisect
import datetime as dt
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from quant_pipeline import settings
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.datasets import DAILY_KLINE, SCREEN_RESULTS, STOCK_LIST
from quant_pipeline.signals.resolution import BUY, SELL
from quant_pipeline.signals.rules import Rules
from quant_pipeline.strategies.base import Strategy, StrategyError
from quant_pipeline.strategies.panel import SharedPanel, all_of
from quant_pipeline.strategies.registry import registered
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import folder_of, snapshot
from quant_pipeline.warehouse.panel import read_panel
from quant_pipeline.warehouse.reads import read, read_sql

_SCREENED = "SELECT screen, trade_date FROM screenings WHERE trade_date BETWEEN %(start)s AND %(end)s ORDER BY 1, 2"
_KEY = ["trade_date", "strategy", "ts_code", "direction"]
_NO_ORDER = 0.5
"""The strength where a strategy has no score."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arisen:
    """`rows`: trade_date, strategy, ts_code, direction, name, close, score, strength, priority, valid_until · `screened`: the
    sessions of which any screen ran · `failed`: strategy -> why it cannot say what to sell (its buys are there)."""

    rows: pl.DataFrame
    screened: frozenset[dt.date]
    failed: dict[str, str]


def arisen(database: Database, calendar: Calendar, rules: Rules, sessions: Sequence[dt.date]) -> Arisen:
    """The signals of these sessions (from the first to the last)."""
    start, end = min(sessions), max(sessions)
    screened = read_sql(database, _SCREENED, {"start": start, "end": end}).filter(pl.col("trade_date").is_in(list(sessions)))
    hits = read(
        database, SCREEN_RESULTS, start=start, end=end, columns=["screen", "trade_date", "ts_code", "score", "parameters"]
    ).rename({"screen": "strategy"})
    sales, failed = _sales(database, calendar, screened, hits)
    buys = hits.drop("parameters").with_columns(direction=pl.lit(BUY))
    rows = pl.concat([buys.select(*_KEY, "score"), *(each.select(*_KEY, "score") for each in sales)])
    named = _described(database, rows, start, end)
    priorities = {name: rules.priority(name) for name in named["strategy"].unique()}
    ends = {
        (name, day): _until(calendar, day, rules.validity(name))
        for name, day in named.select("strategy", "trade_date").unique().iter_rows()
    }
    until = pl.Series([ends[name, day] for name, day in named.select("strategy", "trade_date").iter_rows()], dtype=pl.Date)
    priority = pl.Series([priorities[name] for name in named["strategy"]], dtype=pl.Int64)
    return Arisen(
        named.with_columns(strength=_strength(), priority=priority, valid_until=until).sort(_KEY),
        frozenset(screened["trade_date"]),
        failed,
    )


def _until(calendar: Calendar, day: dt.date, sessions: int) -> dt.date:
    """The last of so many sessions, `day` the first; the calendar's last one where it does not reach so far."""
    place = bisect.bisect_left(calendar.sessions, day) + sessions - 1
    return calendar.sessions[min(place, len(calendar.sessions) - 1)]


def _strength() -> pl.Expr:
    """The score's percentile among the strategy's signals of the day and direction; the lowest score is the strongest sale."""
    group = ["strategy", "trade_date", "direction"]
    rising = pl.col("score").rank("average").over(group)
    count = pl.col("score").count().over(group)
    place = pl.when(pl.col("direction") == BUY).then(rising).otherwise(count + 1 - rising)
    return (place / count).fill_null(_NO_ORDER)


def _described(database: Database, rows: pl.DataFrame, start: dt.date, end: dt.date) -> pl.DataFrame:
    """With name and close."""
    codes = rows["ts_code"].unique().to_list()
    quotes = read(database, DAILY_KLINE, start=start, end=end, codes=codes, columns=["ts_code", "trade_date", "close"])
    names = read(database, STOCK_LIST, codes=codes, columns=["ts_code", "name"])
    return rows.join(quotes, on=["ts_code", "trade_date"], how="left").join(names, on="ts_code", how="left")


def _sales(
    database: Database, calendar: Calendar, screened: pl.DataFrame, hits: pl.DataFrame
) -> tuple[list[pl.DataFrame], dict[str, str]]:
    """What each screened strategy says to sell, with the parameters that its screen had; over one panel for all of them."""
    known = registered().strategies
    used = {(name, day): text for name, day, text in hits.select("strategy", "trade_date", "parameters").iter_rows()}
    asked: dict[tuple[str, str], list[dt.date]] = {}
    for name, day in screened.iter_rows():
        if name in known:
            asked.setdefault((name, used.get((name, day)) or "{}"), []).append(day)
    strategies: dict[tuple[str, str], Strategy] = {}
    failed: dict[str, str] = {}
    for name, text in asked:
        try:
            strategies[name, text] = known[name].with_parameters(json.loads(text))
        except StrategyError as error:  # the screen ran before the strategy had these parameters
            failed[name] = str(error)
    if not strategies:
        return [], failed
    days = sorted({day for each in strategies for day in asked[each]})
    sight = all_of(each.sight for each in strategies.values())
    with snapshot(database, folder_of(settings.load())) as stored:
        panel = SharedPanel(read_panel(stored, calendar, sight, days), days[0])
    found = []
    for (name, text), strategy in strategies.items():
        try:
            judged = strategy.judged(panel.seen(strategy.sight))
        except StrategyError as error:
            _logger.warning("%s: its sales are left out: %s", name, error)
            failed[name] = str(error)
            continue
        sold = judged.filter(pl.col("sell") & ~pl.col("buy") & pl.col("trade_date").is_in(asked[name, text]))
        score = pl.col("score").cast(pl.Float64)
        found.append(sold.select("trade_date", "ts_code", score, strategy=pl.lit(name), direction=pl.lit(SELL)))
    return found, failed
