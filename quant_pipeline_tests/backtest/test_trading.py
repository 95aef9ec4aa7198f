"""How orders trade: limits, halts, T+1, lots, cash, volume, slippage, fills. Every sum is computed by hand."""

from __future__ import annotations

import datetime as dt

import pytest

from quant_pipeline_tests.backtest.world import (
    BOND,
    BSE,
    CHINEXT,
    ETF,
    STAR,
    A,
    B,
    C,
    cash,
    days,
    fates,
    replayed,
    signalled,
    weighted,
    world,
)

M = 1_000_000.0


# --- limits -----------------------------------------------------------------------------------------------------------


def test_nobody_buys_at_the_up_limit() -> None:
    frames = replayed(world({A: [10.0, 11.0]}, limits={A: [(11, 9), (11, 9)]}), [(1, A, "buy", 100)])
    assert fates(frames) == [(A, "buy", 0, "refused", "limit_up")]
    assert cash(frames) == [M, M]


def test_nobody_sells_at_the_down_limit_and_the_order_goes_on_for_as_long_as_it_was_told() -> None:
    market = world({A: [10.0, 9.0, 8.1, 8.5]}, limits={A: [(11, 9), (11, 9), (9.9, 8.1), (8.91, 7.29)]})
    frames = replayed(market, [(0, A, "buy", 100), (1, A, "sell", 100)])
    assert fates(frames)[1] == (A, "sell", 100, "filled", "none")
    assert frames.trades["price"].to_list() == [10.0, 8.5]
    stopped = replayed(market, [(0, A, "buy", 100), (1, A, "sell", 100)], sell_patience=1)
    assert fates(stopped)[1] == (A, "sell", 0, "expired", "limit_down")
    at_once = replayed(market, [(0, A, "buy", 100), (1, A, "sell", 100)], sell_patience=0)
    assert fates(at_once)[1] == (A, "sell", 0, "refused", "limit_down")


def test_the_mirror_trades_fill() -> None:
    """Who sells at the up limit finds buyers; who buys at the down limit finds sellers."""
    market = world({A: [10.0, 11.0], B: [10.0, 9.0]}, limits={A: [(11, 9)] * 2, B: [(11, 9)] * 2})
    frames = replayed(market, [(0, A, "buy", 100), (1, A, "sell", 100), (1, B, "buy", 100)])
    assert [fate[3] for fate in fates(frames)] == ["filled"] * 3
    assert cash(frames)[-1] == M - 1000 + 1100 - 900


@pytest.mark.parametrize("up", [99_999.99, 1_000_000.0])
def test_a_session_without_limit_has_none(up: float) -> None:
    frames = replayed(world({A: [10.0, 30.0]}, limits={A: [(11, 9), (up, 0.01)]}), [(1, A, "buy", 100)])
    assert fates(frames)[0][3] == "filled"


def test_the_average_price_is_refused_only_where_the_whole_session_was_locked() -> None:
    limits = {A: [(11.0, 9.0)] * 2}
    opened = replayed(world({A: [10.0, (11.0, 11.0, 10.6, 11.0)]}, limits=limits), [(1, A, "buy", 100)], fill="vwap")
    assert fates(opened)[0][3] == "filled"
    assert opened.trades["price"].to_list() == [10.9]
    locked = replayed(world({A: [10.0, 11.0]}, limits=limits), [(1, A, "buy", 100)], fill="vwap")
    assert fates(locked)[0][3:] == ("refused", "limit_up")


def test_limits_can_be_switched_off() -> None:
    market = world({A: [10.0, 11.0]}, limits={A: [(11, 9), (11, 9)]})
    assert fates(replayed(market, [(1, A, "buy", 100)], price_limits=False))[0][3] == "filled"


# --- halts ------------------------------------------------------------------------------------------------------------


def test_a_halted_code_is_not_bought() -> None:
    frames = replayed(world({A: [10.0, None, 10.0]}), [(1, A, "buy", 100)])
    assert fates(frames) == [(A, "buy", 0, "refused", "halted")]


def test_a_buy_waits_for_the_end_of_a_halt_if_told_so() -> None:
    frames = replayed(world({A: [10.0, None, 12.0]}), [(1, A, "buy", 100)], buy_patience=1)
    assert fates(frames) == [(A, "buy", 100, "filled", "none")]
    assert cash(frames) == [M, M, M - 1200]


def test_a_sale_waits_out_a_halt_and_expires_after_its_patience() -> None:
    market = world({A: [10.0, None, None, None, 12.0]})
    orders = [(0, A, "buy", 100), (1, A, "sell", 100)]
    assert cash(replayed(market, orders))[-1] == M - 1000 + 1200
    assert fates(replayed(market, orders, sell_patience=2))[1] == (A, "sell", 0, "expired", "halted")


