"""What fills cost, by date, exchange and side: each change on its day and the day before, counted to the 分."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from quant_pipeline.market import trading_rules
from quant_pipeline.market.trading_rules import (
    PARTS,
    Commission,
    FeeClass,
    buyable,
    commission,
    fee,
    fee_class,
    fee_rates,
    sellable,
    transfer_fee,
    turnover,
)

SH, SZ, BSE = FeeClass.SH_A, FeeClass.SZ_A, FeeClass.BSE


@pytest.mark.parametrize(
    ("kind", "day", "buyer", "seller"),
    [
        (SZ, "1990-11-22", 0, 0),
        (SZ, "1990-11-23", 60_000, 60_000),
        (SH, "1991-10-22", 0, 0),
        (SH, "1991-10-23", 30_000, 30_000),
        (SH, "1997-05-09", 30_000, 30_000),
        (SH, "1997-05-12", 50_000, 50_000),
        (SZ, "1998-06-12", 40_000, 40_000),
        (FeeClass.SH_B, "1999-06-01", 30_000, 30_000),
        (SH, "1999-06-01", 40_000, 40_000),
        (FeeClass.SZ_B, "2001-11-16", 20_000, 20_000),
        (SH, "2001-11-15", 40_000, 40_000),
        (SH, "2001-11-16", 20_000, 20_000),
        (SH, "2005-01-24", 10_000, 10_000),
        (SH, "2007-05-29", 10_000, 10_000),
        (SH, "2007-05-30", 30_000, 30_000),
        (SH, "2008-04-24", 10_000, 10_000),
        (SH, "2008-09-18", 10_000, 10_000),
        (SH, "2008-09-19", 0, 10_000),
        (SZ, "2023-08-25", 0, 10_000),
        (SZ, "2023-08-28", 0, 5_000),
        (BSE, "2021-11-15", 0, 10_000),
        (BSE, "2023-08-28", 0, 5_000),
        (FeeClass.FUND, "2007-05-30", 0, 0),
        (FeeClass.BOND, "2024-01-02", 0, 0),
    ],
)
def test_stamp_duty_is_that_of_the_day_the_exchange_and_the_side(kind: FeeClass, day: str, buyer: int, seller: int) -> None:
    rates = fee_rates([dt.date.fromisoformat(day)])
    assert (rates.stamp_buy[kind, 0], rates.stamp_sell[kind, 0]) == (buyer, seller)


@pytest.mark.parametrize(
    ("kind", "day", "of_turnover", "of_par", "minimum"),
    [
        (SH, "2012-05-31", 0, 10_000, 100),
        (SH, "2012-06-01", 0, 3_750, 0),
        (SH, "2012-09-03", 0, 3_000, 0),
        (SH, "2015-07-31", 0, 3_000, 0),
        (SH, "2015-08-03", 200, 0, 0),
        (SZ, "2015-07-31", 0, 0, 0),
        (SZ, "2015-08-03", 200, 0, 0),
        (SZ, "2022-04-28", 200, 0, 0),
        (SZ, "2022-04-29", 100, 0, 0),
        (BSE, "2022-04-28", 250, 0, 0),
        (BSE, "2022-04-29", 100, 0, 0),
        (FeeClass.FUND, "2024-01-02", 0, 0, 0),
    ],
)
def test_the_transfer_fee_was_of_the_par_value_and_is_of_the_turnover(
    kind: FeeClass, day: str, of_turnover: int, of_par: int, minimum: int
) -> None:
    rates = fee_rates([dt.date.fromisoformat(day)])
    found = rates.transfer[kind, 0], rates.transfer_of_par[kind, 0], rates.transfer_minimum[kind, 0]
    assert found == (of_turnover, of_par, minimum)


@pytest.mark.parametrize(
    ("kind", "day", "handling", "regulatory"),
    [
        (SH, "2011-12-30", 1_100, 400),
        (SH, "2012-05-31", 1_100, 200),
        (SZ, "2012-05-31", 1_475, 200),
        (SH, "2012-06-01", 870, 200),
        (SH, "2012-09-03", 696, 200),
        (SZ, "2012-09-03", 951, 200),
        (SH, "2015-08-03", 487, 200),
        (SZ, "2023-08-25", 487, 200),
        (SZ, "2023-08-28", 341, 200),
        (BSE, "2023-08-28", 1_250, 200),
        (FeeClass.BOND, "2024-01-02", 400, 0),
    ],
)
def test_handling_and_regulatory_fees_are_those_of_the_day(kind: FeeClass, day: str, handling: int, regulatory: int) -> None:
    rates = fee_rates([dt.date.fromisoformat(day)])
    assert (rates.handling[kind, 0], rates.regulatory[kind, 0]) == (handling, regulatory)


def test_rates_come_as_arrays_of_classes_and_days() -> None:
    days = np.array(["2023-08-25", "2023-08-28", "2008-09-19"], dtype="datetime64[D]")
    rates = fee_rates(days)
    assert rates.stamp_sell.shape == (len(FeeClass), 3)
    assert rates.stamp_sell[SH].tolist() == [10_000, 5_000, 10_000]
    assert rates.stamp_sell.dtype == np.int64


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("600000.SH", SH),
        ("688001.SH", SH),
        ("300001.SZ", SZ),
        ("920001.BJ", BSE),
        ("900901.SH", FeeClass.SH_B),
        ("200002.SZ", FeeClass.SZ_B),
        ("510300.SH", FeeClass.FUND),
        ("127045.SZ", FeeClass.BOND),
        ("303001.SZ", SZ),
    ],
)
def test_a_code_is_charged_as_its_board_and_exchange(code: str, kind: FeeClass) -> None:
    assert fee_class(code) is kind


def test_a_sale_of_ten_thousand_yuan_in_2024_costs_five_yuan_and_ten_fen() -> None:
    # 1,000 shares at 10.00: commission 2.50, so 5.00 at least; stamp duty 5.00; transfer fee 0.10
    amount = turnover(1_000, 1_000)
    rates = fee_rates([dt.date(2024, 1, 2)])
    assert amount == 1_000_000
    assert fee(amount, int(rates.stamp_sell[SH, 0])) == 500
    assert transfer_fee(amount, 1_000, int(rates.transfer[SH, 0]), 0, 0) == 10
    usual = Commission()
    assert commission(amount, usual.rate, usual.minimum) == 500
    assert fee(amount, int(rates.handling[SH, 0])) == 34, "34.1 分"
    assert fee(amount, int(rates.regulatory[SH, 0])) == 20


def test_a_purchase_in_shanghai_in_2010_pays_a_thousandth_of_the_par_one_yuan_at_least() -> None:
    rates = fee_rates([dt.date(2010, 1, 4)])
    asked = int(rates.transfer[SH, 0]), int(rates.transfer_of_par[SH, 0]), int(rates.transfer_minimum[SH, 0])
    assert transfer_fee(turnover(1_234, 5_000), 5_000, *asked) == 500
    assert transfer_fee(turnover(1_234, 300), 300, *asked) == 100
    assert transfer_fee(0, 0, *asked) == 0


def test_fine_ticks_are_rounded_half_up_to_the_fen() -> None:
    assert turnover(1_005, 1, 1000) == 101
    assert turnover(3_785, 100, 1000) == 37_850
    assert fee(100, 50_000) == 1, "half a 分"
    assert fee(99, 50_000) == 0


def test_the_minimum_is_an_order_s_not_a_fill_s() -> None:
    fills = [100_000, 300_000, 2_000_000]
    paid, before = [], 0
    for amount in fills:
        paid.append(commission(before + amount, 2_500, 500) - commission(before, 2_500, 500))
        before += amount
    assert paid == [500, 0, 100]
    assert sum(paid) == commission(sum(fills), 2_500, 500) == 600


@given(st.integers(0, 7 * 10**13), st.integers(0, 60_000))
def test_each_fee_is_what_exact_decimals_give(amount: int, rate: int) -> None:
    exact = (Decimal(amount) * rate / PARTS).quantize(Decimal(1), ROUND_HALF_UP)
    assert fee(amount, rate) == exact
    assert fee(np.array([amount]), np.array([rate]))[0] == exact
    assert commission(amount, rate, 500) == (max(exact, 500) if amount else 0)


@given(st.lists(st.integers(1, 10**9), min_size=1), st.integers(0, 30_000), st.integers(0, 1_000))
def test_fills_of_an_order_pay_together_what_the_whole_would(fills: list[int], rate: int, minimum: int) -> None:
    done = [sum(fills[:count]) for count in range(len(fills) + 1)]
    parts = [commission(after, rate, minimum) - commission(before, rate, minimum) for before, after in pairwise(done)]
    assert min(parts) >= 0
    assert sum(parts) == commission(sum(fills), rate, minimum)


def test_a_compiled_loop_takes_the_arithmetic_as_it_is() -> None:
    assert njit(fee)(1_000_050, 5_000) == fee(1_000_050, 5_000)
    assert njit(commission)(12_345_678, 2_500, 500) == commission(12_345_678, 2_500, 500)
    assert njit(transfer_fee)(617_000, 500, 0, 10_000, 100) == transfer_fee(617_000, 500, 0, 10_000, 100)
    assert njit(buyable)(253, 200, 1) == 253
    assert njit(sellable)(150, 250, 100, 100) == 150


@pytest.mark.parametrize(("rate", "minimum"), [(-1, 0), (PARTS + 1, 0), (2_500, -1)])
def test_a_commission_that_cannot_be_is_refused(rate: int, minimum: int) -> None:
    with pytest.raises(ValueError, match="a commission of"):
        Commission(rate, minimum)


@pytest.mark.parametrize(
    "table",
    [
        trading_rules.STAMP_DUTIES,
        trading_rules.TRANSFER_FEES,
        trading_rules.HANDLING_FEES,
        trading_rules.REGULATORY_FEES,
    ],
)
def test_each_fee_names_its_source_and_no_two_begin_on_one_day(
    table: tuple[trading_rules.StampDuty, ...],
) -> None:
    places = [(each, rule.since) for rule in table for each in rule.classes]
    assert len(set(places)) == len(places)
    assert all(rule.source for rule in table)
