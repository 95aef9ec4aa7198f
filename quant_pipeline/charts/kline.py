"""What a K-line shows, as data: bars with gaps where there are none, averages, indicators, ex-dates, halts, screens' hits."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import polars as pl

from quant_pipeline.charts.periods import Frequency, gathered, labelled, with_true_changes
from quant_pipeline.market.adjustment import Adjustment, adjust
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    CB_DAILY,
    DAILY_KLINE,
    ETF_ADJ,
    ETF_DAILY,
    INDEX_DAILY,
    SCREEN_RESULTS,
    SUSPENSIONS,
)
from quant_pipeline.market.listings import Kind, Listing
from quant_pipeline.strategies.indicators import add
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read, read_sql

AVERAGES = (5, 10, 20, 60)
"""The windows of the averages over the bars, as 通达信 and 同花顺 open with."""
HANDS_IN_WAN = 1e4
"""手 in one 万手."""
_PRICES = ("open", "high", "low", "close", "pre_close")
_BARS = ("ts_code", "trade_date", *_PRICES, "vol", "amount")
_TABLES: dict[Kind, tuple[Dataset, Dataset | None]] = {
    Kind.STOCK: (DAILY_KLINE, ADJ_FACTOR),
    Kind.ETF: (ETF_DAILY, ETF_ADJ),
    Kind.INDEX: (INDEX_DAILY, None),
    Kind.CONVERTIBLE_BOND: (CB_DAILY, None),
}
_STEP = 1e-6
"""A step of the factor below this is its rounding, no ex-date."""


class Indicator(StrEnum):
    """What stands in the lowest panel. The values are what commands and addresses take."""

    MACD = "macd"
    KDJ = "kdj"

    @property
    def lines(self) -> tuple[str, ...]:
        """The columns of its lines; MACD's bars are the column `macd`."""
        return ("dif", "dea") if self is Indicator.MACD else ("k", "d", "j")


Shown = Literal["qfq", "hfq", "raw"]
"""前复权, 后复权, 不复权."""


@dataclass(frozen=True)
class KLine:
    """A code's K-line, ready to be drawn.

    `bars`, a row per place on the axis, oldest first: trade_date (of a week or month its last session), open, high, low,
    close, pre_close, change [元, 点], pct_chg [%], vol [手], amount [千元], ma5 … ma60, dif, dea, macd, k, d, j; gap: null
    for a bar, else "halted" or "lacking", and all figures are null; sessions: how many without a bar the gap stands for.
    `ex_dates`: trade_date, label (its place on the axis), step (factor over the one before).
    `hits`: screen, trade_date, label, score, figures, the latest first.
    `halts`: first, last, sessions, the latest first.
    `shown` is how prices are adjusted: raw where there are no factors, whatever was `asked`.
    `without_factor`: bars left out because they lie before the code's first factor.
    """

    listing: Listing
    dataset: Dataset
    frequency: Frequency
    asked: Shown
    shown: Shown
    bars: pl.DataFrame
    ex_dates: pl.DataFrame
    hits: pl.DataFrame
    halts: pl.DataFrame
    without_factor: int = 0

    @property
    def digits(self) -> int:
        """Decimals of its prices."""
        return digits_of(self.listing.kind)

    @property
    def traded(self) -> pl.DataFrame:
        """The bars alone, without the gaps."""
        return self.bars.filter(pl.col("gap").is_null())


def digits_of(kind: Kind) -> int:
    """Decimals of a kind's prices: funds and bonds are quoted in 0.001 元."""
    return 3 if kind in (Kind.ETF, Kind.CONVERTIBLE_BOND) else 2


def hand_of(kind: Kind) -> int:
    """How many of a live quote's volume are one 手; 0: an index's cannot be told."""
    return {Kind.STOCK: 100, Kind.ETF: 100, Kind.CONVERTIBLE_BOND: 10, Kind.INDEX: 0}[kind]


def can_be_adjusted(kind: Kind) -> bool:
    """Whether there are factors for its kind: indexes and bonds have none."""
    return _TABLES[kind][1] is not None


def tables_of(kind: Kind) -> tuple[Dataset, Dataset | None]:
    """The data sets of a kind's daily bars and of their factors."""
    return _TABLES[kind]


def table_of(kind: Kind) -> Dataset:
    """The data set of a kind's daily bars."""
    return _TABLES[kind][0]


def kline(
    database: Database,
    calendar: Calendar,
    listing: Listing,
    *,
    frequency: Frequency = Frequency.DAY,
    adjustment: Shown = "qfq",
) -> KLine:
    """A code's whole K-line out of its daily bars; `bars` is empty when none are stored.

    Indicators are computed over all of the code's bars, of the adjustment and the frequency that is shown: so they are what
    通达信 and 同花顺 show. Weeks and months are made of adjusted days.
    """
    dataset, factored = _TABLES[listing.kind]
    raw = read(database, dataset, codes=[listing.code], columns=_BARS)
    if listing.kind is Kind.CONVERTIBLE_BOND:
        raw = raw.with_columns(pl.col("amount") * 10)  # 万元 there
    factors = _factors(database, factored, listing)
    shown: Shown = "raw" if factors.is_empty() else adjustment
    adjusted = _adjusted(raw, factors, shown)
    whole = adjusted.filter(pl.col("close").is_not_null())
    sessions = _sessions(database, calendar, dataset, whole, listing)
    labels = labelled(sessions, frequency)
    bars = gathered(whole, labels)
    if shown == "raw" and not factors.is_empty():
        bars = with_true_changes(bars, adjust(raw, factors, "hfq"), labels)
    halts = _halted_days(database, listing)
    drawn = _with_gaps(_with_indicators(bars), labels, halts)
    axis, first = drawn.select("trade_date", label="trade_date"), min(sessions, default=None)
    return KLine(
        listing,
        dataset,
        frequency,
        adjustment,
        shown,
        drawn,
        _placed(_steps(factors), axis, first),
        _placed(_hits(database, listing), axis, first).sort("trade_date", "screen", descending=[True, False]),
        _runs(halts, calendar),
        adjusted.height - whole.height,
    )


