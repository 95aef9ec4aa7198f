"""The ten complaints that users have of backtests: none of them is one here."""

from __future__ import annotations

import datetime as dt
import io
import re

import polars as pl
import pytest
from rich.console import Console

from quant_pipeline.backtest.annual import readable
from quant_pipeline.backtest.counted_limits import counted_limits
from quant_pipeline.backtest.reading import _within
from quant_pipeline.backtest.run import of_orders
from quant_pipeline.backtest.settings import Settings
from quant_pipeline.console.backtest import output_of
from quant_pipeline.market.adjustment import adjust
from quant_pipeline_tests.backtest.world import (
    CALENDAR,
    CHINEXT,
    FREE,
    A,
    B,
    cash,
    days,
    fates,
    replayed,
    signalled,
    weighted,
    world,
)

M = 1_000_000.0


def test_1_limit_up_is_not_bought_nor_limit_down_sold_and_the_mirror_trades_fill() -> None:
    market = world({A: [10.0, 11.0, 9.9], B: [10.0, 9.0, 9.9]}, limits={A: [(11, 9)] * 2 + [(12.1, 9.9)], B: [(11, 9)] * 3})
    orders = [(0, A, "buy", 200), (0, B, "buy", 100), (1, A, "buy", 100), (1, A, "sell", 100), (1, B, "sell", 100)]
    frames = replayed(market, [*orders, (1, B, "buy", 100)], sell_patience=0)
    assert [fate[3:] for fate in fates(frames)[2:]] == [
        ("refused", "limit_up"),
        ("filled", "none"),
        ("refused", "limit_down"),
        ("filled", "none"),
    ]


@pytest.mark.parametrize(
    ("code", "day", "name", "up"),
    [
        (A, "2024-03-04", "浦发银行", 11.0),
        (A, "2024-03-04", "ST浦发", 10.5),
        (A, "2026-07-03", "*ST浦发", 10.5),
        (A, "2026-07-06", "*ST浦发", 11.0),
        (CHINEXT, "2020-08-21", "特锐德", 11.0),
        (CHINEXT, "2020-08-24", "特锐德", 12.0),
        ("688001.SH", "2024-03-04", "华兴源创", 12.0),
        ("920001.BJ", "2024-03-04", "北证", 13.0),
    ],
)
def test_2_limits_follow_board_date_and_st(code: str, day: str, name: str, up: float) -> None:
    session = dt.date.fromisoformat(day)
    bars = pl.DataFrame({"ts_code": [code], "trade_date": [session], "pre_close": [10.0]})
    listed = pl.DataFrame({"ts_code": [code], "list_date": [dt.date(2019, 8, 1)]})
    names = pl.DataFrame({"ts_code": [code], "name": [name], "start_date": [dt.date(2019, 8, 1)]})
    assert counted_limits(bars, listed, names, CALENDAR)["up_limit"].to_list() == [up]


def test_3_shares_are_t_plus_1_cash_is_not_and_sales_come_first() -> None:
    market = world({A: [10.0, 10.0], B: [5.0, 5.0]})
    frames = replayed(market, [(0, A, "buy", 100_000), (1, B, "buy", 200_000), (1, A, "sell", 100_000)])
    assert [fate[3] for fate in fates(frames)] == ["filled"] * 3
    same = replayed(market, [(0, A, "buy", 100), (0, A, "sell", 100)])
    assert fates(same)[1][3:] == ("refused", "t_plus_1")


def test_4_lots_and_cash_are_counted_in_raw_prices_and_a_later_factor_changes_nothing_before_it() -> None:
    bars = {A: [20.0, 20.0, (10.0, 10.0, 10.0, 10.0, 10.0)]}
    before = replayed(world({A: bars[A][:2]}), [(0, A, "buy", 100)])
    after = replayed(world(bars, factors={A: [1.0, 1.0, 2.0]}), [(0, A, "buy", 100)])
    assert cash(before) == cash(after)[:2] == [M - 2000, M - 2000]
    sessions = days(3)
    raw = pl.DataFrame({"ts_code": [A] * 3, "trade_date": sessions, "close": [20.0, 20.0, 10.0]})
    factors = pl.DataFrame({"ts_code": [A] * 3, "trade_date": sessions, "adj_factor": [1.0, 1.0, 2.0]})
    assert adjust(raw, factors, "qfq")["close"].to_list() == [10.0, 10.0, 10.0]  # as 同花顺 draws it


def test_5_a_halt_pads_no_bar_and_holds_up_no_rebalance() -> None:
    market = world({A: [10.0, None, None], B: [10.0, 10.0, 10.0]})
    assert market.market.offsets.tolist() == [0, 3, 4]  # B's three, A's one
    frames = weighted(market, [(0, A, 0.5), (1, B, 0.5)], fill="close")
    assert fates(frames)[1:] == [(A, "sell", 0, "waiting", "halted"), (B, "buy", 50_000, "filled", "none")]


