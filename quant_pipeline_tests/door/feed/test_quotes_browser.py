"""Quotes that move before the eyes: the page /quotes and the K-line's last candle. `make uitest` runs it."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator

import pytest

from quant_pipeline.market.clock import EXCHANGE_ZONE, NOW_VARIABLE
from quant_pipeline.quotes.quote import Quote
from quant_pipeline.quotes.store import Store
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.door.browser import Looker, looking
from quant_pipeline_tests.door.served import served
from quant_pipeline_tests.door.test_kline_pages import fill
from quant_pipeline_tests.quotes.quotes import quote

pytestmark = pytest.mark.skipif("QUANT_UI_TESTS" not in os.environ, reason="run by `make uitest`: it needs Chromium")

MONDAY = dt.datetime(2026, 11, 23, 10, 30, tzinfo=EXCHANGE_ZONE)
"""The session after the last one that is stored."""
WATCHED = "/quotes?codes=600519,000001.SZ,688001,000001.SH,510300,600000"
SHOWN = "return [...document.querySelectorAll('#quotes tr')].map((row) => row.dataset.code)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Looker]:
    with looking() as looker:
        yield looker


@pytest.fixture
def pages(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    fill(warehouse)
    monkeypatch.setenv(NOW_VARIABLE, "2026-11-23T10:30:02")
    with served(Settings(QUANT_UI_URL="http://127.0.0.1:3000"), warehouse) as url:
        yield url


def now(code: str, name: str, price: float, before: float = 13.3, seconds: int = 0) -> Quote:
    at = MONDAY + dt.timedelta(seconds=seconds)
    prices = {"open": before, "high": max(price, before) + 0.1, "low": min(price, before) - 0.1}
    return quote(code, name=name, price=price, pre_close=before, exchange_time=at, received_at=at, **prices)


def published(database: Database, *quotes: Quote) -> None:
    Store(database).publish(quotes)


def market(database: Database) -> None:
    published(
        database,
        now("600519.SH", "贵州茅台", 13.5),
        now("000001.SZ", "平安银行", 12.9),
        now("688001.SH", "新芯科技", 13.3),
        now("000001.SH", "上证指数", 13.9),
        quote("510300.SH", name="沪深300ETF", price=4.123, pre_close=4.1, exchange_time=MONDAY, received_at=MONDAY),
    )


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")])
def test_the_watchlist_fits_and_moves(pages: str, warehouse: Database, browser: Looker, width: int, scheme: str) -> None:
    market(warehouse)
    browser.look(f"{pages}{WATCHED}", width=width, scheme=scheme)
    browser.until("return document.getElementById('live').dataset.state === 'live'", "the connection")
    assert browser.driver.execute_script(SHOWN)[:2] == ["000001.SH", "600519.SH"], "by their change"
    published(warehouse, now("000001.SZ", "平安银行", 14.63, seconds=3))
    price = "document.querySelector('[data-code=\"000001.SZ\"] [data-of=price]')"
    browser.until(f"return {price}.textContent === '14.63' && {price}.className === 'up'", "the new price")
    assert browser.driver.execute_script(SHOWN)[0] == "000001.SZ", "the best is first"
    browser.picture(f"quotes-{width}-{scheme}")
    browser.driver.find_element("css selector", "#sort [data-by=place]").click()
    assert browser.driver.execute_script(SHOWN)[0] == "600519.SH"


def test_when_the_poller_is_away_all_is_marked_stale(
    pages: str, warehouse: Database, browser: Looker, monkeypatch: pytest.MonkeyPatch
) -> None:
    market(warehouse)
    browser.look(f"{pages}{WATCHED}")
    browser.until("return document.getElementById('live').dataset.state === 'live'", "the connection")
    monkeypatch.setenv(NOW_VARIABLE, "2026-11-23T10:31:00")
    browser.until("return document.querySelectorAll('#quotes tr.stale').length === 5", "all are stale")
    assert "5 个陈旧 stale" in browser.driver.find_element("id", "live").text
    browser.picture("quotes-stale")


@pytest.mark.parametrize("address", ["/k/600519.SH", "/k/600519.SH?adjust=raw", "/k/600519.SH?freq=M", "/k/000001.SH"])
def test_the_k_line_s_last_candle_moves(pages: str, warehouse: Database, browser: Looker, address: str) -> None:
    code = address[3:12]
    browser.look(f"{pages}{address}")
    bars = browser.driver.execute_script("return document.getElementById('kline').data[0].x.length")
    published(warehouse, now(code, "贵州茅台", 13.5))
    live = "document.getElementById('kline').dataset.live"
    browser.until(f"return {live} === '10:30:00'", "today's candle")
    published(warehouse, now(code, "贵州茅台", 13.61, seconds=3))
    browser.until(f"return {live} === '10:30:03'", "it moves")
    candles = browser.driver.execute_script("const k = document.getElementById('kline').data[0]; return [k.x, k.close]")
    joined = "freq=M" in address
    assert len(candles[0]) == bars + (not joined)
    assert (candles[0][-1], candles[1][-1]) == ("2026-11-20" if joined else "2026-11-23", 13.61)
    assert "13.61" in browser.driver.find_element("css selector", ".quote .last").text
    assert "实时 live 10:30:03" in browser.driver.find_element("css selector", ".quote .last").text
    browser.picture(f"candle-{''.join(letter if letter.isalnum() else '-' for letter in address)}")


def test_on_an_ex_date_no_candle_is_put_beside_another_scale(pages: str, warehouse: Database, browser: Looker) -> None:
    browser.look(f"{pages}/k/600519.SH")
    bars = browser.driver.execute_script("return document.getElementById('kline').data[0].x.length")
    published(warehouse, now("600519.SH", "贵州茅台", 6.7, before=6.65))
    browser.until("return document.querySelector('.quote .last').textContent.includes('今日除权除息')", "it says so")
    assert browser.driver.execute_script("return document.getElementById('kline').data[0].x.length") == bars
