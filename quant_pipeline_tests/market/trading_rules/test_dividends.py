"""Ex-rights prices, what a holder receives, and the tax on it by record date and time of holding."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_pipeline.market.trading_rules import (
    CASH_PARTS,
    SHARE_PARTS,
    cash_received,
    dividend_tax,
    dividend_tax_rate,
    dividend_tax_rates,
    ex_rights_price,
    holding_ends,
    shares_received,
)


def test_the_ex_price_of_000001_on_2015_04_13_is_16_36() -> None:
    assert ex_rights_price(1980, 17_400_000, 200_000) == 1636, "(19.80 - 0.174) / 1.2 = 16.355"


def test_rights_are_paid_into_the_price() -> None:
    # 10 held: 3 rights at 5.00; 10.00 before
    assert ex_rights_price(1000, 0, 0, 300_000, 500) == 885, "11.5 / 1.3 = 8.846"


_YUAN = Decimal(1)


@given(
    st.integers(1, 300_000),
    st.integers(0, 10**8),
    st.integers(0, 3 * 10**6),
    st.integers(0, 10**6),
    st.integers(0, 100_000),
)
def test_the_ex_price_is_what_exact_decimals_give(close: int, cash: int, shares: int, rights: int, price: int) -> None:
    ratio = Decimal(rights) / SHARE_PARTS
    value = Decimal(close) - Decimal(cash) / CASH_PARTS * 100 + price * ratio
    # compared without dividing: the nearest 分 is off by at most half a 分 of the divisor, and a tie goes up
    divisor = 1 + Decimal(shares) / SHARE_PARTS + ratio
    found = ex_rights_price(close, cash, shares, rights, price)
    assert (found - Decimal("0.5")) * divisor <= value < (found + Decimal("0.5")) * divisor
    arrays = ex_rights_price(*(np.array([each]) for each in (close, cash, shares, rights, price)))
    assert arrays.tolist() == [found]


@given(st.integers(0, 10**8), st.integers(0, 10**9), st.integers(0, 3 * 10**6))
def test_a_holder_receives_cash_to_the_fen_and_whole_shares(held: int, cash: int, shares: int) -> None:
    assert cash_received(held, cash) == (Decimal(held) * cash / CASH_PARTS * 100).quantize(_YUAN, ROUND_HALF_UP)
    assert shares_received(held, shares) == (Decimal(held) * shares / SHARE_PARTS).quantize(_YUAN, ROUND_FLOOR)


def test_a_fraction_of_a_share_is_cut_off() -> None:
    assert shares_received(1_445, 300_000) == 433, "433.5"
    assert cash_received(1_000, 3_486_750) == 3_487, "34.8675 元"


@pytest.mark.parametrize(
    ("record", "bought", "sold", "percent"),
    [
        ("2015-09-07", "2015-01-08", "2015-02-08", 20),
        ("2015-09-07", "2015-01-08", "2015-02-09", 10),
        ("2015-09-07", "2014-01-08", "2015-01-09", 5),
        ("2015-09-08", "2014-01-08", "2015-01-08", 10),
        ("2015-09-08", "2014-01-08", "2015-01-09", 0),
        ("2024-06-03", "2024-05-24", "2024-06-24", 20),
        ("2024-06-03", "2024-05-24", "2024-06-25", 10),
        ("2024-02-05", "2024-01-31", "2024-02-29", 20),  # no 31 February: its last day
        ("2024-02-05", "2024-01-31", "2024-03-01", 10),
        ("2024-03-04", "2024-02-29", "2025-02-28", 10),
        ("2024-03-04", "2024-02-29", "2025-03-03", 0),
        ("2012-12-31", "2010-01-04", "2013-01-04", 10),  # flat, withheld
        ("2005-06-13", "2005-06-10", "2005-06-14", 10),
        ("2005-06-10", "2000-06-10", "2005-06-14", 20),
    ],
)
def test_the_tax_is_by_the_record_date_and_by_calendar_months_of_holding(
    record: str, bought: str, sold: str, percent: int
) -> None:
    days = (dt.date.fromisoformat(day) for day in (record, bought, sold))
    assert dividend_tax_rate(*days) == percent


def test_cash_and_bonus_shares_at_par_are_taxed_to_the_fen() -> None:
    assert dividend_tax(17_400, 0, 20) == 3_480
    assert dividend_tax(17_400, 200, 20) == 7_480, "200 bonus shares of 1 元"
    assert dividend_tax(125, 0, 10) == 13, "12.5 分"


@given(st.dates(dt.date(1991, 1, 1), dt.date(2040, 12, 31)), st.integers(0, 800))
def test_whoever_holds_longer_never_pays_more(bought: dt.date, days: int) -> None:
    record = bought
    sold = bought + dt.timedelta(days=days)
    assert dividend_tax_rate(record, bought, sold) >= dividend_tax_rate(record, bought, sold + dt.timedelta(days=1))


def test_rates_and_ends_come_as_arrays() -> None:
    days = np.array(["2024-01-31", "2023-12-15"], dtype="datetime64[D]")
    month, year = holding_ends(days)
    assert [str(day) for day in month] == ["2024-02-29", "2024-01-15"]
    assert [str(day) for day in year] == ["2025-01-31", "2024-12-15"]
    assert dividend_tax_rates(days).tolist() == [[20, 10, 0]] * 2
    assert dividend_tax_rates([dt.date(2010, 1, 4)]).tolist() == [[10, 10, 10]]
