"""The door over a synced sandbox, beside the sandbox's own Tushare server: the second opinion on every answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from tushare.pro.client import DataApi

from quant_pipeline import settings
from quant_pipeline.market.datasets import SOURCED
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.assets.platform import TOKEN, Platform, installed
from quant_pipeline_tests.door.served import served

SESSIONS = 34
"""October and what there is of November: of these everything."""
AUGUST = (dt.date(2026, 8, 3), dt.date(2026, 8, 31))
"""Of these the shares' bars alone: 000043.SZ has its ex-date in them. September is not there."""
STEPPED = "000043.SZ"


@dataclass(frozen=True)
class Door:
    """The synced platform, and the address of its door."""

    platform: Platform
    url: str
    settings: Settings

    @property
    def sessions(self) -> tuple[dt.date, ...]:
        return self.platform.sessions(SESSIONS)

    def pro(self, token: str = TOKEN) -> Any:
        """Tushare's own client, at the door."""
        return client(f"{self.url}/dataapi", token)

    def reference(self) -> Any:
        """The same client at the sandbox's server."""
        return client(self.platform.sandbox.tushare_url, TOKEN)

    def post(self, path: str = "/", *, headers: dict[str, str] | None = None, **body: Any) -> requests.Response:
        return requests.post(self.url + path, json={"token": TOKEN, **body}, headers=headers, timeout=60)


def client(url: str, token: str) -> Any:
    made = DataApi(token)
    made._DataApi__http_url = url
    return made


@pytest.fixture(scope="package")
def door(database: Database, home: Path, exchange: Exchange) -> Iterator[Door]:
    """Made once for the whole folder, not to be written to."""
    with installed(database, home, exchange) as platform:
        platform.fill(platform.sessions(SESSIONS), *SOURCED)
        august = platform.calendar.between(*AUGUST)
        bars = ("daily_kline", "weekly_kline", "monthly_kline")
        platform.fill(august, "suspensions", "adj_factor", "daily_basic", "dividends", *bars)
        current = settings.load()
        with served(current, platform.database) as url:
            yield Door(platform, url, current)
