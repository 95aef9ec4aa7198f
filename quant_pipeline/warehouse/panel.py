"""The panel of some sessions out of the lake and PostgreSQL: see `strategies.panel`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import polars as pl

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, DATASETS
from quant_pipeline.market.stretches import ByCode, beside_codes
from quant_pipeline.strategies.panel import assembled
from quant_pipeline.warehouse.lake import Snapshot
from quant_pipeline.warehouse.lake.order import followed

_HALTS = 20
"""Of so many sessions one is read more, for those that a code was halted in: to go back for each is slower."""
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
) -> ByCode:
    """The panel from the first of these sessions to the last, with at least the `lookback` bars of each code before the first
    one, as far as it has them.

    A code that was halted meanwhile is read from as early as it takes. `needs`: as `strategies.panel.together` gives them.
    """
    first, last = min(sessions), max(sessions)
    start = calendar.shift(first, -lookback - lookback // _HALTS)
    dated = {**{name: columns for name, columns in needs.items() if DATASETS[name].dated}, ADJ_FACTOR.name: ("adj_factor",)}
    tables = {
        name: stored.read_by_code(DATASETS[name], columns=columns, start=start, end=last, codes=codes)
        for name, columns in dated.items()
    }
    for name, rows in _halted(stored, dated, tables[DAILY_KLINE.name], start, first, lookback).items():
        tables[name] = followed(DATASETS[name], rows, tables[name])
    lists = {
        name: stored.read(DATASETS[name], codes=codes, columns=(*DATASETS[name].key, *columns))
        for name, columns in needs.items()
        if name not in dated
    }
    return assembled(tables, lists)


def _halted(
    stored: Snapshot,
    dated: Mapping[str, Sequence[str]],
    bars: ByCode,
    start: dt.date,
    first: dt.date,
    lookback: int,
) -> dict[str, ByCode]:
    """The rows of before `start` of those codes that have a bar in the sessions, and fewer than `lookback` before them."""
    before = bars.counted_before(first)
    counted = pl.DataFrame({"ts_code": bars.codes, "lacking": lookback - before, "wanted": bars.lengths > before})
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
        name: _since(stored.read_by_code(DATASETS[name], columns=columns, start=earliest, end=until, codes=found), since)
        for name, columns in dated.items()
    }


def _since(rows: ByCode, since: pl.DataFrame) -> ByCode:
    """Of each code the rows from its own day on."""
    begins = beside_codes(rows, since)["since"]
    return rows.without(rows.rows["trade_date"] < begins)
