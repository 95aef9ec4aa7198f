"""Dividends, new shares, their tax by holding period, and factor steps without a record: computed by hand."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from quant_pipeline.backtest.run import of_orders
from quant_pipeline.backtest.settings import Settings
from quant_pipeline_tests.backtest.world import CALENDAR, FREE, A, cash, days, replayed, world

M = 1_000_000.0


def ex(day: int, sessions: tuple[dt.date, ...], **amounts: float) -> dict[str, object]:
    return {"ex_date": sessions[day], "record_date": sessions[day - 1], **amounts}


def test_cash_comes_on_the_ex_date_to_who_held_before_it() -> None:
    sessions = days(3)
    market = world(
        {A: [10.0, (9.0, 9.0, 9.0, 9.0, 9.0), 9.0]},
        factors={A: [1.0, 10 / 9, 10 / 9]},
        dividends=[ex(1, sessions, cash_div_tax=1.0)],
    )
    held = replayed(market, [(0, A, "buy", 1000)])
    assert cash(held) == [M - 10_000, M - 9_000, M - 9_000]
    assert held.equity["equity"].to_list() == [M, M, M]
    late = replayed(market, [(1, A, "buy", 1000)])
    assert cash(late) == [M, M - 9_000, M - 9_000]


def test_bonus_shares_come_on_the_ex_date_and_can_be_sold_on_it() -> None:
    sessions = days(2)
    market = world(
        {A: [13.0, (10.0, 10.0, 10.0, 10.0, 10.0)]},
        factors={A: [1.0, 1.3]},
        dividends=[ex(1, sessions, stk_co_rate=0.3)],
    )
    frames = replayed(market, [(0, A, "buy", 1000), (1, A, "sell", 1300)])
    assert cash(frames) == [M - 13_000, M]
    assert frames.trades["profit"].to_list()[-1] == 0.0


def test_the_fraction_of_a_new_share_is_cut_off() -> None:
    sessions = days(2)
    market = world(
        {A: [13.0, (11.5, 11.5, 11.5, 11.5, 11.5)]},
        factors={A: [1.0, 13 / 11.5]},
        dividends=[ex(1, sessions, stk_co_rate=0.1305)],
    )
    frames = replayed(market, [(0, A, "buy", 100)])
    assert frames.positions["shares"].to_list() == [100, 113]


@pytest.mark.parametrize(
    ("bought", "sold", "expected"),
    [
        pytest.param("2024-03-01", "2024-04-01", 200.0, id="a-month-to-the-day"),
        pytest.param("2024-03-01", "2024-04-02", 100.0, id="a-day-more"),
        pytest.param("2023-03-06", "2024-03-06", 100.0, id="a-year-to-the-day"),
        pytest.param("2023-03-03", "2024-03-06", 0.0, id="longer"),
    ],
)
def test_dividends_are_taxed_at_the_sale_by_how_long_the_shares_were_held(bought: str, sold: str, expected: float) -> None:
    first, last = dt.date.fromisoformat(bought), dt.date.fromisoformat(sold)
    sessions = CALENDAR.between(first, last)
    rest = len(sessions) - 1
    market = world(
        {A: [10.0] + [(9.0, 9.0, 9.0, 9.0, 9.0)] * rest},
        sessions=sessions,
        factors={A: [1.0] + [10 / 9] * rest},
        dividends=[ex(1, sessions, cash_div_tax=1.0)],
    )
    frames = replayed(market, [(0, A, "buy", 1000), (rest, A, "sell", 1000)])
    assert frames.trades["dividend_tax"].to_list() == [0.0, 0.0, expected]
    assert cash(frames)[-1] == M - 10_000 + 1_000 + 9_000 - expected
    untaxed = replayed(market, [(0, A, "buy", 1000), (rest, A, "sell", 1000)], dividend_tax=False)
    assert cash(untaxed)[-1] == M


def test_before_2013_it_is_withheld_when_paid() -> None:
    sessions = days(3, "2010-03-01")
    market = world(
        {A: [10.0, (9.0, 9.0, 9.0, 9.0, 9.0), 9.0]},
        sessions=sessions,
        factors={A: [1.0, 10 / 9, 10 / 9]},
        dividends=[ex(1, sessions, cash_div_tax=1.0)],
    )
    frames = replayed(market, [(0, A, "buy", 1000), (2, A, "sell", 1000)])
    assert frames.trades["dividend_tax"].to_list() == [0.0, 100.0, 0.0]
    assert cash(frames) == [M - 10_000, M - 9_100, M - 100]


def test_bonus_shares_are_taxed_at_their_par_and_transferred_ones_are_not() -> None:
    sessions = days(3)
    bars = {A: [15.0, (10.0, 10.0, 10.0, 10.0, 10.0), 10.0]}
    factors = {A: [1.0, 1.5, 1.5]}
    taxed = world(bars, factors=factors, dividends=[ex(1, sessions, stk_bo_rate=0.3, stk_co_rate=0.2)])
    frames = replayed(taxed, [(0, A, "buy", 1000), (2, A, "sell", 1500)])
    assert frames.trades["dividend_tax"].to_list()[-1] == 60.0  # 20 % of 300 shares x 1 yuan


def test_the_oldest_shares_are_sold_first() -> None:
    """1,000 held for two months and 1,000 for days: selling 1,500 pays 10 % of 1,000 and 20 % of 500."""
    sessions = CALENDAR.between(dt.date(2024, 3, 1), dt.date(2024, 5, 10))
    rest = len(sessions) - 4
    market = world(
        {A: [10.0] * (rest + 1) + [(9.0, 9.0, 9.0, 9.0, 9.0)] * 3},
        sessions=sessions,
        factors={A: [1.0] * (rest + 1) + [10 / 9] * 3},
        dividends=[ex(rest + 1, sessions, cash_div_tax=1.0)],
    )
    last = len(sessions) - 1
    frames = replayed(market, [(0, A, "buy", 1000), (rest, A, "buy", 1000), (last, A, "sell", 1500)])
    assert frames.trades["dividend_tax"].to_list()[-1] == 100.0 + 100.0
    assert frames.trades["sessions_held"].to_list()[-1] == last


def test_a_factor_step_without_a_record_is_booked_as_cash_and_marked() -> None:
    market = world({A: [10.0, (9.5, 9.5, 9.5, 9.5, 9.5)]}, factors={A: [1.0, 10 / 9.5]})
    frames = replayed(market, [(0, A, "buy", 1000)])
    assert frames.trades.select("kind", "value", "dividend_tax").rows()[-1] == ("step", 500.0, 0.0)
    assert frames.equity["equity"].to_list() == [M, M]


def test_where_steps_lack_their_records_the_command_names_the_range() -> None:
    """Without a window `sync` takes the latest session only."""
    market = world({A: [10.0, (9.5, 9.5, 9.5, 9.5, 9.5)]}, factors={A: [1.0, 10 / 9.5]})
    orders = pl.DataFrame({"date": [days(2)[0]], "code": [A], "side": ["buy"], "shares": [1000]})
    (note,) = of_orders(market, orders, Settings(**FREE)).notes
    assert note.endswith(f"quant-pipeline sync --datasets dividends --start {days(2)[0]} --end {days(2)[-1]}")


def test_the_part_of_a_step_that_a_record_leaves_open_is_booked_too() -> None:
    """A record of 0.5 yuan beside rights worth another yuan."""
    sessions = days(2)
    market = world(
        {A: [10.0, (8.5, 8.5, 8.5, 8.5, 8.5)]},
        factors={A: [1.0, 10 / 8.5]},
        dividends=[ex(1, sessions, cash_div_tax=0.5)],
    )
    frames = replayed(market, [(0, A, "buy", 1000)])
    assert frames.trades.select("kind", "value").rows()[1:] == [("dividend", 500.0), ("step", 1000.0)]
    assert frames.equity["equity"].to_list() == [M, M]


def test_a_dividend_in_a_halt_is_paid_on_its_day() -> None:
    sessions = days(3)
    market = world(
        {A: [10.0, None, (9.0, 9.0, 9.0, 9.0, 9.0)]},
        factors={A: [1.0, 10 / 9, 10 / 9]},
        dividends=[ex(1, sessions, cash_div_tax=1.0)],
    )
    frames = replayed(market, [(0, A, "buy", 1000)])
    assert cash(frames) == [M - 10_000, M - 9_000, M - 9_000]
    assert frames.equity["equity"].to_list() == [M, M, M]
    assert frames.trades["kind"].to_list() == ["buy", "dividend"]
