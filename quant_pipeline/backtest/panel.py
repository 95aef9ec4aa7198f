"""The panel of a backtest's bars: what `strategies.panel.assembled` makes, from factors that stand beside the bars already."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from quant_pipeline.backtest.layout import NEVER, Array
from quant_pipeline.backtest.market_data import Market
from quant_pipeline.backtest.passes import scaled
from quant_pipeline.backtest.units import UNITS
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, DATASETS, PRICE_LIMITS
from quant_pipeline.strategies.panel import assembled

_PRICES = ("open", "high", "low", "close", "pre_close")
_AS_TRADED = ("ts_code", "trade_date", "vol", "amount")
CHANGE = pl.when(pl.col("pre_close") != 0).then((pl.col("close") / pl.col("pre_close") - 1) * 100)
"""pct_chg: the same of raw and of adjusted prices."""


def panel_of(market: Market, bars: pl.DataFrame, factor: Array, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """`bars`: the market's · `factor`: beside them, NaN where unknown · `tables`: what the strategy needs.

    Several times as fast as `assembled`, which is asked where a factor is lacking, or other columns of bars are wanted.
    """
    wanted = tables[DAILY_KLINE.name].columns
    if not set(wanted) <= {*_PRICES, *_AS_TRADED, "pct_chg"} or np.isnan(factor).any():
        return assembled(tables)
    columns = []
    for name in wanted:
        if name == "pct_chg":
            columns.append(bars.select(CHANGE.alias(name)).to_series())
        elif name in _PRICES:
            columns.append(pl.Series(name, scaled(bars[name].fill_null(float("nan")).to_numpy(), factor, market.offsets)))
        else:
            columns.append(bars[name])
    for name, limit in (("up_limit", market.up), ("down_limit", market.down)):
        if PRICE_LIMITS.name in tables and name in tables[PRICE_LIMITS.name].columns:
            limited = np.where(market.up == NEVER, np.nan, limit / UNITS)
            columns.append(pl.Series(name, scaled(limited, factor, market.offsets)).fill_nan(None))
    panel = pl.DataFrame([*columns, bars["close"].alias("raw_close")])
    for name, rows in tables.items():
        if name not in (DAILY_KLINE.name, ADJ_FACTOR.name, PRICE_LIMITS.name):
            panel = panel.join(rows, on=DATASETS[name].key, how="left", maintain_order="left")
    return panel