def test_a_halted_holding_holds_up_nobody_else() -> None:
    market = world({A: [10.0, None, None], B: [10.0, 10.0, 10.0], C: [20.0, 20.0, 20.0]})
    frames = weighted(market, [(0, A, 0.5), (1, B, 0.3), (1, C, 0.2)], fill="close")
    assert [(fate[0], fate[1], fate[3]) for fate in fates(frames)] == [
        (A, "buy", "filled"),
        (A, "sell", "waiting"),
        (B, "buy", "filled"),
        (C, "buy", "filled"),
    ]
    assert cash(frames)[-1] == M - 500_000 - 300_000 - 200_000


def test_a_halted_holding_is_worth_its_last_close() -> None:
    frames = replayed(world({A: [10.0, (10.0, 12.0, 10.0, 12.0), None]}), [(0, A, "buy", 100)])
    assert frames.equity["equity"].to_list() == [M, M + 200, M + 200]


# --- T+1, and cash at once --------------------------------------------------------------------------------------------


def test_shares_are_sold_the_session_after_they_were_bought() -> None:
    frames = replayed(world({A: [10.0, 10.5]}), [(0, A, "buy", 100), (1, A, "sell", 100)])
    assert cash(frames) == [M - 1000, M - 1000 + 1050]


def test_shares_bought_in_the_session_are_not_sold_in_it() -> None:
    market = world({A: [10.0, 10.0]})
    frames = replayed(market, [(0, A, "buy", 100), (1, A, "buy", 100), (1, A, "sell", 200)])
    assert fates(frames)[2] == (A, "sell", 100, "part_filled", "t_plus_1")
    same = replayed(market, [(0, A, "buy", 100), (0, A, "sell", 100)])
    assert fates(same)[1] == (A, "sell", 0, "refused", "t_plus_1")
    assert fates(replayed(market, [(0, A, "buy", 100), (0, A, "sell", 100)], t_plus_1=False))[1][3] == "filled"


def test_more_than_is_held_is_not_sold() -> None:
    market = world({A: [10.0, 10.0], B: [10.0, 10.0]})
    frames = replayed(market, [(0, A, "buy", 100), (1, A, "sell", 200), (1, B, "sell", 100)])
    assert fates(frames)[1:] == [(A, "sell", 100, "part_filled", "not_held"), (B, "sell", 0, "refused", "not_held")]


@pytest.mark.parametrize(
    ("code", "first", "free"),
    [
        pytest.param(A, "2024-03-04", False, id="shares"),
        pytest.param(A, "1994-12-01", True, id="shares-in-1994"),
        pytest.param(A, "1995-01-03", False, id="shares-in-1995"),
        pytest.param(BOND, "2024-03-04", True, id="convertible-bonds"),
        pytest.param("511010.SH", "2024-03-04", True, id="bond-funds"),
        pytest.param(ETF, "2024-03-04", False, id="stock-funds"),
    ],
)
def test_t_plus_1_and_its_exceptions(code: str, first: str, free: bool) -> None:
    market = world({code: [10.0]}, sessions=days(1, first))
    frames = replayed(market, [(0, code, "buy", 100), (0, code, "sell", 100)])
    expected = (100, "filled", "none") if free else (0, "refused", "t_plus_1")
    assert fates(frames)[1][2:] == expected


def test_the_cash_of_a_sale_buys_in_the_same_session() -> None:
    market = world({A: [10.0, 10.0], B: [5.0, 5.0]})
    frames = replayed(market, [(0, A, "buy", 100_000), (1, B, "buy", 200_000), (1, A, "sell", 100_000)])
    assert [fate[3] for fate in fates(frames)] == ["filled"] * 3
    assert cash(frames) == [0.0, 0.0]


# --- lots -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "wanted", "filled", "status", "reason"),
    [
        (A, 150, 100, "part_filled", "lot"),
        (A, 99, 0, "refused", "lot"),
        (CHINEXT, 250, 200, "part_filled", "lot"),
        (STAR, 199, 0, "refused", "lot"),
        (STAR, 201, 201, "filled", "none"),
        (BSE, 101, 101, "filled", "none"),
        (BSE, 99, 0, "refused", "lot"),
        (ETF, 150, 100, "part_filled", "lot"),
        (BOND, 15, 10, "part_filled", "lot"),
    ],
)
def test_lots_by_board(code: str, wanted: int, filled: int, status: str, reason: str) -> None:
    frames = replayed(world({code: [10.0]}), [(0, code, "buy", wanted)])
    assert fates(frames) == [(code, "buy", filled, status, reason)]


def test_single_shares_where_lots_are_switched_off() -> None:
    assert fates(replayed(world({A: [10.0]}), [(0, A, "buy", 137)], lots=False))[0][2] == 137


