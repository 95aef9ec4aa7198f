"""The pages of K-lines, search and screens over a real socket and a real database."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    CONVERTIBLE_BONDS,
    DAILY_BASIC,
    DAILY_KLINE,
    ETF_DAILY,
    ETF_LIST,
    INDEX_DAILY,
    INDEX_LIST,
    SCREEN_RESULTS,
    STOCK_LIST,
    SUSPENSIONS,
)
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.screenings import note_screening
from quant_pipeline_tests.door.served import served
from quant_pipeline_tests.sync.stored import LATEST, LISTED, NOW, bars, sessions, store

DAYS = sessions(40)
HALTED = DAYS[20:26]
NEW = DAYS[-3:]
QUIET = DAYS[-5]
"""A session that was screened without a hit."""


@pytest.fixture
def pages(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    fill(warehouse)
    monkeypatch.setenv("QUANT_NOW", NOW)
    with served(Settings(QUANT_UI_URL="http://127.0.0.1:3000"), warehouse) as url:
        yield url


def fill(database: Database) -> None:
    """A share with a halt, an ex-date and hits; a new one; one without bars; a delisted one; an index, a fund, a bond."""
    shares = [
        ("600519.SH", "贵州茅台", "白酒", None),
        ("000001.SZ", "平安银行", "银行", None),
        ("688001.SH", "新芯科技", "半导体", None),
        ("600000.SH", "浦发银行", "银行", None),
        ("600002.SH", "退市股份", "钢铁", DAYS[30]),
    ]
    store(
        database,
        STOCK_LIST,
        [
            {"ts_code": code, "name": name, "industry": industry, "list_status": "L", "list_date": LISTED, "delist_date": gone}
            for code, name, industry, gone in shares
        ],
    )
    store(database, INDEX_LIST, [{"ts_code": "000001.SH", "name": "上证指数"}, {"ts_code": "000300.SH", "name": "沪深300"}])
    store(database, ETF_LIST, [{"ts_code": "510300.SH", "name": "沪深300ETF", "status": "L"}])
    store(database, CONVERTIBLE_BONDS, [{"ts_code": "113050.SH", "bond_short_name": "南银转债", "stk_short_name": "南京银行"}])
    store(database, DAILY_KLINE, bars(["600519.SH"], [day for day in DAYS if day not in HALTED]))
    store(database, DAILY_KLINE, bars(["000001.SZ"], DAYS))
    store(database, DAILY_KLINE, bars(["688001.SH"], NEW))
    store(database, DAILY_KLINE, bars(["600002.SH"], DAYS[:30]))
    for code in ("600519.SH", "000001.SZ", "688001.SH", "600002.SH"):
        store(database, ADJ_FACTOR, [{"ts_code": code, "trade_date": day, "adj_factor": 1 + (day >= DAYS[30])} for day in DAYS])
    store(database, SUSPENSIONS, [{"ts_code": "600519.SH", "trade_date": day, "suspend_type": "S"} for day in HALTED])
    store(database, DAILY_BASIC, [{"ts_code": "600519.SH", "trade_date": LATEST, "pe_ttm": None, "total_mv": 12345678.0}])
    store(database, INDEX_DAILY, bars(["000001.SH"], DAYS))
    store(database, ETF_DAILY, bars(["510300.SH"], DAYS))
    with database.connect() as connection:
        note_screening(connection, "dual_ma", QUIET, hits=0)
    figures, parameters = '{"ma5": 13.1, "ma20": 12.35}', '{"fast": 5, "slow": 20}'
    store(
        database,
        SCREEN_RESULTS,
        [
            {
                "screen": "dual_ma", "trade_date": day, "ts_code": code, "name": name, "close": 13.3, "pct_chg": 0.76,
                "score": score, "figures": figures, "parameters": parameters,
            }
            for day, code, name, score in (
                (DAYS[-2], "600519.SH", "贵州茅台", 1.5),
                (DAYS[-2], "600000.SH", "浦发银行", 0.5),
                (LATEST, "000001.SZ", "平安银行", 3.25),
                (LATEST, "600519.SH", "贵州茅台", 2.5),
            )
        ],
    )  # fmt: skip


def get(url: str, status: int = 200, **options: Any) -> str:
    answer = requests.get(url, timeout=30, **options)
    assert answer.status_code == status, answer.text[:500]
    return html.unescape(answer.text)


def goes_to(url: str) -> str:
    answer = requests.get(url, timeout=30, allow_redirects=False)
    assert answer.status_code == 302, answer.status_code
    return answer.headers["Location"]


def drawn(page: str) -> dict[str, Any]:
    """The figure in the page."""
    found = re.search(r'<script type="application/json" id="kline-figure">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    figure: dict[str, Any] = json.loads(found[1])
    return figure


def test_a_share_s_page_says_who_it_is_and_where_it_stands(pages: str) -> None:
    page = get(f"{pages}/k/600519.SH")
    for text in ("贵州茅台", "600519.SH", "白酒", "沪市主板", "2020-01-02", "2026-11-20 周五", "13.30", "+0.76%"):
        assert text in page, text
    assert "亏损" in page, "no price / earnings at a loss"
    assert "1,234.57 亿" in page
    assert f"{HALTED[0]} 至 {HALTED[-1]}" in page
    assert "6 个交易日" in page
    assert f'href="/screens/dual_ma/{LATEST}"' in page
    assert "×2.0000" in page
    assert 'href="http://127.0.0.1:3000/assets/daily_kline"' in page
    assert 'rel="prev"' in page
    assert page.count("<tr><td") == 20


def test_the_table_and_the_chart_hold_the_same_figures(pages: str) -> None:
    page = get(f"{pages}/k/600519.SH")
    candles = drawn(page)["data"][0]
    assert (candles["x"][-1], candles["close"][-1]) == ("2026-11-20", 13.3)
    assert "<b>13.30</b>" in page
    assert ">0.43<" in page, "万手"


@pytest.mark.parametrize(
    ("query", "places", "first_close"),
    [
        ("", 40, 5.0),
        ("?adjust=raw", 40, 10.0),
        ("?adjust=hfq", 40, 10.0),
        ("?freq=W", 10, None),
        ("?freq=m&indicator=kdj", 3, None),
    ],
)
def test_frequency_and_adjustment_are_plain_links(pages: str, query: str, places: int, first_close: float | None) -> None:
    page = get(f"{pages}/k/600519.SH{query}")
    candles = drawn(page)["data"][0]
    assert len(candles["x"]) == places
    if first_close is not None:
        assert candles["close"][0] == first_close
    links = re.findall(r'href="(/k/600519\.SH\?[^"]*)"', page)
    assert links
    for link in links:
        get(f"{pages}{link}")


def test_a_value_that_there_is_not_shows_the_usual(pages: str) -> None:
    strange = get(f"{pages}/k/600519.SH?freq=Y&adjust=none&indicator=rsi&span=x")
    assert drawn(strange) == drawn(get(f"{pages}/k/600519.SH"))


@pytest.mark.parametrize("spelled", ["600519", "600519.sh", "SH600519", "sh.600519", "1.600519", "600519.XSHG"])
def test_every_spelling_leads_to_the_one_address(pages: str, spelled: str) -> None:
    assert goes_to(f"{pages}/k/{spelled}?freq=W") == "/k/600519.SH?freq=W"


def test_000001_is_the_share_and_links_to_the_index(pages: str) -> None:
    assert goes_to(f"{pages}/k/000001") == "/k/000001.SZ"
    assert 'href="/k/000001.SH"' in get(f"{pages}/k/000001.SZ")
    index = get(f"{pages}/k/000001.SH")
    assert "上证指数" in index
    assert 'href="/k/000001.SZ"' in index
    assert "前复权" not in index, "an index has no ex-dates"


def test_funds_bonds_and_delisted_codes_have_pages(pages: str) -> None:
    fund = get(f"{pages}/k/510300.SH")
    assert "13.900" in fund
    assert "所示为不复权价格" in fund
    assert "--datasets etf_daily,etf_adj --symbols 510300.SH" in fund
    gone = get(f"{pages}/k/600002.SH")
    assert "已退市" in gone
    assert drawn(gone)["data"][0]["x"][-1] == DAYS[29].isoformat()


def test_a_code_without_bars_says_why_and_how_to_get_them(pages: str) -> None:
    share = get(f"{pages}/k/600000.SH")
    assert "还没有浦发银行的 K 线" in share
    assert "quant-pipeline sync --datasets daily_kline,adj_factor --symbols 600000.SH --all-history" in share
    assert "kline-figure" not in share
    bond = get(f"{pages}/k/113050.SH")
    assert "quant-pipeline sync --datasets cb_daily --symbols 113050.SH --all-history" in bond
    assert "正股 南京银行" in bond


def test_an_unknown_code_is_answered_with_near_ones(pages: str) -> None:
    page = get(f"{pages}/k/600518", 404)
    assert "没有代码“600518”" in page
    assert 'href="/k/600519.SH"' in page
    hostile = requests.get(f"{pages}/k/%3Cscript%3Ealert(1)%3C%2Fscript%3E", timeout=30)
    assert hostile.status_code == 404
    assert "<script>alert" not in hostile.text


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("600519", "600519.SH"),
        ("gzmt", "600519.SH"),
        ("茅台", "600519.SH"),
        ("maotai", "600519.SH"),
        ("sh000001", "000001.SH"),
        ("000001", "000001.SZ"),
    ],
)
def test_a_single_hit_of_the_search_is_gone_to_at_once(pages: str, query: str, code: str) -> None:
    assert goes_to(f"{pages}/search?q={query}") == f"/k/{code}"


def test_many_hits_of_the_search_are_listed_and_none_is_said(pages: str) -> None:
    page = get(f"{pages}/search?q=yh")
    assert page.index('href="/k/000001.SZ"') < page.index('href="/k/600000.SH"')
    assert "没有叫“600518”的" in get(f"{pages}/search?q=600518")
    assert "没有叫“苹果公司”的" in get(f"{pages}/search?q=苹果公司")
    assert "代码" in get(f"{pages}/search?q=%20")


def test_the_search_page_begins_with_indexes_and_what_was_traded_most(pages: str) -> None:
    page = get(f"{pages}/k")
    assert 'href="/k/000300.SH"' in page
    assert 'href="/k/688001.SH"' in page


def test_a_screen_s_page_ranks_its_hits_and_says_what_is_new_and_gone(pages: str) -> None:
    assert goes_to(f"{pages}/screens/dual_ma") == f"/screens/dual_ma/{LATEST}"
    page = get(f"{pages}/screens/dual_ma/{LATEST}")
    assert page.index('href="/k/000001.SZ"') < page.index('href="/k/600519.SH"'), "the higher score first"
    assert re.search(r"平安银行.*?badge new", page, re.DOTALL)
    assert page.count("badge new") == 1
    assert "新 1，保留 1，消失 1" in page
    assert 'href="/k/600000.SH"' in page
    for text in ("5日均线", "20日均线", "12.35", "3.25", "银行", "快线周期"):
        assert text in page, text
    assert f'href="/screens/dual_ma/{DAYS[-2]}"' in page
    assert f'href="/screens/dual_ma/{LATEST}"' in get(f"{pages}/screens/dual_ma/{DAYS[-2]}")
    assert page.count("<polyline") == 2
    assert f"/assets/screen_dual_ma?view=partitions&partition={LATEST}" in page


def test_many_hits_stand_on_pages_and_each_has_its_line(pages: str, warehouse: Database) -> None:
    day, codes = DAYS[-4], [f"{601000 + n}.SH" for n in range(120)]
    store(warehouse, DAILY_KLINE, bars(codes, DAYS[-10:-3]))
    factors = [{"ts_code": code, "trade_date": each, "adj_factor": 1} for code in codes for each in DAYS[-10:-3]]
    store(warehouse, ADJ_FACTOR, factors)
    hits = [{"screen": "dual_ma", "trade_date": day, "ts_code": code, "score": 500 - n} for n, code in enumerate(codes)]
    store(warehouse, SCREEN_RESULTS, hits)
    address = f"{pages}/screens/dual_ma/{day}"
    shown = [get(f"{address}{which}") for which in ("", "?page=2", "?page=3", "?page=99")]
    for number, page in enumerate(shown[:3]):
        of_page = codes[50 * number : 50 * number + 50]
        assert [code for code in codes if f'href="/k/{code}"' in page] == of_page
        assert page.count("<polyline") == len(of_page)
        assert "120 只" in page
    assert "?page=2" in shown[0]
    assert shown[3] == shown[2], "past the last page there is the last one"
    get(f"{address}?page=0", 400)


def test_the_list_of_screens_and_those_without_hits(pages: str) -> None:
    assert f'href="/screens/dual_ma/{DAYS[-2]}"' in get(f"{pages}/screens")
    assert "已选股，没有命中" in get(f"{pages}/screens/dual_ma/{QUIET}")
    by_itself = get(f"{pages}/screens/dual_ma/{DAYS[-6]}")
    assert "还没有选股" in by_itself
    assert f"quant-pipeline screen dual_ma --date {DAYS[-6]}" in by_itself
    assert "QUANT_SCREENS" not in by_itself
    for address, date in ((f"/screens/macd/{DAYS[-6]}", f" --date {DAYS[-6]}"), ("/screens", "")):
        page = get(f"{pages}{address}")
        for advice in (f"quant-pipeline screen macd{date}", "/assets/screen_macd", "QUANT_SCREENS=dual_ma,"):
            assert advice in page, (address, advice)
        assert "quant-pipeline run" not in page, "it runs dual_ma"
    assert "日线还没有同步" in get(f"{pages}/screens/dual_ma/2020-06-01")
    assert "没有选股策略“nothing”" in get(f"{pages}/screens/nothing", 404)
    assert "双均线金叉" in get(f"{pages}/screens/nothing/{LATEST}", 404)
    near = get(f"{pages}/screens/dualma", 404)
    assert 'href="/screens/dual_ma">双均线' in near
    assert 'href="/screens">' in near
    assert "macd" not in near, "not all thirty of them"
    get(f"{pages}/screens/dual_ma/2026-11-21", 404)


def test_before_the_first_sync_every_page_says_what_to_run(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", NOW)
    with served(Settings(), warehouse) as url:
        for address, status in (("/k", 200), ("/k/600519.SH", 404), ("/search?q=茅台", 200), ("/screens", 200)):
            assert "quant-pipeline run" in get(f"{url}{address}", status), address
