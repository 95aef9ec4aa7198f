"""A small stored market with what exports must not get wrong: an ex-date, a halt, a late listing, members that change."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
import requests

from quant_pipeline.exports.contract import Export, Origin, Progress, Written
from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    DAILY_KLINE,
    ETF_ADJ,
    ETF_DAILY,
    INDEX_DAILY,
    INDEX_WEIGHTS,
    STOCK_LIST,
)
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.conftest import copied
from quant_pipeline_tests.sync.stored import CALENDAR, LISTED, NOW, bars, sessions, store

DAYS = sessions(260)
"""From 2025-10 to 2026-11-20: two years."""
HALTED = DAYS[20:24]
EX_DATE = DAYS[200]
LATE = DAYS[100]
SHARES = ["000001.SZ", "600000.SH", "688001.SH", "920001.BJ"]
PRICES = ("open", "high", "low", "close", "pre_close")
SECRET = "sandbox-key-4fe1c07a"


@pytest.fixture
def origin(market_kept: Database, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Origin]:
    """A market of the test's own."""
    monkeypatch.setenv("QUANT_NOW", NOW)
    with copied(market_kept, home) as own:
        yield Origin(Settings(QUANT_HOME=tmp_path / "home"), own, CALENDAR)


@pytest.fixture(scope="package")
def market_kept(database: Database, home: Path) -> Iterator[Database]:
    """600000 halves on an ex-date, 000001 is halted for four days, 688001 is listed late. Copied by `origin`: nobody is
    connected."""
    with copied(database, home) as own, pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUANT_NOW", NOW)
        _fill(own)
        own.close()
        yield own


def _fill(warehouse: Database) -> None:
    store(warehouse, STOCK_LIST, [{"ts_code": code, "list_status": "L", "list_date": LISTED} for code in SHARES])
    code, day = pl.col("ts_code"), pl.col("trade_date")
    half = pl.when((code == "600000.SH") & (day >= EX_DATE)).then(0.5).otherwise(1.0)
    rows = bars(SHARES, DAYS).with_columns((pl.col(name) * half).round(2) for name in PRICES)
    rows = rows.filter(~((code == "000001.SZ") & day.is_in(list(HALTED))), ~((code == "688001.SH") & (day < LATE)))
    store(warehouse, DAILY_KLINE, rows)
    store(warehouse, ADJ_FACTOR, rows.with_columns(adj_factor=3 / half))
    store(warehouse, INDEX_DAILY, bars(["000300.SH", "000001.SH"], DAYS))
    store(warehouse, ETF_DAILY, bars(["510300.SH"], DAYS))
    store(warehouse, ETF_ADJ, bars(["510300.SH"], DAYS).with_columns(adj_factor=pl.lit(1.0)))
    lists = {DAYS[40]: ["600000.SH", "000001.SZ"], DAYS[60]: ["600000.SH"], DAYS[80]: ["600000.SH", "000001.SZ", "688001.SH"]}
    store(
        warehouse,
        INDEX_WEIGHTS,
        [
            {"index_code": "000300.SH", "con_code": member, "trade_date": label, "as_of": label, "weight": 1.0}
            for label, members in lists.items()
            for member in members
        ],
    )


@pytest.fixture
def progress() -> list[Progress]:
    return []


@pytest.fixture
def exported(origin: Origin, progress: list[Progress]) -> Callable[..., Written]:
    """An export of the market, with what was asked for."""

    def run(kind: type[Export], **asked: str) -> Written:
        return kind(kind.Parameters(**asked)).run(origin, progress.append)

    return run


def restate(origin: Origin, statement: str, *values: object) -> None:
    with origin.database.connect() as connection:
        assert connection.execute(statement, values).rowcount


def day(place: int) -> dt.date:
    return DAYS[place]


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of a server that speaks S3's protocol over a real socket."""
    server = pytest.importorskip("moto.server", reason="the extra `s3` is not installed: make test brings it")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


_buckets = itertools.count(1)


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket of the test's own, which the settings name; its address."""
    name = f"bucket-{next(_buckets)}"
    requests.put(f"{s3}/{name}", timeout=10).raise_for_status()
    environment = {"URL": f"s3://{name}/quant/", "ENDPOINT": s3, "KEY_ID": "AKID-test", "SECRET": SECRET}
    for variable, value in environment.items():
        monkeypatch.setenv(f"QUANT_EXPORT_{variable}", value)
    return f"s3://{name}/quant/sandbox"