@pytest.mark.parametrize(("wanted", "sold"), [(130, 130), (100, 100), (30, 30), (50, 30), (120, 100), (20, 0)])
def test_an_odd_rest_is_sold_in_one_go(wanted: int, sold: int) -> None:
    """100 shares become 130 by a bonus of 0.3."""
    market = world(
        {A: [13.0, (10.0, 10.0, 10.0, 10.0, 10.0)]},
        factors={A: [1.0, 1.3]},
        dividends=[{"ex_date": days(2)[1], "stk_co_rate": 0.3}],
    )
    frames = replayed(market, [(0, A, "buy", 100), (1, A, "sell", wanted)])
    assert fates(frames)[1][2] == sold
    assert frames.positions.filter(trade_date=days(2)[1])["shares"].to_list() == ([130 - sold] if sold < 130 else [])


# --- cash and volume --------------------------------------------------------------------------------------------------


def test_an_order_is_cut_to_what_the_cash_pays_with_its_fees() -> None:
    settings = {"capital": 10_000, "commission": 0.00025, "minimum_commission": 5}
    frames = replayed(world({A: [10.0]}), [(0, A, "buy", 1000)], **settings)
    assert fates(frames) == [(A, "buy", 900, "part_filled", "cash")]
    assert cash(frames) == [10_000 - 9000 - 5]
    enough = replayed(world({A: [10.0]}), [(0, A, "buy", 1000)], **{**settings, "capital": 10_005})
    assert cash(enough) == [0.0]


def test_no_cash_no_shares() -> None:
    frames = replayed(world({A: [10.0], B: [10.0]}), [(0, A, "buy", 100), (0, B, "buy", 100)], capital=1500)
    assert fates(frames)[1] == (B, "buy", 0, "refused", "cash")


def test_an_order_is_a_part_of_the_volume_at_most() -> None:
    bars = [(10.0, 10.0, 10.0, 10.0, 10.0, 50.0)] * 3  # 5,000 shares
    frames = replayed(world({A: bars}), [(0, A, "buy", 2000)], volume_share=0.25)
    assert fates(frames) == [(A, "buy", 1200, "part_filled", "volume")]
    patient = replayed(world({A: bars}), [(0, A, "buy", 2000)], volume_share=0.25, buy_patience=1)
    assert patient.trades["shares"].to_list() == [1200, 800]
    split = replayed(world({A: bars}), [(0, A, "buy", 800), (0, A, "buy", 800)], volume_share=0.25)
    assert [fate[2] for fate in fates(split)] == [800, 400]  # the part is of the session, not of each order


# --- prices -----------------------------------------------------------------------------------------------------------


def test_slippage_makes_prices_worse_and_never_passes_a_limit() -> None:
    market = world({A: [10.0, 10.0], B: [10.9, 9.1]}, limits={B: [(11.0, 9.0)] * 2})
    frames = replayed(
        market,
        [(0, A, "buy", 100), (1, A, "sell", 100), (0, B, "buy", 100), (1, B, "sell", 100)],
        slippage_bp=200,
    )
    assert frames.trades["price"].to_list() == [10.2, 11.0, 9.8, 9.0]


def test_slippage_in_ticks() -> None:
    market = world({A: [10.0], ETF: [3.0]})
    frames = replayed(market, [(0, A, "buy", 100), (0, ETF, "buy", 100)], slippage_ticks=3)
    assert frames.trades["price"].to_list() == [10.03, 3.003]


@pytest.mark.parametrize(
    ("fill", "expected"),
    [("next_open", [None, 10.0]), ("next_close", [None, 13.0]), ("vwap", [None, 11.5]), ("close", [11.0, None])],
)
def test_fills_of_signals(fill: str, expected: list[float | None]) -> None:
    market = world({A: [(9.0, 12.0, 8.0, 11.0), (10.0, 14.0, 9.0, 13.0, 11.0)]})
    frames = signalled(market, {(0, A): 1}, fill=fill, max_positions=1)
    by_day = dict(frames.trades.select("trade_date", "price").iter_rows())
    assert [by_day.get(day) for day in market.market.sessions] == expected


def test_what_waits_for_the_close_does_not_trade_when_the_circuit_breaker_ended_the_session() -> None:
    sessions = days(2, "2016-01-06")
    assert sessions[1] == dt.date(2016, 1, 7)
    market = world({A: [10.0, 10.0]}, sessions=sessions)
    closed = replayed(market, [(1, A, "buy", 100)], fill="next_close")
    assert fates(closed)[0][3:] == ("refused", "ended_early")
    assert fates(replayed(market, [(1, A, "buy", 100)]))[0][3] == "filled"


