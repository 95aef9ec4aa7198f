"""The kernel and the ledger agree: every order, every trade, the cash to the cent, over random markets."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quant_pipeline.backtest import run
from quant_pipeline.backtest.orders import from_orders, from_signals, from_weights
from quant_pipeline.backtest.reading import Loaded
from quant_pipeline.backtest.result import frames_of
from quant_pipeline.backtest.settings import Settings
from quant_pipeline_tests.backtest.ledger import Ledger
from quant_pipeline_tests.backtest.world import BOND, BSE, ETF, STAR, A, B, days, world

STARTS = ("1994-12-12", "2004-03-01", "2008-09-08", "2012-08-20", "2015-07-20", "2022-04-18", "2023-08-14", "2026-06-25")
CODES = (A, B, STAR, BSE, ETF, BOND)


def random_market(chance: random.Random) -> Loaded:
    sessions = days(chance.randint(3, 14), chance.choice(STARTS))
    bars: dict[str, list[Any]] = {}
    limits: dict[str, list[Any]] = {}
    factors: dict[str, list[float]] = {}
    dividends = []
    for code in sorted(chance.sample(CODES, chance.randint(1, len(CODES)))):
        tick = 0.001 if code in (ETF, BOND) else 0.01
        close, factor, rows, pairs, known = chance.uniform(1, 40), 1.0, [], [], []
        for place, day in enumerate(sessions):
            pre = close
            if place and chance.random() < 0.15:
                cash, bonus, transfer = chance.choice([(0.5, 0, 0), (0.1234, 0.3, 0), (0, 0, 0.5), (0.07, 0.1, 0.2)])
                cash = min(cash, close / 4)
                pre = (close - cash) / (1 + bonus + transfer)
                factor *= close / pre
                record = {"ts_code": code, "ex_date": day, "record_date": sessions[place - 1], "cash_div_tax": cash}
                if chance.random() < 0.7:
                    dividends.append({**record, "stk_bo_rate": bonus, "stk_co_rate": transfer})
            known.append(factor)
            pre = max(round(round(pre / tick) * tick, 3), tick)
            up, down = round(pre * 1.1, 2), max(round(pre * 0.9, 2), 0.01)
            if up <= down:
                up = down + 0.01
            if chance.random() < 0.12 or (place == 0 and chance.random() < 0.2):
                rows.append(None)
                pairs.append(None)
                close = pre
                continue
            prices = [chance.choice([up, down, pre, chance.uniform(down, up)]) for _ in range(2)]
            opened, close = (max(round(round(each / tick) * tick, 3), tick) for each in prices)
            high, low = max(opened, close), min(opened, close)
            if chance.random() < 0.5:
                high, low = max(high, round(pre * 1.05, 2)), min(low, max(round(pre * 0.95, 2), 0.01))
            volume = chance.choice([0.0, 3.0, 57.0, 1e4, 1e6]) if chance.random() < 0.5 else 1e5
            rows.append((opened, high, low, close, pre, volume))
            pairs.append((up, down) if chance.random() < 0.8 else (99_999.99, 0.01))
        bars[code], limits[code], factors[code] = rows, pairs, known
    if not any(row for rows in bars.values() for row in rows):
        bars[next(iter(bars))][0] = 10.0
    gone = {code: chance.choice(sessions) for code in bars if chance.random() < 0.15}
    return world(bars, sessions=sessions, limits=limits, factors=factors, dividends=dividends, delisted=gone)


def random_settings(chance: random.Random) -> Settings:
    def perhaps(*values: Any) -> Any:
        return chance.choice(values)

    return Settings(
        capital=perhaps(3_000, 50_000.55, 1_000_000, 30_000_000),
        fill=perhaps("next_open", "next_close", "vwap", "close"),
        max_positions=perhaps(1, 2, 5),
        sizing=perhaps("equal", "score"),
        slippage_bp=perhaps(0, 7, 150),
        slippage_ticks=perhaps(0, 0, 2),
        volume_share=perhaps(None, 0.1, 0.33),
        buy_patience=perhaps(0, 0, 2),
        sell_patience=perhaps(0, 1, 20),
        delisted_at=perhaps(1.0, 0.35, 0.0),
        lots=perhaps(True, True, False),
        price_limits=perhaps(True, True, False),
        t_plus_1=perhaps(True, True, False),
        commission=perhaps(0.00025, 0.003, 0.0),
        minimum_commission=perhaps(5.0, 0.0),
        commission_all_in=perhaps(True, False),
        stamp_duty_sell=perhaps(None, None, 0.0015),
        transfer_fee=perhaps(None, None, 0.00005),
        dividend_tax=perhaps(True, True, False),
        rounding=perhaps(True, True, False),
        benchmark="",
    )


def random_decisions(chance: random.Random, mode: str, loaded: Loaded) -> tuple[pl.DataFrame, dict[int, list[Any]]]:
    market = loaded.market
    table, decided = [], {}
    for day, session in enumerate(market.sessions):
        codes = [code for code in market.codes if chance.random() < 0.5]
        if mode == "signals":
            # A signal belongs to a bar: a halted code gives none.
            first = market.offsets
            barred = [
                code for code in codes if day in market.session[first[market.number[code]] : first[market.number[code] + 1]]
            ]
            rows = [(code, chance.choice([1, 1, -1]), round(chance.uniform(-1, 3), 2)) for code in barred]
            table += [(code, session, signal, score) for code, signal, score in rows]
        elif mode == "weights":
            codes = codes if chance.random() < 0.5 else []
            share = [chance.choice([0, 1, 2, 3]) for _ in codes]
            rows = [(code, round(each / max(sum(share), 4), 3), None) for code, each in zip(codes, share, strict=True)]
            rows = rows if sum(weight for _, weight, _ in rows) <= 1 else []
            table += [(session, code, float(weight)) for code, weight, _ in rows]
        else:
            rows = [(code, chance.choice(["buy", "sell"]), chance.choice([50, 100, 237, 1000, 25_000])) for code in codes * 2]
            table += [(session, code, side, shares) for code, side, shares in rows]
        decided[day] = rows
    columns = {
        "signals": ["ts_code", "trade_date", "signal", "score"],
        "weights": ["date", "code", "weight"],
        "orders": ["date", "code", "side", "shares"],
    }
    return pl.DataFrame(table, schema=columns[mode], orient="row"), decided


@settings(max_examples=80)
@given(st.integers(0, 2**32), st.sampled_from(["signals", "weights", "orders"]))
@example(1796, "signals")  # a factor step that costs half a cent
def test_kernel_and_ledger_agree_to_the_cent(seed: int, mode: str) -> None:
    chance = random.Random(seed)
    loaded, chosen = random_market(chance), random_settings(chance)
    table, decided = random_decisions(chance, mode, loaded)
    if table.is_empty():
        return
    if mode == "signals":
        plan = from_signals(loaded.market, table, chosen.delay)
    else:
        plan = from_weights(loaded.market, table, chosen.delay) if mode == "weights" else from_orders(loaded.market, table)
    frames = frames_of(loaded.market, run.simulated(loaded, plan, chosen), loaded.sessions, None, chosen.capital)
    ledger = Ledger(loaded, chosen).run(mode, decided)
    theirs = [
        (order.made, order.code, order.side, order.wanted, order.filled, order.status, order.reason) for order in ledger.orders
    ]
    number = {day: place for place, day in enumerate(loaded.market.sessions)}
    columns = ("made_on", "ts_code", "side", "wanted", "filled", "status", "reason")
    mine = [(number[made], *rest) for made, *rest in frames.orders.select(columns).iter_rows()]
    assert sorted(mine) == sorted(theirs)  # which of the codes held comes first is each one's own
    assert [round(each, 4) for each in frames.equity["cash"]] == [float(each) for each, _ in ledger.equity]
    assert [round(each, 4) for each in frames.equity["equity"]] == [float(each) for _, each in ledger.equity]
    assert sorted(frames.trades["shares"]) == sorted(trade[3] for trade in ledger.trades)


def test_the_ledger_is_asked_about_something() -> None:
    """Random markets bring every fate and every kind of trade about: the test above does not agree about nothing."""
    kinds: set[str] = set()
    reasons: set[str] = set()
    for seed in range(150):
        chance = random.Random(seed)
        loaded, chosen = random_market(chance), random_settings(chance)
        mode = chance.choice(["signals", "weights", "orders"])
        _, decided = random_decisions(chance, mode, loaded)
        ledger = Ledger(loaded, chosen).run(mode, decided)
        kinds |= {trade[2] for trade in ledger.trades}
        reasons |= {order.reason for order in ledger.orders}
    assert kinds == {"buy", "sell", "dividend", "step", "write_off"}
    assert reasons >= {
        "none", "halted", "limit_up", "limit_down", "cash", "lot", "t_plus_1", "not_held", "volume", "not_listed", "delisted",
        "opposite", "superseded",
    }  # fmt: skip
