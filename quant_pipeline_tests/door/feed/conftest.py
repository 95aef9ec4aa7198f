"""A door whose lists have a few codes, half past ten of a session, and who publishes quotes as another process would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from quant_pipeline.market import clock
from quant_pipeline.market.datasets import INDEX_LIST, STOCK_LIST
from quant_pipeline.quotes.poller import PLACE
from quant_pipeline.quotes.quote import Quote
from quant_pipeline.quotes.store import Store
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.door.served import served
from quant_pipeline_tests.quotes.quotes import quote
from quant_pipeline_tests.sync.stored import store

SHARES = {"600000.SH": "浦发银行", "000001.SZ": "平安银行", "688981.SH": "中芯国际"}


@dataclass(frozen=True)
class Door:
    url: str
    database: Database

    @property
    def socket(self) -> str:
        return self.url.replace("http://", "ws://")

    def publish(self, *quotes: Quote) -> None:
        Store(self.database).publish(quotes)

    def wanted(self) -> frozenset[str]:
        return Store(self.database).wanted()


def fill(database: Database) -> None:
    rows: list[dict[str, Any]] = [{"ts_code": code, "name": name, "list_status": "L"} for code, name in SHARES.items()]
    store(database, STOCK_LIST, rows)
    store(database, INDEX_LIST, [{"ts_code": "000001.SH", "name": "上证指数"}])


@pytest.fixture(autouse=True)
def morning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T10:30:02")


@pytest.fixture(autouse=True)
def elsewhere(warehouse: Database) -> Iterator[None]:
    """Another process polls, so the door does not: what is published is the test's."""
    with closing(Presence(warehouse.connect())) as presence:
        assert presence.claim(PLACE)
        yield


@pytest.fixture
def door(warehouse: Database) -> Iterator[Door]:
    fill(warehouse)
    Store(warehouse).publish([quote("600000.SH"), quote("000001.SZ", name="平安银行", price=12.5)])
    with served(Settings(), warehouse) as url:
        yield Door(url, warehouse)
