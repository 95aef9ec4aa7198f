"""The panel out of the tables: of each code as many bars as a strategy must see, whoever was halted."""

from __future__ import annotations

import polars as pl

from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_BASIC, DAILY_KLINE, PRICE_LIMITS
from quant_pipeline.market.xshg import xshg
from quant_pipeline.strategies.panel import Sight, all_of
from quant_pipeline.strategies.registry import BUILT_IN
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import snapshot
from quant_pipeline.warehouse.panel import read_panel
from quant_pipeline_tests.sync.stored import CHINEXT, LATEST, MAIN, market, store

DAYS = xshg().window(LATEST, 40)
SCREENED = DAYS[-2:]
LOOKBACK = 5
TRADED = {
    "600000.SH": DAYS,
    "600001.SH": (*DAYS[:10], *DAYS[36:]),  # halted for 26 sessions
    "600002.SH": DAYS[36:],  # new
    "600003.SH": DAYS[:30],  # halted to this day
}


def test_a_halted_code_is_read_from_as_early_as_it_takes(warehouse: Database) -> None:
    bar = {"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0, "vol": 1.0, "amount": 1.0}
    rows = [{"ts_code": code, "trade_date": day} for code, days in TRADED.items() for day in days]
    store(warehouse, DAILY_KLINE, [row | bar for row in rows])
    store(warehouse, ADJ_FACTOR, [row | {"adj_factor": 1.0} for row in rows])
    store(warehouse, PRICE_LIMITS, [row | {"up_limit": 11.0, "down_limit": 9.0} for row in rows])
    store(warehouse, DAILY_BASIC, [row | {"pb": 2.0} for row in rows])
    sight = Sight.of({"daily_kline": ("close",), "price_limits": ("up_limit",), "daily_basic": ("pb",)}, LOOKBACK, {"pb": 4})
    with snapshot(warehouse, None) as stored:
        panel = read_panel(stored, xshg(), sight, SCREENED).frame()
        alone = read_panel(stored, xshg(), sight, SCREENED, codes=["600001.SH"]).frame()
    found = {code: tuple(panel.filter(ts_code=code)["trade_date"]) for code in TRADED}
    assert found["600000.SH"] == DAYS[-7:]
    assert found["600001.SH"] == (*DAYS[7:10], *DAYS[36:]), "five bars before the sessions, three of them before the halt"
    assert found["600002.SH"] == DAYS[36:]
    assert set(found["600003.SH"]) <= set(DAYS), "no bar in the sessions: none is looked for"
    assert panel.equals(panel.sort("ts_code", "trade_date"))
    seen = panel.filter(pl.col("ts_code") != "600003.SH")
    assert seen["up_limit"].null_count() == 0, "also of before the halt"
    of_the_last = seen.group_by("ts_code").agg(pl.col("pb").tail(6).is_null().any())
    assert not of_the_last["pb"].any(), "four bars before the sessions, whoever was halted"
    assert panel.filter(ts_code="600000.SH")["pb"].to_list() == [None, *[2.0] * 6], "it is looked back at less far"
    assert alone.equals(panel.filter(ts_code="600001.SH"))


def test_what_is_looked_at_less_far_is_there_as_far_whoever_was_halted(warehouse: Database) -> None:
    """Of a long range the earlier part is read without such columns."""
    days = xshg().window(LATEST, 160)
    traded = {"600000.SH": days, "600001.SH": (*days[:60], *days[150:]), "600002.SH": (*days[:30], *days[155:])}
    rows = [
        {"ts_code": code, "trade_date": day, "close": float(place + 1), "vol": float(place + 1), "open": 1.0}
        for code, each in traded.items()
        for place, day in enumerate(each)
    ]
    store(warehouse, DAILY_KLINE, [row | {"high": 1000.0, "low": 0.5, "amount": 1.0} for row in rows])
    store(warehouse, ADJ_FACTOR, [{"ts_code": r["ts_code"], "trade_date": r["trade_date"], "adj_factor": 1.0} for r in rows])
    sight = Sight.of({"daily_kline": ("close", "vol", "open")}, 120, {"vol": 20, "open": 10})
    with snapshot(warehouse, None) as stored:
        panel = read_panel(stored, xshg(), sight, [LATEST]).frame()
    assert panel["close"].null_count() == 0
    assert panel["vol"].null_count(), "the earlier ones of who was not halted are left out"
    for code, each in traded.items():
        seen = panel.filter(ts_code=code).tail(21)
        assert seen["vol"].to_list() == seen["close"].to_list(), code
        assert seen["trade_date"].to_list() == list(each[-21:]), code


def test_every_built_in_strategy_finds_what_it_needs_in_the_tables(warehouse: Database) -> None:
    bars = market(warehouse, DAYS, [*MAIN[:3], *CHINEXT[:2]])
    beside = bars.select("ts_code", "trade_date").with_columns(total_mv=1e5, pb=2.0, turnover_rate=1.0)  # no pe_ttm: a loss
    store(warehouse, DAILY_BASIC, beside)
    limits = bars.with_columns(up_limit=(pl.col("pre_close") * 1.1).round(2), down_limit=(pl.col("pre_close") * 0.9).round(2))
    store(warehouse, PRICE_LIMITS, limits.head(30))  # the others' limits are not stored
    strategies = [kind() for kind in BUILT_IN]
    sight = all_of(each.sight for each in strategies)
    with snapshot(warehouse, None) as stored:
        panel = read_panel(stored, xshg(), sight, SCREENED).frame()
    assert panel.height == bars.height
    for strategy in strategies:
        judged = strategy.judged(panel)
        assert judged.height == panel.height, strategy.name
        strategy.screen(panel, SCREENED)
