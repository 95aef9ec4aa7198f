"""The pages of watchlists over a real socket: lists with their codes, what was pushed, what to do where there is nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from quant_pipeline import settings
from quant_pipeline.market.datasets import CB_DAILY, DAILY_KLINE, STOCK_LIST, THS_WATCHLIST
from quant_pipeline.market.search import Named
from quant_pipeline.warehouse import watchlists
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.door.served import served
from quant_pipeline_tests.sync.stored import LATEST, LISTED, NOW, bars, sessions, store

NAME = "核心 <b>"


@pytest.fixture
def url(warehouse: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    for variable, value in {"QUANT_DATABASE_URL": warehouse.url, "QUANT_HOME": str(tmp_path), "QUANT_NOW": NOW}.items():
        monkeypatch.setenv(variable, value)
    with served(settings.load(), warehouse) as address:
        yield address


def _got(url: str, path: str, status: int = 200) -> str:
    answer = requests.get(url + path, timeout=60)
    assert answer.status_code == status, answer.text
    return answer.text


def _listed(database: Database) -> None:
    store(database, STOCK_LIST, [{"ts_code": "600519.SH", "name": "贵州茅台", "list_status": "L", "list_date": LISTED}])
    store(database, DAILY_KLINE, bars(["600519.SH"], sessions(5)))
    prices = dict.fromkeys(("open", "high", "low", "close", "pre_close", "vol", "amount"), 120.0)
    store(database, CB_DAILY, [{"ts_code": "113050.SH", "trade_date": LATEST, **prices, "pct_chg": -1.5}])
    codes = [Named("600519.SH", "贵州茅台"), Named("113050.SH", "南银转债"), Named("000001.SH", "上证指数")]
    watchlists.add(database, NAME, codes, origin="typed", day=LATEST)


def test_without_a_list_the_page_says_how_one_is_made(url: str) -> None:
    page = _got(url, "/watchlists")
    assert "quant-pipeline watchlist add" in page
    assert "quant-pipeline ths login" in page
    assert 'aria-current="page">自选</a>' in page


def test_a_list_stands_with_its_codes_and_how_they_did(url: str, warehouse: Database) -> None:
    _listed(warehouse)
    page = _got(url, "/watchlists")
    assert "<b>" not in page.split("As a universe:")[1].split("</code>")[0], "a name is no HTML"
    for text in ("贵州茅台", "南银转债", "上证指数", "−1.50%", "涨 1", "跌 1", "3 个"):
        assert text in page
    one = _got(url, "/watchlists/核心 <b>")
    assert "120.00" in one
    assert "/k/113050.SH" in one
    assert "手工输入" in one


def test_a_list_of_many_codes_has_pages(url: str, warehouse: Database) -> None:
    codes = [Named(f"{600_000 + n}.SH", "") for n in range(150)]
    watchlists.add(warehouse, "many", codes, origin="typed", day=LATEST)
    assert "600149.SH" not in _got(url, "/watchlists/many")
    assert "600149.SH" in _got(url, "/watchlists/many?page=9")
    assert "全部 150 个" in _got(url, "/watchlists")


def test_a_list_that_there_is_not_is_told_with_those_that_there_are(url: str, warehouse: Database) -> None:
    assert "还没有自选列表" in _got(url, "/watchlists/core", 404)
    _listed(warehouse)
    assert "核心 &lt;b&gt;" in _got(url, "/watchlists/core", 404)


def test_the_last_pushes_are_shown_with_what_was_refused_and_why(url: str, warehouse: Database) -> None:
    shared = {"trade_date": LATEST, "account": "mine", "group_id": "0_1", "origin": "screen:dual_ma", "group_name": "双均线"}
    rows = [
        {**shared, "ts_code": "600519.SH", "name": "贵州茅台", "action": "add", "outcome": "done"},
        {**shared, "ts_code": "000001.SZ", "name": "平安银行", "action": "add", "outcome": "there"},
        {**shared, "ts_code": "600001.SH", "name": "邯郸钢铁", "action": "remove", "outcome": "done"},
        {**shared, "ts_code": "999999.SH", "action": "add", "outcome": "refused", "said": "-10003 股票代码错误"},
    ]
    store(warehouse, THS_WATCHLIST, rows, source="computed")
    page = _got(url, "/watchlists")
    for text in ("双均线", "加入 1", "移出 1", "原已在内 1", "未成 1", "-10003 股票代码错误", "选股 双均线", str(LATEST)):
        assert text in page