def _factors(database: Database, factored: Dataset | None, listing: Listing) -> pl.DataFrame:
    """Up to the delisting: so the last traded price of a delisted code is its qfq price, as in the SQL views."""
    if factored is None:
        return pl.DataFrame(schema={"ts_code": pl.String, "trade_date": pl.Date, "adj_factor": pl.Float64})
    return read(database, factored, codes=[listing.code], end=listing.delisted)


def _adjusted(raw: pl.DataFrame, factors: pl.DataFrame, shown: Shown) -> pl.DataFrame:
    how: dict[Shown, Adjustment] = {"qfq": "qfq", "hfq": "hfq"}
    return adjust(raw, factors, how[shown]) if shown in how else raw


def _sessions(
    database: Database, calendar: Calendar, dataset: Dataset, bars: pl.DataFrame, listing: Listing
) -> tuple[dt.date, ...]:
    """From the code's first bar to the newest session of the table, or to the last bar of one that is delisted."""
    if bars.is_empty():
        return ()
    first, last = bars["trade_date"][0], bars["trade_date"][-1]
    if listing.delisted is None:
        newest = read_sql(database, f"SELECT max(trade_date) AS newest FROM {dataset.name}")["newest"][0]
        last = max(last, newest)
    known = set(bars["trade_date"])  # a bar is drawn, even one of a day that the calendar holds for closed
    return tuple(sorted(known | set(calendar.between(first, last))))


def _with_indicators(bars: pl.DataFrame) -> pl.DataFrame:
    names = [*(f"MA{window}" for window in AVERAGES), "MACD", "KDJ"]
    return add(bars.with_columns(ts_code=pl.lit("")), names).drop("ts_code")


def _with_gaps(bars: pl.DataFrame, labels: pl.DataFrame, halted: pl.DataFrame) -> pl.DataFrame:
    """With a row for each period in which the code had no bar. Periods of which nobody says that it was halted in them are
    one gap together: a year that was never synced is no year-long hole."""
    periods = (
        labels.join(halted.with_columns(halted=True), on="trade_date", how="left")
        .group_by("label", maintain_order=True)
        .agg(sessions=pl.len(), halted=pl.col("halted").fill_null(False).all())
        .rename({"label": "trade_date"})
        .sort("trade_date")
    )
    placed = periods.join(bars, on="trade_date", how="left").sort("trade_date")
    gap = pl.when(pl.col("close").is_null()).then(pl.when("halted").then(pl.lit("halted")).otherwise(pl.lit("lacking")))
    named = placed.with_columns(gap=gap)
    lacking = pl.col("gap") == "lacking"
    run = pl.col("gap").fill_null("").rle_id()
    return (
        named.with_columns(run=run)
        .with_columns(
            sessions=pl.when(lacking)
            .then(pl.col("sessions").sum().over("run"))
            .when(pl.col("gap").is_null())
            .then(0)
            .otherwise("sessions")
        )
        .filter(~lacking.fill_null(False) | (pl.col("run") != pl.col("run").shift(1)).fill_null(True))
        .drop("run", "halted")
    )


def _steps(factors: pl.DataFrame) -> pl.DataFrame:
    """The days on which the factor moved: trade_date, step."""
    stepped = factors.sort("trade_date").with_columns(step=pl.col("adj_factor") / pl.col("adj_factor").shift(1))
    return stepped.filter((pl.col("step") - 1).abs() > _STEP).select("trade_date", "step")


def _placed(rows: pl.DataFrame, axis: pl.DataFrame, first: dt.date | None) -> pl.DataFrame:
    """The rows with `label`, the place on the axis in whose period their day lies; those before `first`, its first session,
    or after its end are left out."""
    if first is None:
        return rows.with_columns(label=pl.col("trade_date")).clear()
    within = rows.filter(pl.col("trade_date") >= first).sort("trade_date")
    joined = within.join_asof(axis.sort("trade_date"), on="trade_date", strategy="forward")
    return joined.filter(pl.col("label").is_not_null())


def _hits(database: Database, listing: Listing) -> pl.DataFrame:
    columns = ["screen", "trade_date", "score", "figures"]
    return read(database, SCREEN_RESULTS, codes=[listing.code], columns=columns)


def _halted_days(database: Database, listing: Listing) -> pl.DataFrame:
    """The sessions through which the code was halted: trade_date."""
    rows = read(database, SUSPENSIONS, codes=[listing.code])
    whole = (pl.col("suspend_type") == "S") & pl.col("suspend_timing").is_null()
    return rows.filter(whole).select("trade_date").unique().sort("trade_date")


def _runs(halted: pl.DataFrame, calendar: Calendar) -> pl.DataFrame:
    """Halts of sessions that follow each other as one: first, last, sessions; the latest first."""
    places = {day: place for place, day in enumerate(calendar.sessions)}
    place = pl.col("trade_date").replace_strict(places, default=None, return_dtype=pl.Int64)
    return (
        halted.with_columns(place=place)
        .filter(pl.col("place").is_not_null())
        .with_columns(run=pl.col("place") - pl.int_range(pl.len()))
        .group_by("run")
        .agg(first=pl.min("trade_date"), last=pl.max("trade_date"), sessions=pl.len())
        .drop("run")
        .sort("first", descending=True)
    )
