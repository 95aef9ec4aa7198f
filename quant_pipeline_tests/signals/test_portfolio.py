"""The paper portfolio over a real database: signals become orders, orders fills under the rules, fills holdings and risks."""

from __future__ import annotations

import datetime as dt

import pytest

from quant_pipeline.market.datasets import INDEX_DAILY, PRICE_LIMITS, SIGNALS
from quant_pipeline.signals.portfolio import Followed, follow, held
from quant_pipeline.signals.router import route
from quant_pipeline.signals.rules import OfPortfolio, Rules, Thresholds
from quant_pipeline.strategies.base import Strategy
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql
from quant_pipeline_tests.signals.conftest import screened, strategies
from quant_pipeline_tests.sync.stored import CALENDAR, bars, market, sessions, store

DAYS = sessions(30)
CODES = ["600000.SH", "600001.SH", "600002.SH"]
A, B, C = CODES
RULES = Rules(portfolio=OfPortfolio(capital=100_000, max_positions=2, max_weight=0.4, max_industry=1.0, lookback=25))
Known = dict[str, type[Strategy]]


@pytest.fixture
def traded(warehouse: Database, known: Known) -> Database:
    market(warehouse, DAYS, CODES)
    store(warehouse, INDEX_DAILY, bars(["000300.SH"], DAYS))
    known |= strategies(up=[], down=[])
    return warehouse


def day(database: Database, at: int, *, buys: dict[str, float] | None = None, rules: Rules = RULES) -> Followed:
    """A session: its screens, its signals, its portfolio."""
    session = DAYS[at]
    screened(database, "up", session, buys or {})
    list(route(database, CALENDAR, rules, [session], held=lambda each: held(database, CALENDAR, each, rules.portfolio)))
    return follow(database, CALENDAR, rules, session)


def made(database: Database, session: dt.date) -> list[tuple[object, ...]]:
    query = "SELECT ts_code, side, shares, status, filled, outcome FROM portfolio_orders WHERE trade_date = %(day)s ORDER BY 1"
    return read_sql(database, query, {"day": session}).rows()


def test_a_signal_is_ordered_filled_at_the_next_open_and_held(traded: Database) -> None:
    first = day(traded, -4, buys={A: 1.0})
    assert [(each.ts_code, each.side, each.shares, each.reason) for each in first.orders] == [(A, "buy", 3100, "策略买入")]
    assert made(traded, DAYS[-4]) == [(A, "buy", 3100, "planned", 0, None)]
    assert (first.row["equity"], first.row["positions"], first.row["exposure"], first.row["orders"]) == (100_000, 0, 0, 1)
    second = day(traded, -3)
    assert made(traded, DAYS[-4]) == [(A, "buy", 3100, "filled", 3100, "none")]
    close = read_sql(
        traded, "SELECT close FROM daily_kline WHERE ts_code = %(c)s AND trade_date = %(d)s", {"c": A, "d": DAYS[-3]}
    )
    assert second.positions.select("ts_code", "shares", "price").rows() == [(A, 3100, close.item())]
    assert second.row["exposure"] == pytest.approx(3100 * close.item() / second.row["equity"] * 100)
    assert second.row["var_95"] is not None
    assert second.row["largest"] == A
    assert second.orders == []
    assert held(traded, CALENDAR, DAYS[-3], RULES.portfolio) == {A}
    assert held(traded, CALENDAR, DAYS[-4], RULES.portfolio) is None
    stored = read_sql(traded, "SELECT ts_code, shares, weight FROM portfolio_positions").row(0)
    assert stored == (A, 3100, pytest.approx(second.row["exposure"]))


def test_a_sale_ends_it_and_its_cash_buys_the_next(traded: Database, known: Known) -> None:
    day(traded, -4, buys={A: 1.0, B: 2.0})
    day(traded, -3)
    known |= strategies(down=[A])
    screened(traded, "down", DAYS[-2], {})
    found = day(traded, -2, buys={C: 1.0})
    assert [(each.ts_code, each.side) for each in found.orders] == [(A, "sell"), (C, "buy")]
    last = day(traded, -1)
    assert sorted(last.positions["ts_code"]) == [B, C]
    whose = read_sql(traded, "SELECT ts_code, strategy FROM portfolio_orders ORDER BY trade_date, ts_code").rows()
    assert whose == [(A, "up"), (B, "up"), (A, "down"), (C, "up")]


def test_a_buy_without_a_place_waits_and_is_counted(traded: Database) -> None:
    found = day(traded, -2, buys={A: 1.0, B: 2.0, C: 3.0})
    assert [each.ts_code for each in found.orders] == [C, B], "the strongest first"
    assert found.passed_over == 1


def test_a_buy_at_its_limit_is_refused_with_its_reason(traded: Database) -> None:
    day(traded, -2, buys={A: 1.0})
    opened = read_sql(
        traded, "SELECT open FROM daily_kline WHERE ts_code = %(c)s AND trade_date = %(d)s", {"c": A, "d": DAYS[-1]}
    )
    limit = {"ts_code": A, "trade_date": DAYS[-1], "up_limit": opened.item(), "down_limit": opened.item() * 0.8}
    store(traded, PRICE_LIMITS, [limit])
    after = day(traded, -1)
    assert made(traded, DAYS[-2]) == [(A, "buy", 3100, "refused", 0, "limit_up")]
    assert after.row["equity"] == 100_000


def test_a_buy_of_what_is_halted_is_refused_though_no_bar_of_it_is_there(traded: Database) -> None:
    day(traded, -2, buys={A: 1.0})
    with traded.connect() as connection:
        connection.execute("DELETE FROM daily_kline WHERE ts_code = %s AND trade_date = %s", (A, DAYS[-1]))
    day(traded, -1)
    assert made(traded, DAYS[-2])[0][3:] == ("refused", 0, "halted")


def test_capital_below_a_lot_is_told_and_nothing_is_ordered(traded: Database) -> None:
    found = day(traded, -1, buys={A: 1.0}, rules=Rules(portfolio=OfPortfolio(capital=1_000)))
    assert [(each.shares, each.reason) for each in found.orders] == [(0, "不足一手（100 股）")]
    assert made(traded, DAYS[-1])[0][3] == "none"


def test_a_rerun_writes_the_same(traded: Database) -> None:
    day(traded, -2, buys={A: 1.0})
    one = day(traded, -1)
    again = follow(traded, CALENDAR, RULES, DAYS[-1])
    assert again.row == one.row
    assert (again.written.inserted, again.written.updated, again.written.unchanged) == (0, 0, 1)


def test_a_figure_beyond_its_threshold_is_told_once(traded: Database) -> None:
    rules = RULES.model_copy(update={"risk": Thresholds(exposure=10, drawdown=0, var_95=0, beta=0)})
    day(traded, -3, buys={A: 1.0}, rules=rules)
    first, second = day(traded, -2, rules=rules), day(traded, -1, rules=rules)
    assert set(first.new) == {"exposure", "largest_weight"}
    assert second.alerts.keys() == first.alerts.keys()
    assert second.new == {}
    assert first.row["alerts"].startswith("exposure ")


def test_without_signals_it_is_valued_all_the_same(traded: Database) -> None:
    found = follow(traded, CALENDAR, RULES, DAYS[-1])
    assert (found.row["equity"], found.orders, found.row["concentration"]) == (100_000, [], None)
    assert read_sql(traded, f"SELECT count(*) FROM {SIGNALS.name}").item() == 0
