"""The panel: the one frame of bars, and of what is known beside them, that all strategies of a session or a backtest share.

A row per bar, sorted by ts_code and trade_date. Its columns:

- of `daily_kline`, adjusted (qfq): open, high, low, close, pre_close [元], change, pct_chg [%]; as traded: vol [手], amount
  [千元], and raw_close [元], always;
- of `price_limits`, adjusted as the bars: up_limit, down_limit, so that close == up_limit at the limit; null without limit;
- of a data set by code and session (`daily_basic`, …) its columns under their own names;
- of a list by code (`stock_list`) its columns, the same on every bar of the code: they are those of today;
- in_universe, where a universe was chosen: whether the bar may be picked. Bars outside it stay, so that windows and
  averages are whole, but no strategy picks or ranks them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import polars as pl

from quant_pipeline.language import say
from quant_pipeline.market.adjustment import adjusted
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, DATASETS, PRICE_LIMITS
from quant_pipeline.market.stretches import ByCode, beside, beside_codes, rows_from
from quant_pipeline.market.trading_rules import STORED_NO_LIMIT

Needs = Mapping[str, Sequence[str]]
"""Data set -> columns."""

BARS = ("open", "high", "low", "close", "pre_close", "pct_chg", "vol", "amount")
"""The columns of daily_kline that most strategies take."""
IN_UNIVERSE = "in_universe"
_BAR_KEY = ("ts_code", "trade_date")
_LIST_KEY = ("ts_code",)
_LIMITS = ("up_limit", "down_limit")


def together(needs: Iterable[Needs]) -> dict[str, tuple[str, ...]]:
    """What several strategies need, as one: data set -> columns, in the order of the data set. Bars always."""
    wanted: dict[str, set[str]] = {DAILY_KLINE.name: {"close"}}
    for each in needs:
        for name, columns in each.items():
            wanted.setdefault(name, set()).update(columns)
    if PRICE_LIMITS.name in wanted:
        wanted[PRICE_LIMITS.name].add("up_limit")  # it tells whether there is a limit at all
    return {
        name: tuple(column for column in DATASETS[name].column_names if column in columns and column not in DATASETS[name].key)
        for name, columns in wanted.items()
    }


@dataclass(frozen=True)
class Sight:
    """What strategies look at: `columns` of each data set, and how many of a code's bars before the first session (`back`) they
    see of each column, and at all (`lookback`)."""

    columns: Mapping[str, tuple[str, ...]]
    back: Mapping[str, int]
    lookback: int

    @classmethod
    def of(cls, needs: Needs, lookback: int, shallower: Mapping[str, int] | None = None) -> Sight:
        """The columns that are needed, so many bars back; of some columns fewer. Bars and their close always."""
        columns = together([needs])
        less = {name: bars for name, bars in (shallower or {}).items() if name != "close"}
        return cls(columns, {name: min(lookback, less.get(name, lookback)) for name in _flat(columns)}, lookback)

    def back_of(self, dataset: str) -> int:
        """How many bars back any column of the data set is seen."""
        return max(self.back[name] for name in self.columns[dataset])

    def covers(self, other: Sight) -> bool:
        """Whether all that the other looks at is here."""
        return self.lookback >= other.lookback and all(
            name in self.columns
            and set(columns) <= set(self.columns[name])
            and all(self.back[c] >= other.back[c] for c in columns)
            for name, columns in other.columns.items()
        )


def all_of(sights: Iterable[Sight]) -> Sight:
    """What several look at, as one."""
    each = list(sights)
    columns = together(sight.columns for sight in each)
    back = {name: max(sight.back.get(name, 0) for sight in each) for name in _flat(columns)}
    return Sight(columns, back, max(sight.lookback for sight in each))


def _flat(columns: Needs) -> list[str]:
    return [name for each in columns.values() for name in each]


def look_at_needs(needs: Needs) -> None:
    """ValueError, a sentence, where a strategy needs what no panel can have."""
    taken: dict[str, str] = {}
    for name, columns in needs.items():
        dataset = DATASETS.get(name)
        if dataset is None or not _joinable(dataset):
            known = ", ".join(each.name for each in DATASETS.values() if _joinable(each))
            raise ValueError(say("it needs {dataset}, which is no data set by code: {known}", dataset=name, known=known))
        if unknown := [column for column in columns if column not in dataset.column_names]:
            raise ValueError(say("it needs {columns}, which {dataset} has not", columns=", ".join(unknown), dataset=name))
        for column in columns:
            if column not in dataset.key and taken.setdefault(column, name) != name:
                raise ValueError(
                    say(
                        "it needs {column} of {one} and of {other}: take it of one",
                        column=column,
                        one=taken[column],
                        other=name,
                    )
                )


def assembled(tables: Mapping[str, ByCode], lists: Mapping[str, pl.DataFrame]) -> ByCode:
    """The panel of these rows, sorted by code and day: data set -> its rows by code and session, or by code alone;
    `daily_kline` and `adj_factor` must be there.

    Prices are qfq as of the latest factor given; what is missing beside a bar is null; a bar without a factor before it is
    left out, as its price cannot be compared with the others.
    """
    raw, limits = tables[DAILY_KLINE.name], tables.get(PRICE_LIMITS.name)
    if limits is not None:
        raw = raw.beside(beside(raw, replace(limits, rows=_limits(limits.rows))))
    raw = raw.beside(raw.rows.select(raw_close="close"))
    bars = adjusted(raw, tables[ADJ_FACTOR.name], "qfq")
    bars = bars.without(bars.rows["close"].is_null())
    for name, rows in tables.items():
        if name not in (DAILY_KLINE.name, ADJ_FACTOR.name, PRICE_LIMITS.name):
            bars = bars.beside(beside(bars, rows))
    for rows_of_codes in lists.values():
        bars = bars.beside(beside_codes(bars, rows_of_codes))
    return bars


_FEW = 4
"""Rows that are less than such a part of all are fetched one by one; of more, the others are left out, which is faster."""


@dataclass(frozen=True)
class SharedPanel:
    """A panel for the sessions from `first` on, of which each of several strategies sees its own part."""

    whole: ByCode
    first: dt.date

    def seen(self, sight: Sight) -> pl.DataFrame:
        """What one of them looks at: of each code as many bars as it takes, so that its marks are those that it finds alone,
        and cost what its own bars cost."""
        import numpy as np  # a tenth of a second of every process that only declares strategies

        columns = ["ts_code", "trade_date", *(name for each in sight.columns.values() for name in each), "raw_close"]
        rows, offsets = self._rows.select(columns), self.whole.offsets
        begins = offsets[:-1] + np.maximum(self._before - sight.lookback, 0)
        lengths = offsets[1:] - begins
        if lengths.sum() < rows.height // _FEW:
            return rows[rows_from(begins, lengths)]
        kept = self._places >= -sight.lookback
        return rows if kept.all() else rows.filter(pl.Series(kept))

    @cached_property
    def _rows(self) -> pl.DataFrame:
        return self.whole.frame()

    @cached_property
    def _before(self) -> Any:
        return self.whole.counted_before(self.first)

    @cached_property
    def _places(self) -> Any:
        """Of each row its place among its code's rows, counted from the first one in the sessions (int32)."""
        import numpy as np

        firsts = (self.whole.offsets[:-1] + self._before).astype(np.int32)
        return np.arange(self.whole.rows.height, dtype=np.int32) - np.repeat(firsts, self.whole.lengths)


def _joinable(dataset: Dataset) -> bool:
    return dataset.key in (_BAR_KEY, _LIST_KEY)


def _limits(rows: pl.DataFrame) -> pl.DataFrame:
    """Null on both sides where there is no limit: sources write a price that nothing reaches."""
    limited = pl.col("up_limit") < STORED_NO_LIMIT
    asked = [name for name in _LIMITS if name in rows.columns]
    return rows.select("trade_date", *(pl.when(limited).then(pl.col(name)).alias(name) for name in asked))
