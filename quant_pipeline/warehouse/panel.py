"""The panel of some sessions out of the lake and PostgreSQL: see `strategies.panel`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

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
    reading = _Reading(calendar, min(sessions), max(sessions), codes)
    columns = {name: each for name, each in sight.columns.items() if DATASETS[name].dated}
    back = {name: sight.back_of(name) for name in columns} | {ADJ_FACTOR.name: sight.lookback}
    columns |= {ADJ_FACTOR.name: ("adj_factor",)}
    others = [name for name in columns if name != DAILY_KLINE.name]
    with stored.twin() as twin, ThreadPoolExecutor(1) as thread:  # bars are half of all that is read
        beside = thread.submit(lambda: {name: reading.rows(twin, DATASETS[name], columns[name], back[name]) for name in others})
        bars = reading.bars(stored, sight)
        tables = {DAILY_KLINE.name: bars, **beside.result()}
    for name in others:
        tables[name] = reading.completed(stored, DATASETS[name], tables[name], bars, back[name])
    lists = {
        name: stored.read(DATASETS[name], codes=codes, columns=(*DATASETS[name].key, *each))
        for name, each in sight.columns.items()
        if name not in tables
    }
    return assembled(tables, lists)


@dataclass(frozen=True)
class _Reading:
    """Of data sets by code and session: what is stored of the sessions from `first` to `last`, and of so many bars before."""

    calendar: Calendar
    first: dt.date
    last: dt.date
    codes: Sequence[str] | None

    def rows(self, stored: Snapshot, dataset: Dataset, columns: Sequence[str], back: int) -> ByCode:
        """The rows of the sessions in which a code has that many bars that was hardly halted."""
        start = self._start(back)
        if dataset is ADJ_FACTOR:
            return stored.read_steps(dataset, "adj_factor", start=start, end=self.last, codes=self.codes)
        return stored.read_by_code(dataset, columns=columns, start=start, end=self.last, codes=self.codes)

    def bars(self, stored: Snapshot, sight: Sight) -> ByCode:
        """Bars, and of each code that has one in the sessions as many before the first one as are looked back at."""
        back, columns = sight.lookback, sight.columns[DAILY_KLINE.name]
        start, bars = self._start(back), self._bars(stored, sight)
        before = bars.counted_before(self.first)
        counted = pl.DataFrame({"ts_code": bars.codes, "lacking": back - before, "wanted": bars.lengths > before})
        short = counted.filter("wanted", pl.col("lacking") > 0)
        if short.is_empty():
            return bars
        asked = {"codes": short["ts_code"].to_list(), "lacking": short["lacking"].to_list(), "before": start}
        since = stored.sql(_FURTHER, asked)
        if since.is_empty():
            return bars
        further = _earlier(stored, DAILY_KLINE, columns, since["since"], start, since["ts_code"])
        begins = beside_codes(further, since)["since"]
        return followed(DAILY_KLINE, further.without(further.rows["trade_date"] < begins), bars)

    def _bars(self, stored: Snapshot, sight: Sight) -> ByCode:
        """The bars of the sessions in which a code has as many as are looked back at, unless it was halted.

        Most columns are looked at less than half as far back as the closes: of earlier bars they are left out, but for codes
        whose bars within that sight reach so far back.
        """
        columns, back = sight.columns[DAILY_KLINE.name], sight.lookback
        near = {name: sight.back[name] for name in columns if sight.back[name] * 2 < back}
        start = self._start(back)
        if not near or self.codes is not None:
            return self.rows(stored, DAILY_KLINE, columns, back)
        since = self._start(max(near.values()))
        bars = stored.read_by_code(DAILY_KLINE, columns=columns, start=start, end=self.last, since=dict.fromkeys(near, since))
        halted = bars.day_before(self.first, max(near.values())) < since
        if not bars.rows.select(pl.col(*near).null_count()).sum_horizontal().item() or not halted.any():
            return bars
        asked = bars.codes.filter(halted)
        more = stored.read_by_code(DAILY_KLINE, columns=list(near), start=start, end=since - _DAY, codes=asked.to_list())
        return bars.filled(more)

    def completed(self, stored: Snapshot, dataset: Dataset, rows: ByCode, bars: ByCode, back: int) -> ByCode:
        """`rows` with those of each code from its bar on that is the `back`th before the first session."""
        start, begins = self._start(back), bars.day_before(self.first, back)
        short = bars.codes.filter(begins < start)
        if short.is_empty():
            return rows
        columns = [name for name in rows.rows.columns if name != "trade_date"]
        return followed(dataset, _earlier(stored, dataset, columns, begins, start, short), rows)

    def _start(self, back: int) -> dt.date:
        return self.calendar.shift(self.first, -back - back // _HALTS)


def _earlier(
    stored: Snapshot, dataset: Dataset, columns: Sequence[str], begins: pl.Series, start: dt.date, codes: pl.Series
) -> ByCode:
    """The rows of these codes from the first of the days on, up to the one before `start`."""
    earliest = begins.min()
    assert isinstance(earliest, dt.date)
    return stored.read_by_code(dataset, columns=columns, start=earliest, end=start - _DAY, codes=codes.to_list())
