"""The panel of a backtest's bars: what `strategies.panel.assembled` makes, from factors that stand beside the bars already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl

from quant_pipeline.backtest.layout import NEVER, Array
from quant_pipeline.backtest.market_data import Market
from quant_pipeline.backtest.passes import scaled
from quant_pipeline.backtest.units import UNITS
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, DATASETS, PRICE_LIMITS
from quant_pipeline.market.stretches import ByCode
from quant_pipeline.strategies.panel import Needs, assembled

_PRICES = ("open", "high", "low", "close", "pre_close")
_AS_TRADED = ("vol", "amount")
_LIMITS = ("up_limit", "down_limit")
_CHANGE = pl.when(pl.col("pre_close") != 0).then((pl.col("close") / pl.col("pre_close") - 1) * 100).alias("pct_chg")
"""The same of raw and of adjusted prices."""


@dataclass(frozen=True)
class Read:
    """What the account's own data were read from, and strategies look at, too."""

    bars: ByCode
    factors: ByCode
    limits: Sequence[ByCode]

    def holds(self, name: str, columns: Sequence[str]) -> bool:
        """Whether these columns of the data set need not be read again."""
        return set(columns) <= self._held().get(name, set())

    def _held(self) -> dict[str, set[str]]:
        bars = {name for name in (*_PRICES, *_AS_TRADED) if name in self.bars.rows.columns}
        return {DAILY_KLINE.name: {*bars, "pct_chg"}, PRICE_LIMITS.name: set(_LIMITS)}

    def tables(self, needs: Needs) -> dict[str, pl.DataFrame]:
        """What it holds of this, with its key, and the factors."""
        bars = self.bars.frame().with_columns(_CHANGE)
        frames = {DAILY_KLINE.name: bars, PRICE_LIMITS.name: pl.concat([each.frame() for each in self.limits])}
        held = {name: columns for name, columns in needs.items() if self.holds(name, columns)}
        wanted = {name: frames[name].select(*DATASETS[name].key, *columns) for name, columns in held.items()}
        return {ADJ_FACTOR.name: self.factors.frame(), **wanted}


def panel_of(market: Market, read: Read, factor: Array, needs: Needs, others: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """`read`: what the market was made of · `factor`: beside its bars, NaN where unknown · `needs`: what the strategy looks
    at · `others`: the rows of what of that was read besides.

    Several times as fast as `assembled`, which is asked where a factor is lacking, or other columns of bars are wanted.
    """
    if {DAILY_KLINE.name, PRICE_LIMITS.name} & set(others) or np.isnan(factor).any():
        rows_of = {**read.tables(needs), **others}
        tables = {name: ByCode.sorted(rows_of[name]) for name in (ADJ_FACTOR.name, *needs) if DATASETS[name].dated}
        return assembled(tables, {name: rows_of[name] for name in needs if name not in tables}).frame()
    rows, columns = read.bars.rows, []
    with ThreadPoolExecutor(1) as threads:
        codes = threads.submit(read.bars.code_of_rows)
        for name in needs[DAILY_KLINE.name]:
            if name == "pct_chg":
                columns.append(rows.select(_CHANGE).to_series())
            elif name in _PRICES:
                columns.append(pl.Series(name, scaled(rows[name].fill_null(float("nan")).to_numpy(), factor, market.offsets)))
            else:
                columns.append(rows[name])
        for name, limit in zip(_LIMITS, (market.up, market.down), strict=True):
            if name in needs.get(PRICE_LIMITS.name, ()):
                limited = np.where(market.up == NEVER, np.nan, limit / UNITS)
                columns.append(pl.Series(name, scaled(limited, factor, market.offsets)).fill_nan(None))
    panel = pl.DataFrame([codes.result(), rows["trade_date"], *columns, rows["close"].alias("raw_close")])
    for name, rows in others.items():
        panel = panel.join(rows, on=DATASETS[name].key, how="left", maintain_order="left")
    return panel
