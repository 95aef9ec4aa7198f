"""The opening auction: one price, the day's open; 股 and 元."""

from __future__ import annotations

import polars as pl

from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

A_LOT = 10**6
SPAN = {"start_date": "20261101", "end_date": "20261120"}


def test_an_auction_is_done_at_the_open(market: SimulatedMarket) -> None:
    auctions = market.frame("stk_auction_o", SPAN, A_LOT)
    both = auctions.join(market.frame("daily", SPAN, A_LOT), on=("ts_code", "trade_date"), suffix="_day")
    assert len(both) == len(auctions) == len(market.frame("daily", SPAN, A_LOT))
    held = both.select(
        price=pl.all_horizontal(pl.col("open", "high", "low", "close", "vwap") == pl.col("open_day")),
        lots=(pl.col("vol") % 100 == 0) & (pl.col("vol") >= 100),
        within=pl.col("vol") <= pl.col("vol_day") * 100,
        money=(pl.col("amount") - pl.col("vol") * pl.col("open")).abs() < 0.01,
    )
    assert held.select(pl.all().all()).row(0) == (True,) * held.width
    share = both.select(pl.col("vol").sum() / pl.col("vol_day").sum() / 100).item()
    assert 0.01 < share < 0.06


def test_an_auction_is_the_same_whatever_was_asked(market: SimulatedMarket, exchange: Exchange) -> None:
    whole = market.frame("stk_auction_o", SPAN, A_LOT)
    code = whole["ts_code"][-1]
    alone = SimulatedMarket(exchange).frame("stk_auction_o", {"ts_code": code, "trade_date": "20261103"}, A_LOT)
    assert alone.equals(whole.filter((pl.col("ts_code") == code) & (pl.col("trade_date") == "20261103")))
