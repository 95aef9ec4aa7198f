"""The names that a person types."""

from __future__ import annotations

import pytest

from quant_pipeline.console.choices import chosen_datasets, known_symbols, taken_for
from quant_pipeline.market.datasets import SOURCED
from quant_pipeline.market.listings import Kind, Listing
from quant_pipeline.settings import SettingsError


def test_what_is_switched_off_is_neither_fetched_by_default_nor_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_WITHOUT", "auction, ths_hot")
    assert [dataset.name for dataset in chosen_datasets([], [])] == [
        name for name in SOURCED if name not in ("auction", "ths_hot")
    ]
    with pytest.raises(ValueError, match=r"switched off: auction\..*QUANT_WITHOUT"):
        chosen_datasets(["auction", "stock_list"], [])


def test_a_typing_mistake_in_what_is_switched_off_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_WITHOUT", "acution")
    with pytest.raises(SettingsError, match="QUANT_WITHOUT: unknown data set: acution"):
        chosen_datasets([], [])


def test_data_sets_are_chosen_by_name_and_period_in_the_order_of_a_sync() -> None:
    assert [dataset.name for dataset in chosen_datasets([], [])] == list(SOURCED)
    assert [dataset.name for dataset in chosen_datasets(["adj_factor", "stock_list"], [])] == ["stock_list", "adj_factor"]
    assert [dataset.name for dataset in chosen_datasets([], ["daily"])] == ["daily_kline", "adj_factor"]
    assert [dataset.name for dataset in chosen_datasets(["stock_list"], ["daily"])] == [
        "stock_list",
        "daily_kline",
        "adj_factor",
    ]


@pytest.mark.parametrize(
    ("names", "periods", "told"),
    [
        (["daily_klin"], [], r"unknown data set: daily_klin\. Did you mean daily_kline 日线行情\?"),
        ([], ["weekley"], "unknown period: weekley. Did you mean weekly"),
        (["xyz"], [], r"unknown data set: xyz\. Known: trade_cal"),
    ],
)
def test_unknown_names_are_told_with_what_was_perhaps_meant(names: list[str], periods: list[str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        chosen_datasets(names, periods)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("日线", "daily_kline"),
        ("日k线", "daily_kline"),
        ("周K", "weekly_kline"),
        ("月Ｋ线", "monthly_kline"),
        ("rx", "daily_kline"),
        ("复权因子", "adj_factor"),
        ("zxhq", "weekly_kline"),
        ("热榜", "ths_hot"),
    ],
)
def test_data_sets_answer_to_their_chinese_names_and_their_pinyin_and_it_is_said(typed: str, name: str) -> None:
    assert [dataset.name for dataset in chosen_datasets([typed], [])] == [name]
    (note,) = taken_for([typed, "stock_list"], SOURCED)
    assert note.startswith(f"{typed}: taken as {name} ")


def test_the_beginning_of_several_names_is_none_of_them() -> None:
    with pytest.raises(ValueError, match=r"unknown data set: ths\. Did you mean ths_concepts"):
        chosen_datasets(["ths"], [])


BOTH = "000001: taken as 000001.SZ 平安银行; write"
LISTINGS = [
    Listing("000001.SZ", "平安银行", Kind.STOCK),
    Listing("600000.SH", "浦发银行", Kind.STOCK),
    Listing("600519.SH", "贵州茅台", Kind.STOCK),
    Listing("000001.SH", "上证指数", Kind.INDEX),
    Listing("510300.SH", "沪深300ETF", Kind.ETF),
]


@pytest.mark.parametrize(
    ("symbol", "datasets", "code", "note"),
    [
        ("600000", ["daily_kline"], "600000.SH", ""),
        ("000001", ["daily_kline"], "000001.SZ", ""),
        ("000001", ["index_daily"], "000001.SH", "000001: taken as 000001.SH 上证指数"),
        (
            "000001",
            ["daily_kline", "index_daily"],
            "000001.SZ",
            "000001: taken as 000001.SZ 平安银行; write 000001.SH for 上证指数",
        ),
        ("000001.SH", ["daily_kline", "index_daily"], "000001.SH", ""),
        ("贵州茅台", ["daily_kline"], "600519.SH", "贵州茅台: taken as 600519.SH 贵州茅台"),
        ("gzmt", ["daily_kline"], "600519.SH", "gzmt: taken as 600519.SH 贵州茅台"),
        ("510300", ["daily_kline"], "510300", ""),
        ("885001.TI", ["ths_members", "daily_kline"], "885001.TI", ""),
    ],
)
def test_a_symbol_is_what_the_data_sets_have_rows_of(symbol: str, datasets: list[str], code: str, note: str) -> None:
    found = known_symbols([symbol], [SOURCED[name] for name in datasets], LISTINGS)
    assert (found.codes, found.notes) == ([code], [note] if note else [])


def test_a_slip_of_the_pen_in_a_code_is_refused_with_what_was_perhaps_meant_before_anybody_is_asked() -> None:
    with pytest.raises(ValueError, match=r"600518 is in no list\. Did you mean .*600519\.SH 贵州茅台"):
        known_symbols(["600518"], [SOURCED["daily_kline"]], LISTINGS)
    only_the_index = [each for each in LISTINGS if each.code != "000001.SZ"]
    with pytest.raises(ValueError, match=r"000001 is in no list\."):
        known_symbols(["000001"], [SOURCED["daily_kline"]], only_the_index)
    with pytest.raises(
        ValueError, match=r"600518 is in no list\. The sandbox has companies of its own.*: 000001\.SZ 平安银行, 600"
    ):
        known_symbols(["600518"], [SOURCED["daily_kline"]], LISTINGS, sandboxed=True)
    with pytest.raises(ValueError, match=r"招商银行 is in no list\. The sandbox has companies of its own"):
        known_symbols(["招商银行"], [SOURCED["daily_kline"]], LISTINGS[2:], sandboxed=True)
    with pytest.raises(ValueError, match=r"60051 is in no list\. Did you mean 600519\.SH 贵州茅台\?$"):
        known_symbols(["60051"], [SOURCED["daily_kline"]], LISTINGS, sandboxed=True)
    assert known_symbols(["600518"], [SOURCED["daily_kline"]], []).codes == ["600518"], "no list knows better yet"
