"""Daily bars as other tools want them: in 股 and 元, with the factor that stands beside each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from quant_pipeline.charts.kline import tables_of
from quant_pipeline.exports.states import years_of
from quant_pipeline.market.adjustment import with_factors
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.listings import Kind
from quant_pipeline.warehouse.lake import Snapshot

KINDS = (Kind.STOCK, Kind.ETF, Kind.INDEX)
"""Whose bars are exported."""
_SHARES_OF_A_HAND = 100
_COLUMNS = ("ts_code", "trade_date", "open", "high", "low", "close", "pre_close", "vol", "amount")


def read_by(kinds: Sequence[Kind] = KINDS) -> list[Dataset]:
    """The data sets of these kinds' bars and factors."""
    return [each for kind in kinds for each in tables_of(kind) if each is not None]


def bars_of(
    stored: Snapshot,
    kind: Kind,
    *,
    codes: Sequence[str] | None = None,
    start: dt.date | None = None,
    end: dt.date | None = None,
) -> pl.DataFrame:
    """ts_code, trade_date, open, high, low, close, pre_close [元, points], volume [股, 份], amount [元]: raw, as traded;
    sorted by code and day."""
    table, _ = tables_of(kind)
    rows = stored.read(table, columns=_COLUMNS, codes=codes, start=start, end=end)
    return rows.with_columns(volume=pl.col("vol") * _SHARES_OF_A_HAND, amount=pl.col("amount") * 1000).drop("vol")


def factored_bars_of(stored: Snapshot, kind: Kind, codes: Sequence[str]) -> pl.DataFrame:
    """As `bars_of`, of the whole history, with adj_factor: the session's own, or the code's last before it; null before the
    first. An index has 1."""
    rows, (_, factored) = bars_of(stored, kind, codes=codes), tables_of(kind)
    if factored is None:
        return rows.with_columns(adj_factor=pl.lit(1.0))
    return with_factors(rows, stored.read(factored, codes=codes)).sort("ts_code", "trade_date")


def codes_and_days_of(stored: Snapshot, kind: Kind) -> tuple[list[str], list[dt.date]]:
    """The codes that have bars, and the days on which there are any, sorted. A year at a time: it bounds the memory."""
    table, _ = tables_of(kind)
    codes: set[str] = set()
    days: set[dt.date] = set()
    for year in years_of(stored, table):
        first, last = dt.date(year, 1, 1), dt.date(year, 12, 31)
        rows = stored.read(table, columns=["ts_code", "trade_date"], start=first, end=last)
        codes.update(rows["ts_code"].unique())
        days.update(rows["trade_date"].unique())
    return sorted(codes), sorted(days)
