"""How signals fared: counted by hand against what the table says."""

from __future__ import annotations

import pytest

from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, INDEX_DAILY, PRICE_LIMITS, SIGNALS
from quant_pipeline.signals.statistics import statistics
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import CALENDAR, LATEST, sessions, store

DAYS = sessions(8)
A, B, C = "600000.SH", "600001.SH", "600002.SH"
OPENS = {A: [10, 10, 11, 12, 12, 12, 12, 12], B: [20, 20, 18, 18, 18, 18, 18, 18], C: [30, 30, 33, 30, 30, 30, 30, 30]}
INDEX = [1000, 1000, 1010, 1020, 1030, 1040, 1050, 1060]


def bar(code: str, at: int, price: float) -> dict[str, object]:
    prices = dict.fromkeys(("open", "high", "low", "close"), price)
    return {"ts_code": code, "trade_date": DAYS[at], **prices, "vol": 1.0}


def signal(code: str, at: int, direction: str = "buy") -> dict[str, object]:
    return {
        "trade_date": DAYS[at], "strategy": "up", "ts_code": code, "direction": direction, "strength": 1.0, "priority": 1,
        "valid_until": DAYS[at], "status": "accepted", "policy": "priority", "reason": "x", "decided_on": DAYS[at],
    }  # fmt: skip


@pytest.fixture
def market(warehouse: Database) -> Database:
    """Opens and closes alike; A doubles its shares on its third day, in its factor."""
    bars = [bar(code, at, float(price)) for code, prices in OPENS.items() for at, price in enumerate(prices)]
    store(warehouse, DAILY_KLINE, bars)
    factors = [{"ts_code": each["ts_code"], "trade_date": each["trade_date"], "adj_factor": 1.0} for each in bars]
    store(warehouse, ADJ_FACTOR, factors)
    store(warehouse, INDEX_DAILY, [bar("000300.SH", at, float(price)) for at, price in enumerate(INDEX)])
    return warehouse


def rows(database: Database, at: int = -1) -> dict[tuple[str, int], dict[str, object]]:
    found = statistics(database, CALENDAR, DAYS[at], "000300.SH")
    return {(row["direction"], row["horizon"]): row for row in found.iter_rows(named=True)}


def test_a_signal_is_bought_at_the_next_open_and_valued_at_the_horizon_s_close(market: Database) -> None:
    store(market, SIGNALS, [signal(A, 0), signal(B, 1)], source="computed")
    found = rows(market)
    assert set(found) == {("buy", 1), ("buy", 5)}, "twenty sessions are not over"
    one = found["buy", 1]
    assert (one["signals"], one["hit_rate"], one["mean_return"]) == (2, 0.0, 0.0), "in at the open, out at the same close"
    five = found["buy", 5]  # A: 10 to 12 over days 1..5, the index 1000 to 1040; B: 18 to 18 over days 2..6, 1010 to 1050
    assert (five["signals"], five["untradable"], five["hit_rate"]) == (2, 0, 50.0)
    assert five["mean_return"] == pytest.approx(10.0)
    assert five["mean_excess"] == pytest.approx(((0.2 - 0.04) + (0 - (1050 / 1010 - 1))) / 2 * 100)


def test_a_sale_is_good_when_the_price_falls(market: Database) -> None:
    store(market, SIGNALS, [signal(B, 0, "sell")], source="computed")
    five = rows(market)["sell", 5]
    assert (five["hit_rate"], five["mean_return"]) == (100.0, pytest.approx(10.0))
    assert five["mean_excess"] == pytest.approx(14.0)


def test_nothing_that_is_known_only_later_counts(market: Database) -> None:
    store(market, SIGNALS, [signal(A, 0)], source="computed")
    assert set(rows(market, 4)) == {("buy", 1)}
    before = rows(market, 5)["buy", 5]
    with market.connect() as connection:
        connection.execute("UPDATE daily_kline SET close = 99 WHERE trade_date > %s", (DAYS[5],))
    assert rows(market, 5)["buy", 5] == before


def test_prices_are_compared_over_an_ex_date(market: Database) -> None:
    store(market, SIGNALS, [signal(A, 0)], source="computed")
    with market.connect() as connection:
        for column in ("open", "high", "low", "close"):
            connection.execute(f"UPDATE daily_kline SET {column} = {column} / 2 WHERE trade_date >= %s", (DAYS[3],))
        connection.execute("UPDATE adj_factor SET adj_factor = 2 WHERE trade_date >= %s", (DAYS[3],))
    assert rows(market)["buy", 5]["mean_return"] == pytest.approx(20.0)


def test_what_could_not_be_traded_is_left_out_and_counted(market: Database) -> None:
    store(market, SIGNALS, [signal(A, 0), signal(B, 0), signal(C, 0)], source="computed")
    with market.connect() as connection:
        connection.execute("DELETE FROM daily_kline WHERE ts_code = %s AND trade_date = %s", (B, DAYS[1]))
    store(market, PRICE_LIMITS, [{"ts_code": C, "trade_date": DAYS[1], "up_limit": 30.0, "down_limit": 25.0}])
    five = rows(market)["buy", 5]
    assert (five["signals"], five["untradable"], five["mean_return"]) == (1, 2, pytest.approx(20.0))


def test_one_that_is_halted_at_the_end_has_its_last_close(market: Database) -> None:
    store(market, SIGNALS, [signal(A, 0)], source="computed")
    with market.connect() as connection:
        connection.execute("DELETE FROM daily_kline WHERE ts_code = %s AND trade_date > %s", (A, DAYS[2]))
    assert rows(market)["buy", 5]["mean_return"] == pytest.approx(10.0)


def test_without_the_index_there_is_no_excess(market: Database) -> None:
    store(market, SIGNALS, [signal(A, 0)], source="computed")
    found = statistics(market, CALENDAR, LATEST, "000905.SH")
    assert found["mean_excess"].null_count() == found.height == 2
