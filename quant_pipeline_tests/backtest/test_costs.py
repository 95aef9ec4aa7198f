"""What an order costs, by date, board and side: computed by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from quant_pipeline_tests.backtest.world import BOND, BSE, CALENDAR, ETF, A, B, cash, days, replayed, world

DEFAULTS: dict[str, Any] = {
    "commission": 0.00025,
    "minimum_commission": 5,
    "stamp_duty_buy": None,
    "stamp_duty_sell": None,
    "transfer_fee": None,
}
ON_TOP: dict[str, Any] = {"commission_all_in": False}
NAMES = ("commission", "stamp_duty", "transfer_fee", "handling_fee", "regulatory_fee")


@pytest.mark.parametrize(
    ("code", "day", "side", "price", "shares", "settings", "expected"),
    [
        pytest.param(A, "2024-03-04", "sell", 10.0, 1000, {}, (5.00, 5.00, 0.10, 0, 0), id="minimum-commission"),
        pytest.param(A, "2024-03-04", "buy", 10.0, 10_000, {}, (25.00, 0, 1.00, 0, 0), id="buyers-pay-no-stamp-duty"),
        pytest.param(A, "2024-03-04", "sell", 9.99, 700, {}, (5.00, 3.50, 0.07, 0, 0), id="half-up-to-the-cent"),
        pytest.param(A, "2024-03-04", "sell", 5.01, 900, {}, (5.00, 2.25, 0.05, 0, 0), id="down-below-half-a-cent"),
        pytest.param(A, "2023-08-25", "sell", 10.0, 10_000, {}, (25.00, 100.00, 1.00, 0, 0), id="duty-to-2023-08-25"),
        pytest.param(A, "2023-08-28", "sell", 10.0, 10_000, {}, (25.00, 50.00, 1.00, 0, 0), id="duty-from-2023-08-28"),
        pytest.param(B, "2022-04-28", "buy", 10.0, 10_000, {}, (25.00, 0, 2.00, 0, 0), id="transfer-fee-to-2022-04-28"),
        pytest.param(B, "2022-04-29", "buy", 10.0, 10_000, {}, (25.00, 0, 1.00, 0, 0), id="transfer-fee-from-2022-04-29"),
        pytest.param(A, "2015-07-31", "buy", 10.0, 10_000, {}, (25.00, 0, 3.00, 0, 0), id="shanghai-by-par-2015"),
        pytest.param(B, "2015-07-31", "buy", 10.0, 10_000, {}, (25.00, 0, 0, 0, 0), id="shenzhen-none-before-2015-08"),
        pytest.param(A, "2010-03-04", "buy", 10.0, 10_000, {}, (25.00, 0, 10.00, 0, 0), id="shanghai-by-par-2010"),
        pytest.param(A, "2010-03-04", "buy", 10.0, 500, {}, (5.00, 0, 1.00, 0, 0), id="shanghai-at-least-a-yuan"),
        pytest.param(B, "2007-06-01", "buy", 10.0, 10_000, {}, (25.00, 300.00, 0, 0, 0), id="duty-of-2007-both-sides"),
        pytest.param(B, "2008-09-18", "buy", 10.0, 10_000, {}, (25.00, 100.00, 0, 0, 0), id="buyers-duty-to-2008-09-18"),
        pytest.param(B, "2008-09-19", "buy", 10.0, 10_000, {}, (25.00, 0, 0, 0, 0), id="no-buyers-duty-from-2008-09-19"),
        pytest.param(ETF, "2024-03-04", "sell", 3.456, 1000, {}, (5.00, 0, 0, 0, 0), id="funds-pay-neither"),
        pytest.param(BOND, "2024-03-04", "sell", 112.345, 1000, {}, (28.09, 0, 0, 0, 0), id="bonds-pay-neither"),
        pytest.param(BSE, "2024-03-04", "sell", 10.0, 10_000, {}, (25.00, 50.00, 1.00, 0, 0), id="beijing"),
        pytest.param(A, "2024-03-04", "buy", 10.0, 10_000, ON_TOP, (25.00, 0, 1.00, 3.41, 2.00), id="fees-on-top"),
        pytest.param(A, "2020-03-04", "buy", 10.0, 10_000, ON_TOP, (25.00, 0, 2.00, 4.87, 2.00), id="fees-on-top-2020"),
        pytest.param(
            A, "2024-03-04", "sell", 10.0, 10_000,
            {"stamp_duty_sell": 0.002, "commission": 0.001, "transfer_fee": 0.0001}, (100.00, 200.00, 10.00, 0, 0),
            id="every-rate-can-be-set",
        ),
        pytest.param(
            A, "2024-03-04", "sell", 9.99, 700, {"rounding": False, "minimum_commission": 0},
            (1.7483, 3.4965, 0.0699, 0, 0), id="without-rounding",
        ),
    ],
)  # fmt: skip
def test_costs(
    code: str, day: str, side: str, price: float, shares: int, settings: dict[str, Any], expected: tuple[float, ...]
) -> None:
    session = dt.date.fromisoformat(day)
    sessions = (CALENDAR.shift(session, -1), session)
    market = world({code: [price, price]}, sessions=sessions)
    orders = [(1, code, "buy", shares)] if side == "buy" else [(0, code, "buy", shares), (1, code, "sell", shares)]
    frames = replayed(market, orders, **{**DEFAULTS, **settings})
    row = frames.trades.row(-1, named=True)
    assert row["kind"] == side
    assert tuple(row[name] for name in NAMES) == pytest.approx(expected, abs=1e-9)
    before = frames.trades["cash"][-2] if side == "sell" else 1_000_000
    value = price * shares * (1 if side == "sell" else -1)
    assert row["cash"] == pytest.approx(before + value - sum(expected), abs=1e-6)


def test_the_minimum_commission_is_of_an_order_not_of_a_fill() -> None:
    """An order whose rest is sent again the next session is another order: it pays its minimum again, as at the broker's."""
    bars = [(10.0, 10.0, 10.0, 10.0, 10.0, 100.0)] * 3  # 10,000 shares a session
    frames = replayed(world({A: bars}), [(0, A, "buy", 1000)], **DEFAULTS, volume_share=0.05, buy_patience=2)
    assert frames.trades["shares"].to_list() == [500, 500]
    assert frames.trades["commission"].to_list() == [5.0, 5.0]
    whole = replayed(world({A: bars}), [(0, A, "buy", 1000)], **DEFAULTS, volume_share=0.1)
    assert whole.trades["commission"].to_list() == [5.0]
    assert cash(whole)[-1] == 1_000_000 - 10_000 - 5.0 - 0.1


def test_costs_stand_apart_by_kind() -> None:
    sessions = days(2)
    market = world({A: [10.0, 10.0]}, sessions=sessions)
    frames = replayed(market, [(0, A, "buy", 10_000), (1, A, "sell", 10_000)], **DEFAULTS, **ON_TOP)
    sums = {name: frames.trades[name].sum() for name in NAMES}
    assert sums == pytest.approx(dict(zip(NAMES, (50.0, 50.0, 2.0, 6.82, 4.0), strict=True)))
    assert frames.equity["equity"][-1] == pytest.approx(1_000_000 - sum(sums.values()))
