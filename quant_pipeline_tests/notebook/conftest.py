"""A notebook over a real database: shares with an ex-date and a halt, an index, a fund and a bond."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    CB_DAILY,
    CONVERTIBLE_BONDS,
    DAILY_BASIC,
    DAILY_KLINE,
    ETF_ADJ,
    ETF_DAILY,
    ETF_LIST,
    INDEX_DAILY,
    INDEX_LIST,
    STOCK_LIST,
    THS_CONCEPTS,
    THS_MEMBERS,
)
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.conftest import copied
from quant_pipeline_tests.sync.stored import LISTED, NOW, bars, sessions, store

DAYS = sessions(40)
HALTED = DAYS[20]
EX_DATE = DAYS[27]
PRICES = ("open", "high", "low", "close", "pre_close")


@pytest.fixture
def empty(warehouse: Database, home: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The database that this process's settings name; nothing is synced."""
    monkeypatch.setenv("QUANT_DATABASE_URL", warehouse.url)
    monkeypatch.setenv("QUANT_HOME", str(home))
    monkeypatch.setenv("QUANT_NOW", NOW)
    return warehouse


@pytest.fixture
def stored(market_kept: Database, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A market of the test's own, which the settings name."""
    with copied(market_kept, home) as own:
        monkeypatch.setenv("QUANT_DATABASE_URL", own.url)
        monkeypatch.setenv("QUANT_HOME", str(home))
        monkeypatch.setenv("QUANT_NOW", NOW)
        yield own


@pytest.fixture(scope="package")
def market_kept(database: Database, home: Path) -> Iterator[Database]:
    """Forty sessions: 浦发银行 halves on an ex-date, 平安银行 is halted for a day. Copied by `stored`: nobody is connected."""
    with copied(database, home) as own, pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUANT_NOW", NOW)
        _fill(own)
        own.close()
        yield own


def _fill(empty: Database) -> None:
    names = {"600000.SH": "浦发银行", "000001.SZ": "平安银行", "600519.SH": "贵州茅台"}
    store(
        empty,
        STOCK_LIST,
        [{"ts_code": code, "name": name, "list_status": "L", "list_date": LISTED} for code, name in names.items()],
    )
    store(empty, INDEX_LIST, [{"ts_code": "000001.SH", "name": "上证指数"}, {"ts_code": "000300.SH", "name": "沪深300"}])
    store(empty, ETF_LIST, [{"ts_code": "510300.SH", "name": "300ETF", "status": "L", "list_date": LISTED}])
    store(empty, CONVERTIBLE_BONDS, [{"ts_code": "113050.SH", "bond_short_name": "南银转债", "list_date": LISTED}])
    half = pl.when((pl.col("ts_code") == "600000.SH") & (pl.col("trade_date") >= EX_DATE)).then(0.5).otherwise(1.0)
    rows = bars(["600000.SH", "000001.SZ"], DAYS).with_columns((pl.col(name) * half).round(2) for name in PRICES)
    rows = rows.filter((pl.col("ts_code") != "000001.SZ") | (pl.col("trade_date") != HALTED))
    store(empty, DAILY_KLINE, rows)
    store(empty, ADJ_FACTOR, rows.with_columns(adj_factor=1 / half))
    store(empty, DAILY_BASIC, rows.with_columns(pe_ttm=pl.col("close") / 2))
    store(empty, INDEX_DAILY, bars(["000001.SH", "000300.SH"], DAYS))
    store(empty, ETF_DAILY, bars(["510300.SH"], DAYS))
    store(empty, ETF_ADJ, bars(["510300.SH"], DAYS).with_columns(adj_factor=pl.lit(1.0)))
    store(empty, CB_DAILY, bars(["113050.SH"], DAYS))
    store(empty, THS_CONCEPTS, [{"ts_code": "885001.TI", "name": "人工智能", "type": "N"}])
    store(empty, THS_MEMBERS, [{"ts_code": "885001.TI", "con_code": "600000.SH"}])
