"""What a person types finds what is meant: codes, names, pinyin in full, by initials and mixed, near misses."""

from __future__ import annotations

import datetime as dt

import pytest

from quant_pipeline.market.listings import Kind, Listing, meant
from quant_pipeline.market.search import Named, near, search

NAMES = [
    Named("000001.SZ", "平安银行"),
    Named("600000.SH", "浦发银行"),
    Named("600519.SH", "贵州茅台"),
    Named("000002.SZ", "万  科Ａ"),
    Named("000625.SZ", "长安汽车"),
    Named("601318.SH", "中国平安"),
    Named("600886.SH", "*ST国投"),
    Named("daily_kline", "日线行情"),
]
LISTINGS = [
    Listing("000001.SZ", "平安银行", Kind.STOCK, "银行", dt.date(1991, 4, 3)),
    Listing("600519.SH", "贵州茅台", Kind.STOCK),
    Listing("000001.SH", "上证指数", Kind.INDEX),
    Listing("000300.SH", "沪深300", Kind.INDEX),
    Listing("H30269.CSI", "红利低波", Kind.INDEX),
    Listing("510300.SH", "沪深300ETF", Kind.ETF),
    Listing("113050.SH", "南银转债", Kind.CONVERTIBLE_BOND),
]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("600519", "600519.SH"),
        ("6005", "600519.SH"),
        ("600519.sh", "600519.SH"),
        ("贵州茅台", "600519.SH"),
        ("茅台", "600519.SH"),
        ("gzmt", "600519.SH"),
        ("GZMT", "600519.SH"),
        ("guizhoumaotai", "600519.SH"),
        ("guizhoumt", "600519.SH"),
        ("maotai", "600519.SH"),
        ("pfyh", "600000.SH"),
        ("changan", "000625.SZ"),
        ("zhangan", "000625.SZ"),
        ("万科a", "000002.SZ"),
        ("wka", "000002.SZ"),
        ("万 科", "000002.SZ"),
        ("stgt", "600886.SH"),
        ("rxhq", "daily_kline"),
        ("日线", "daily_kline"),
        ("kline", "daily_kline"),
    ],
)
def test_what_is_typed_finds_what_is_meant(query: str, first: str) -> None:
    assert search(query, NAMES)[0].code == first


def test_the_name_s_beginning_comes_before_its_end() -> None:
    assert [each.code for each in search("平安", NAMES)] == ["000001.SZ", "601318.SH"]
    assert [each.code for each in search("pa", NAMES)] == ["000001.SZ", "601318.SH"]
    assert [each.code for each in search("yh", NAMES)] == ["000001.SZ", "600000.SH"]


@pytest.mark.parametrize("query", ["", "   ", "gzmx", "guizhoumaotaix", "999999", "苹果"])
def test_what_nothing_is_called_finds_nothing(query: str) -> None:
    assert search(query, NAMES) == []


def test_no_more_than_asked_for() -> None:
    assert len(search("6", NAMES, limit=2)) == 2


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("600591", "600519.SH"),
        ("600518.SH", "600519.SH"),
        ("贵州矛台", "600519.SH"),
        ("daly_kline", "daily_kline"),
        ("gzmt", "600519.SH"),
    ],
)
def test_a_near_miss_is_answered_with_what_was_perhaps_meant(text: str, meant: str) -> None:
    assert meant in [each.code for each in near(text, NAMES)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("600519", ["600519.SH"]),
        ("sh600519", ["600519.SH"]),
        ("600519.XSHG", ["600519.SH"]),
        ("1.600519", ["600519.SH"]),
        ("000001", ["000001.SZ", "000001.SH"]),
        ("000001.SZ", ["000001.SZ"]),
        ("SH000001", ["000001.SH"]),
        ("000001.sh", ["000001.SH"]),
        ("000300", ["000300.SH"]),
        ("h30269.csi", ["H30269.CSI"]),
        ("510300", ["510300.SH"]),
        ("113050", ["113050.SH"]),
        ("600520", []),
        ("maotai", []),
        ("", []),
    ],
)
def test_a_code_in_any_spelling_stands_for_its_listing(text: str, expected: list[str]) -> None:
    assert [each.code for each in meant(text, LISTINGS)] == expected
