"""Ex prices that the stored dividends do not explain are named."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from quant_pipeline.market.datasets import DIVIDENDS
from quant_pipeline.sync.checks import Verdict
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import CODES, NOW, execute, judged, market, sessions, store

DAYS = sessions(4)
EX = DAYS[2]


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", NOW)


def paid(database: Database, code: str, cash: float, shares: float) -> None:
    row = {"ts_code": code, "trade_date": EX, "ex_date": EX, "div_proc": "实施", "cash_div_tax": cash, "stk_div": shares}
    schema = {column.name: column.type.polars for column in DIVIDENDS.columns}
    store(database, DIVIDENDS, pl.DataFrame([dict.fromkeys(schema) | row], schema=schema))


def ex_price(database: Database, code: str, last: float, pre: float) -> None:
    execute(database, "UPDATE daily_kline SET close = %s WHERE ts_code = %s AND trade_date = %s", last, code, DAYS[1])
    execute(database, "UPDATE daily_kline SET pre_close = %s WHERE ts_code = %s AND trade_date = %s", pre, code, EX)


def verdict(database: Database, days: tuple[dt.date, ...] = DAYS) -> Verdict:
    return judged(database, DIVIDENDS, "dividends_explain_ex_prices", days)


def test_the_ex_price_is_the_close_before_less_the_dividend_over_the_new_shares(warehouse: Database) -> None:
    market(warehouse, DAYS)
    paid(warehouse, CODES[0], 0.174, 0.2)
    ex_price(warehouse, CODES[0], 19.80, 16.36)
    assert (verdict(warehouse).passed, verdict(warehouse).looked_at) == (True, 1)
    ex_price(warehouse, CODES[0], 19.80, 16.33)
    found = verdict(warehouse)
    assert not found.passed
    assert found.offending.select("ts_code", "trade_date", "counted", "pre_close").rows() == [(CODES[0], EX, 16.36, 16.33)]
    assert found.text.startswith("1 of 1 ex prices are not what the close before and the dividend give")


def test_without_a_bar_before_nothing_is_judged(warehouse: Database) -> None:
    market(warehouse, DAYS[2:])
    paid(warehouse, CODES[0], 0.174, 0.2)
    assert (verdict(warehouse).passed, verdict(warehouse).looked_at) == (True, 0)