def test_6_time_grows_with_the_trades_not_with_the_bars() -> None:
    """Speed itself is measured in benchmarks/; here: nothing is looked at that is neither held nor ordered."""
    market = world({f"{600000 + number}.SH": [10.0] * 30 for number in range(200)})
    frames = signalled(market, {(0, A): 1, (5, A): -1}, max_positions=1)
    assert frames.trades.height == 2
    assert frames.positions.height == 5


def test_7_costs_are_dated_itemised_and_their_minimum_is_of_an_order() -> None:
    costs = {"commission": 0.00025, "minimum_commission": 5, "stamp_duty_sell": None, "transfer_fee": None}
    paid = []
    for first in ("2023-08-24", "2023-08-25"):
        market = world({A: [10.0, 10.0]}, sessions=days(2, first))
        paid.append(replayed(market, [(0, A, "buy", 1000), (1, A, "sell", 1000)], **costs).trades.row(-1, named=True))
    assert [(row["commission"], row["stamp_duty"], row["transfer_fee"]) for row in paid] == [(5, 10, 0.1), (5, 5, 0.1)]


def test_8_warm_up_comes_before_the_range() -> None:
    """Signals of before the range are not followed; the first session of the range may decide already."""
    market = world({A: [10.0] * 5})
    from dataclasses import replace

    later = replace(market, first=2)
    assert fates(signalled(later, {(1, A): 1})) == []
    assert signalled(later, {(2, A): 1}).orders["made_on"].to_list() == [days(5)[3]]


def test_9_who_was_a_member_is_asked_by_the_day_and_delisted_codes_stay() -> None:
    sessions = days(4)
    panel = pl.DataFrame({"ts_code": [A] * 4 + [B] * 4, "trade_date": [*sessions] * 2})
    members = pl.DataFrame({"trade_date": [sessions[0], sessions[2]], "ts_code": [A, B]})
    assert _within(panel, members)["in_universe"].to_list() == [True, True, False, False, False, False, True, True]
    gone = world({A: [10.0, 2.0], B: [1.0] * 4}, sessions=sessions, delisted={A: sessions[2]})
    assert cash(replayed(gone, [(0, A, "buy", 100)]))[-1] == M - 1000 + 200


def test_10_every_order_is_a_row_with_its_reason() -> None:
    market = world({A: [10.0, None, 10.0], B: [10.0] * 3})
    orders = [(0, B, "buy", 50), (1, A, "buy", 100), (1, B, "sell", 100), (2, B, "buy", 10_000_000)]
    frames = replayed(market, orders)
    assert [fate[1:] for fate in fates(frames)] == [
        ("buy", 0, "refused", "lot"),
        ("buy", 0, "refused", "halted"),
        ("sell", 0, "refused", "not_held"),
        ("buy", 100_000, "part_filled", "cash"),
    ]


def test_another_engines_result_is_repeated_by_settings() -> None:
    """A textbook's arithmetic (vectorbt, backtrader with cheat-on-close): all the cash in at the close of the signal, no cost,
    no lots: 100,000 x 12 / 10 x 9 / 8."""
    market = world({A: [10.0, 12.0, 8.0, 9.0, 9.0]})
    signals = {(0, A): 1, (1, A): -1, (2, A): 1, (3, A): -1}
    frames = signalled(
        market, signals, fill="close", capital=100_000, max_positions=1, lots=False, rounding=False, price_limits=False
    )
    assert frames.equity["equity"].to_list() == [100_000, 120_000, 120_000, 135_000, 135_000]
    with_fees = signalled(
        market, signals, fill="close", capital=100_000, max_positions=1, lots=False, rounding=False, commission=0.001
    )
    # 9,990 shares for 99,900 and 99.9; sold for 119,880 less 119.88.
    assert with_fees.equity["cash"][1] == pytest.approx(100_000 - 99_900 - 99.9 + 119_880 - 119.88, abs=1e-3)


def test_a_good_month_is_no_year_of_a_millionfold_and_one_beyond_belief_is_told() -> None:
    orders = pl.DataFrame({"date": days(1), "code": [A], "side": ["buy"], "shares": [100_000]})
    result = of_orders(world({A: [10.0, 9.0, 120.0]}), orders, Settings(**{**FREE, "capital": 1_000_000, "fill": "close"}))
    output = output_of(result, "1", "http://page", "no copy")
    console = Console(file=io.StringIO(), width=200)
    console.print(*output.shown)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "– (fewer than 122 sessions: not annualised)" in text
    assert re.search(r"Sharpe · Sortino · Calmar.* · –\W*$", text, re.MULTILINE)
    assert "! the capital grew 12-fold in 3 sessions, which is implausible: look for look-ahead" in text
    assert output.facts["figures"]["annual_return"] > 1e6, "JSON keeps its numbers"
    long = readable({**output.facts["figures"], "sessions": 122}, output.facts["settings"])
    assert (long["annual_return"], long["calmar"]) == (result.figures.annual_return, result.figures.calmar)
