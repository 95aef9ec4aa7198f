"""The panel of some sessions out of the lake and PostgreSQL: see `strategies.panel`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, DATASETS
from quant_pipeline.market.stretches import ByCode, beside_codes
from quant_pipeline.strategies.panel import Sight, assembled
from quant_pipeline.warehouse.lake import Snapshot
from quant_pipeline.warehouse.lake.order import followed

_DAY = dt.timedelta(days=1)
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
    stored: Snapshot, calendar: Calendar, sight: Sight, sessions: Sequence[dt.date], *, codes: Sequence[str] | None = None
) -> ByCode:
    """The panel from the first of these sessions to the last, with at least as many bars of each code before the first one as
    `sight` looks back, as far as the code has them: one that was halted meanwhile is read from as early as it takes.

    Of what is looked back at less far than bars are, the earlier rows are null.
    """
    reading = _Reading(stored, calendar, min(sessions), max(sessions), codes)
    bars = reading.bars(sight.columns[DAILY_KLINE.name], sight.lookback)
    tables = {
        DAILY_KLINE.name: bars,
        ADJ_FACTOR.name: reading.beside(bars, ADJ_FACTOR, ("adj_factor",), sight.lookback),
    }
    lists = {}
    for name, columns in sight.columns.items():
        dataset = DATASETS[name]
        if not dataset.dated:
            lists[name] = stored.read(dataset, codes=codes, columns=(*dataset.key, *columns))
        elif name not in tables:
            tables[name] = reading.beside(bars, dataset, columns, sight.back[name])
    return assembled(tables, lists)


@dataclass(frozen=True)
class _Reading:
    """Of data sets by code and session: what is stored of the sessions from `first` to `last`, and of bars before."""

    stored: Snapshot
    calendar: Calendar
    first: dt.date
    last: dt.date
    codes: Sequence[str] | None

    def bars(self, columns: Sequence[str], back: int) -> ByCode:
        """Bars, and of each code that has one in the sessions `back` before the first one."""
        start = self._start(back)
        read = partial(self.stored.read_by_code, DAILY_KLINE, columns=columns)
        bars = read(start=start, end=self.last, codes=self.codes)
        before = bars.counted_before(self.first)
        counted = pl.DataFrame({"ts_code": bars.codes, "lacking": back - before, "wanted": bars.lengths > before})
        short = counted.filter("wanted", pl.col("lacking") > 0)
        if short.is_empty():
            return bars
        asked = {"codes": short["ts_code"].to_list(), "lacking": short["lacking"].to_list(), "before": start}
        since = self.stored.sql(_FURTHER, asked)
        if since.is_empty():
            return bars
        earliest = since["since"].min()
        assert isinstance(earliest, dt.date)
        further = read(start=earliest, end=start - _DAY, codes=since["ts_code"].to_list())
        begins = beside_codes(further, since)["since"]
        return followed(DAILY_KLINE, further.without(further.rows["trade_date"] < begins), bars)

    def beside(self, bars: ByCode, dataset: Dataset, columns: Sequence[str], back: int) -> ByCode:
        """Rows of the data set, of each code from its bar on that is the `back`th before the first session."""
        start = self._start(back)
        read = partial(self.stored.read_by_code, dataset, columns=columns)
        rows = read(start=start, end=self.last, codes=self.codes)
        begins = bars.day_before(self.first, back)
        short = begins.drop_nulls() < start
        if not short.any():
            return rows
        earliest = begins.min()
        assert isinstance(earliest, dt.date)
        further = read(start=earliest, end=start - _DAY, codes=bars.codes.filter(begins < start).to_list())
        return followed(dataset, further, rows)

    def _start(self, back: int) -> dt.date:
        return self.calendar.shift(self.first, -back - back // _HALTS)
