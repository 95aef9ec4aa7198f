"""The panel of some sessions out of the lake and PostgreSQL: see `strategies.panel`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import polars as pl

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, DATASETS
from quant_pipeline.market.stretches import ByCode, by_code
from quant_pipeline.strategies.panel import assembled
from quant_pipeline.warehouse.lake import Snapshot

_FURTHER = """
SELECT code.ts_code, min(bar.trade_date) AS since
FROM unnest(%(codes)s::text[], %(lacking)s::int[]) AS code (ts_code, lacking)
CROSS JOIN LATERAL (
    SELECT trade_date FROM daily_kline AS each
    WHERE each.ts_code = code.ts_code AND each.trade_date < %(before)s ORDER BY trade_date DESC LIMIT code.lacking
) AS bar
GROUP BY code.ts_code
"""
"""Where the bars begin that a code lacks in the window: it was halted in it."""


def read_panel(
    stored: Snapshot,
    calendar: Calendar,
    needs: Mapping[str, Sequence[str]],
    sessions: Sequence[dt.date],
    lookback: int,
    *,
    codes: Sequence[str] | None = None,
) -> pl.DataFrame:
    """The panel from the first of these sessions to the last, with the `lookback` bars of each code before the first one.

    A code that was halted meanwhile is read from as early as it takes; bars before those are not in the panel. `needs`: as
    `strategies.panel.together` gives them.
    """
    first, last = min(sessions), max(sessions)
    start = calendar.shift(first, -lookback)
    tables = {name: _read(stored, name, columns, start, last, codes) for name, columns in _wanted(needs).items()}
    for name, rows in _halted(stored, needs, tables[DAILY_KLINE.name], start, first, lookback).items():
        tables[name] = by_code(pl.concat([rows, tables[name]]))
    return assembled(tables)


def _wanted(needs: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    return {**needs, ADJ_FACTOR.name: ("adj_factor",)}


def _read(
    stored: Snapshot,
    name: str,
    columns: Sequence[str],
    start: dt.date | None,
    end: dt.date,
    codes: Sequence[str] | None,
) -> pl.DataFrame:
    dataset = DATASETS[name]
    names = (*dataset.key, *columns)
    if not dataset.dated:
        return stored.read(dataset, codes=codes, columns=names)
    return stored.read(dataset, start=start, end=end, codes=codes, columns=names)


def _halted(
    stored: Snapshot,
    needs: Mapping[str, Sequence[str]],
    bars: pl.DataFrame,
    start: dt.date,
    first: dt.date,
    lookback: int,
) -> dict[str, pl.DataFrame]:
    """The rows of before `start` of those codes that have a bar in the sessions, and fewer than `lookback` before them."""
    of_code = ByCode.of(bars)
    before, lengths = of_code.counted_before(first), of_code.offsets[1:] - of_code.offsets[:-1]
    counted = pl.DataFrame({"ts_code": of_code.codes, "lacking": lookback - before, "wanted": lengths > before})
    short = counted.filter("wanted", pl.col("lacking") > 0)
    if short.is_empty():
        return {}
    asked = {"codes": short["ts_code"].to_list(), "lacking": short["lacking"].to_list(), "before": start}
    since = stored.sql(_FURTHER, asked)
    if since.is_empty():
        return {}
    earliest, until, found = since["since"].min(), start - dt.timedelta(days=1), since["ts_code"].to_list()
    assert isinstance(earliest, dt.date)
    return {
        name: _read(stored, name, columns, earliest, until, found)
        .join(since, on="ts_code")
        .filter(pl.col("trade_date") >= pl.col("since"))
        .drop("since")
        for name, columns in _wanted(needs).items()
        if DATASETS[name].dated
    }
