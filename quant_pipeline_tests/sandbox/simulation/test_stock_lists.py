"""Old and new codes of the Beijing exchange."""

from __future__ import annotations

import polars as pl
import pytest

from quant_pipeline.market import clock
from quant_pipeline.market.codes import is_former_bse
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

A_LOT = 10**6


def test_every_code_that_was_renumbered_has_an_old_one(market: SimulatedMarket) -> None:
    mapping = market.frame("bse_mapping", {}, A_LOT)
    stocks = market.frame("stock_basic", {"exchange": "BSE", "list_status": "L,D"}, A_LOT)
    of_then = stocks.filter(
        (pl.col("list_date") < "20251009") & (pl.col("delist_date").is_null() | (pl.col("delist_date") > "20251009"))
    )
    assert len(mapping) > 5
    assert set(mapping["n_code"]) == set(of_then["ts_code"])
    assert len(of_then) < len(stocks)
    assert mapping["o_code"].is_unique().all()
    assert all(is_former_bse(code) for code in mapping["o_code"])
    named = mapping.join(stocks, left_on="n_code", right_on="ts_code", suffix="_today")
    assert (named["name"] == named["name_today"]).all()
    assert (named["list_date"] == named["list_date_today"]).all()
    old = mapping["o_code"][0]
    assert market.frame("bse_mapping", {"o_code": old}, A_LOT).equals(mapping.head(1))


def test_before_the_day_there_is_no_mapping(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clock.NOW_VARIABLE, "2025-10-08T18:00")
    assert len(market.frame("bse_mapping", {}, A_LOT)) == 0
    monkeypatch.setenv(clock.NOW_VARIABLE, "2025-10-09T08:00")
    assert len(market.frame("bse_mapping", {}, A_LOT)) > 5
