"""The page /quotes without its script: which codes, their last quotes, and what it says where there are none."""

from __future__ import annotations

import datetime as dt
import html
import re
from typing import Any

import pytest
import requests

from quant_pipeline.market import clock
from quant_pipeline.market.datasets import CB_DAILY, DAILY_KLINE
from quant_pipeline.market.search import Named
from quant_pipeline.overview.watchlists import last_bars
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse import watchlists
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.door.feed.conftest import Door
from quant_pipeline_tests.door.served import served
from quant_pipeline_tests.sync.stored import store


def get(url: str, **options: Any) -> str:
    answer = requests.get(url, timeout=60, **options)
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def codes(page: str) -> list[str]:
    return re.findall(r'<tr data-code="([^"]+)"', page)


def test_the_first_watchlist_is_shown_or_the_one_that_is_asked_for_or_codes(door: Door) -> None:
    assert codes(get(f"{door.url}/quotes")) == ["000001.SH"], "without a list the indexes that there are"
    for name, code in (("core", "600000.SH"), ("other", "000001.SZ")):
        watchlists.add(door.database, name, [Named(code, "")], origin="typed", day=clock.today())
    assert codes(get(f"{door.url}/quotes")) == ["600000.SH"]
    assert codes(get(f"{door.url}/quotes?list=other")) == ["000001.SZ"]
    page = get(f"{door.url}/quotes?codes=688981，sh000001 000001,999999")
    assert codes(page) == ["688981.SH", "000001.SH", "000001.SZ"]
    assert "没有这些代码 No such codes: 999999" in page
    assert "没有自选列表“none”" in get(f"{door.url}/quotes?list=none")


def test_a_row_has_the_last_quote_and_says_when_it_is_stale(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    page = get(f"{door.url}/quotes?codes=600000")
    for text in ("浦发银行", "10.50", "+5.00%", "0.13", "10:30:00"):
        assert text in page, text
    assert 'class="stale"' not in page
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T10:31:00")
    assert 'class="stale"' in get(f"{door.url}/quotes?codes=600000")


def test_a_code_without_a_quote_shows_its_last_close_and_says_of_which_day(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    bar = {"ts_code": "688981.SH", "trade_date": dt.date(2026, 11, 19), "close": 88.76, "change": -1.12, "pct_chg": -1.25}
    prices = {"open": 88.11, "high": 89.22, "low": 87.33}
    store(door.database, DAILY_KLINE, [bar | prices | {"vol": 1_234_500.0, "amount": 10_957_400.0}])
    page = get(f"{door.url}/quotes?codes=688981,000001")
    shown = ("88.76", "−1.25%", "−1.12", "88.11", "89.22", "87.33", "123.45", "110", "11-19 收盘")
    for text in (*(f">{each}</" for each in shown), 'data-closes="2026-11-19" data-due', 'data-amount="10957400000.0"'):
        assert text in page, text
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T20:00:00")
    assert "data-due" not in get(f"{door.url}/quotes?codes=688981")
    assert "data-closes" not in get(f"{door.url}/quotes?codes=600000"), "what has a quote needs none"


def test_the_turnover_of_a_bond_s_last_bar_is_read_in_its_own_unit(door: Door) -> None:
    bar = {"ts_code": "113050.SH", "trade_date": dt.date(2026, 11, 19), "close": 118.5, "vol": 51_000.0, "amount": 6043.5}
    store(door.database, CB_DAILY, [bar | dict.fromkeys(("open", "high", "low"), 118.5)])
    bond = last_bars(door.database, ["113050.SH"], dt.date(2026, 11, 20))["113050.SH"]
    assert (bond.vol, bond.amount) == (51_000, 60_435_000)


def test_the_navigation_leads_there_and_where_quotes_are_off_it_says_so(
    warehouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_QUOTES", "false")
    with served(Settings(), warehouse) as url:
        page = get(f"{url}/quotes")
        assert "QUANT_QUOTES=true" in page
        assert "quotes.js" not in page
        assert '<a href="/quotes"' in get(f"{url}/data")