def test_an_account_buys_only_so_many_shares_under_special_treatment() -> None:
    sessions = days(2)
    names = [(A, "*ST浦发", sessions[0], None)]
    market = world({A: [1.0, 1.0]}, names=names)
    frames = replayed(market, [(0, A, "buy", 400_000), (0, A, "buy", 400_000), (1, A, "buy", 100_000)], capital=2_000_000)
    assert [fate[2:] for fate in fates(frames)] == [
        (400_000, "filled", "none"),
        (100_000, "part_filled", "st_maximum"),
        (100_000, "filled", "none"),
    ]


# --- portfolios -------------------------------------------------------------------------------------------------------


def test_signals_fill_the_free_places_by_score() -> None:
    market = world({A: [10.0] * 3, B: [10.0] * 3, C: [10.0] * 3})
    frames = signalled(market, {(0, A): (1, 1.0), (0, B): (1, 3.0), (0, C): (1, 2.0)}, max_positions=2)
    assert fates(frames) == [(B, "buy", 50_000, "filled", "none"), (C, "buy", 50_000, "filled", "none")]


def test_money_by_score() -> None:
    market = world({A: [10.0] * 2, B: [10.0] * 2})
    frames = signalled(market, {(0, A): (1, 1.0), (0, B): (1, 3.0)}, max_positions=2, sizing="score")
    assert [(fate[0], fate[2]) for fate in fates(frames)] == [(B, 75_000), (A, 25_000)]


def test_a_sale_frees_its_place_and_its_money_in_the_same_session() -> None:
    market = world({A: [10.0] * 3, B: [5.0] * 3})
    frames = signalled(market, {(0, A): 1, (1, A): -1, (1, B): 1}, max_positions=1)
    assert frames.trades.select("ts_code", "kind", "shares").rows() == [
        (A, "buy", 100_000),
        (A, "sell", 100_000),
        (B, "buy", 200_000),
    ]


def test_an_opposite_signal_withdraws_what_waits() -> None:
    market = world({A: [10.0, 10.0, None, 10.0, 10.0], B: [10.0, 10.0, 10.0, 10.0, 10.0]})
    sold = signalled(market, {(0, A): 1, (1, A): -1, (3, A): -1}, max_positions=1)
    assert [fate[3] for fate in fates(sold)] == ["filled", "filled"]
    held = {A: [10.0, 9.0, 9.0, 9.0], B: [1.0] * 4}
    locked = world(held, limits={A: [(11, 9), (11, 8), (9.9, 9), (9.9, 9)]})
    frames = signalled(locked, {(0, A): 1, (1, A): -1, (2, A): 1}, max_positions=1)
    assert fates(frames)[1][3:] == ("withdrawn", "opposite")


def test_target_weights_are_reached_in_lots() -> None:
    market = world({A: [10.0] * 4, B: [30.0] * 4})
    frames = weighted(market, [(0, A, 0.4), (0, B, 0.5), (2, A, 0.1), (2, B, 0.5)])
    assert fates(frames) == [
        (B, "buy", 16_600, "filled", "none"),
        (A, "buy", 40_000, "filled", "none"),
        (A, "sell", 30_000, "filled", "none"),
    ]
    assert frames.orders["made_on"].to_list() == [days(4)[1], days(4)[1], days(4)[3]]


def test_what_a_portfolio_does_not_name_is_sold() -> None:
    market = world({A: [10.0] * 4, B: [30.0] * 4})
    frames = weighted(market, [(0, A, 0.5), (1, B, 0.3)])
    assert [fate[:4] for fate in fates(frames)] == [
        (A, "buy", 50_000, "filled"),
        (A, "sell", 50_000, "filled"),
        (B, "buy", 10_000, "filled"),
    ]


def test_an_order_for_a_code_without_bars_yet_is_a_row_too() -> None:
    market = world({A: [10.0] * 3, B: [None, None, 10.0]})
    frames = replayed(market, [(0, B, "buy", 100)], buy_patience=9)
    assert fates(frames) == [(B, "buy", 0, "refused", "not_listed")]


# --- delisting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "left"), [(1.0, 200.0), (0.5, 100.0), (0.0, 0.0)])
def test_delisted_shares_leave_at_the_stated_part_of_their_last_close(part: float, left: float) -> None:
    sessions = days(4)
    market = world({A: [10.0, 2.0], B: [1.0] * 4}, sessions=sessions, delisted={A: sessions[2]})
    frames = replayed(market, [(0, A, "buy", 100)], delisted_at=part)
    assert cash(frames) == [M - 1000, M - 1000, M - 1000 + left, M - 1000 + left]
    assert frames.trades["kind"].to_list() == ["buy", "write_off"]
    assert frames.trades["profit"].to_list() == [0.0, left - 1000]
    assert fates(frames)[1] == (A, "sell", 100, "filled", "delisted")
