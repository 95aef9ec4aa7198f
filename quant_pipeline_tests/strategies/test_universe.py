"""The universe: each filter by the day's own facts, and sentences where one cannot be used."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    DAILY_KLINE,
    INDEX_WEIGHTS,
    NAME_HISTORY,
    PRICE_LIMITS,
    STOCK_LIST,
    SUSPENSIONS,
    THS_CONCEPTS,
    THS_INDUSTRIES,
    THS_MEMBERS,
    WATCHLISTS,
)
from quant_pipeline.market.xshg import xshg
from quant_pipeline.strategies.universe import Universe, UniverseError, chosen, needed

FORMER, DAY = xshg().window(dt.date(2026, 11, 20), 2)
CODES = ["600000.SH", "000001.SZ", "300001.SZ", "688001.SH", "920001.BJ"]


def _rows(dataset: Dataset, rows: list[dict[str, Any]]) -> pl.DataFrame:
    types = {column.name: column.type.polars for column in dataset.columns}
    return pl.DataFrame([dict.fromkeys(types) | row for row in rows], schema=types)


BARS = _rows(
    DAILY_KLINE,
    [
        {"ts_code": code, "trade_date": day, "close": 10.0, "amount": 1000.0 * (at + 1)}
        for at, code in enumerate(CODES)
        for day in (FORMER, DAY)
    ],
).select("ts_code", "trade_date", "close", "amount")
TABLES = {
    STOCK_LIST.name: _rows(
        STOCK_LIST,
        [
            {"ts_code": "600000.SH", "list_date": dt.date(2000, 1, 4)},
            {"ts_code": "000001.SZ", "list_date": FORMER},
            {"ts_code": "300001.SZ", "list_date": DAY},
        ],
    ),
    NAME_HISTORY.name: _rows(
        NAME_HISTORY,
        [
            {"ts_code": "600000.SH", "name": "浦发银行", "start_date": dt.date(2000, 1, 4)},
            {"ts_code": "000001.SZ", "name": "*ST平安", "start_date": dt.date(2020, 1, 2)},
            {"ts_code": "000001.SZ", "name": "平安银行", "start_date": DAY},
            {"ts_code": "300001.SZ", "name": "退市特锐", "start_date": dt.date(2026, 1, 5)},
            {"ts_code": "688001.SH", "name": "华兴", "start_date": dt.date(2019, 7, 22)},
            {"ts_code": "688001.SH", "name": "ST华兴", "start_date": dt.date(2026, 12, 1)},
        ],
    ),
    INDEX_WEIGHTS.name: _rows(
        INDEX_WEIGHTS,
        [
            {"index_code": "000300.SH", "con_code": "600000.SH", "trade_date": dt.date(2026, 10, 30)},
            {"index_code": "000300.SH", "con_code": "000001.SZ", "trade_date": DAY},
            {"index_code": "000905.SH", "con_code": "300001.SZ", "trade_date": DAY},
        ],
    ),
    THS_CONCEPTS.name: _rows(THS_CONCEPTS, [{"ts_code": "885001.TI", "name": "人工智能", "type": "N"}]),
    THS_INDUSTRIES.name: _rows(THS_INDUSTRIES, [{"ts_code": "881001.TI", "name": "银行", "type": "I"}]),
    THS_MEMBERS.name: _rows(
        THS_MEMBERS,
        [
            {"ts_code": "885001.TI", "con_code": "688001.SH", "is_new": "Y"},
            {"ts_code": "885001.TI", "con_code": "300001.SZ", "is_new": "N"},
            {"ts_code": "881001.TI", "con_code": "600000.SH"},
        ],
    ),
    SUSPENSIONS.name: _rows(
        SUSPENSIONS,
        [
            {"ts_code": "600000.SH", "trade_date": DAY, "suspend_type": "S", "suspend_timing": "09:30-10:30"},
            {"ts_code": "000001.SZ", "trade_date": DAY, "suspend_type": "R"},
        ],
    ),
    WATCHLISTS.name: _rows(
        WATCHLISTS,
        [
            {"watchlist": "core", "ts_code": "600000.SH"},
            {"watchlist": "core", "ts_code": "000300.SH"},
            {"watchlist": "bse", "ts_code": "920001.BJ"},
        ],
    ),
    PRICE_LIMITS.name: _rows(
        PRICE_LIMITS,
        [
            {"ts_code": code, "trade_date": day, "up_limit": 10.0 if (code, day) == ("688001.SH", DAY) else 11.0}
            for code in CODES[:4]
            for day in (FORMER, DAY)
        ],
    ),
}


def _chosen(universe: Universe, day: dt.date = DAY) -> list[str]:
    return chosen(universe, BARS, TABLES, xshg()).filter(trade_date=day)["ts_code"].sort().to_list()


@pytest.mark.parametrize(
    ("filters", "former", "day"),
    [
        ({}, CODES, CODES),
        ({"boards": ["main", "star"]}, ["000001.SZ", "600000.SH", "688001.SH"], ["000001.SZ", "600000.SH", "688001.SH"]),
        ({"boards": ["bse"]}, ["920001.BJ"], ["920001.BJ"]),
        ({"codes": ["1", "sh600000"][1:]}, ["600000.SH"], ["600000.SH"]),
        # its names of the day: the one was ST until yesterday, the other will be
        ({"without_st": True}, ["600000.SH", "688001.SH", "920001.BJ"], ["000001.SZ", "600000.SH", "688001.SH", "920001.BJ"]),
        ({"index": "hs300"}, ["600000.SH"], ["000001.SZ"]),
        ({"index": "000300.SH"}, ["600000.SH"], ["000001.SZ"]),
        ({"ths": ["人工智能"]}, ["688001.SH"], ["688001.SH"]),
        ({"ths": ["885001.TI", "银行"]}, ["600000.SH", "688001.SH"], ["600000.SH", "688001.SH"]),
        # listed for more than one session; of whom nothing is known, long ago
        ({"watchlists": ["core"]}, ["600000.SH"], ["600000.SH"]),
        ({"watchlists": ["core", "bse"]}, ["600000.SH", "920001.BJ"], ["600000.SH", "920001.BJ"]),
        ({"min_listed": 1}, ["600000.SH", "688001.SH", "920001.BJ"], ["000001.SZ", "600000.SH", "688001.SH", "920001.BJ"]),
        ({"min_amount": 4000.0}, ["688001.SH", "920001.BJ"], ["688001.SH", "920001.BJ"]),
        ({"without_halted": True}, CODES, [code for code in CODES if code != "600000.SH"]),
        ({"without_limit_up": True}, CODES, [code for code in CODES if code != "688001.SH"]),
        ({"boards": ["main"], "min_amount": 2000.0}, ["000001.SZ"], ["000001.SZ"]),
    ],
)
def test_each_filter_goes_by_what_held_on_the_day(filters: dict[str, Any], former: list[str], day: list[str]) -> None:
    universe = Universe(**filters)
    assert universe.chooses == bool(filters)
    assert _chosen(universe, FORMER) == sorted(former)
    assert _chosen(universe, DAY) == sorted(day)


def test_only_what_a_filter_looks_at_is_read() -> None:
    assert needed(Universe()) == ()
    assert needed(Universe(without_st=True, boards=["main"])) == (NAME_HISTORY,)


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ({"boards": ["nasdaq"]}, "nasdaq is no board: write main, chinext, star, bse"),
        ({"index": "dax"}, r"members of dax are not kept: write one of sz50 \(000016.SH\), hs300"),
        (
            {"index": "sz50"},
            "the filter index needs index_weights 2026-11-19, .* --datasets index_weights --start 2026-11-19",
        ),
        ({"ths": ["人工智障"]}, "人工智障 is no THS concept or industry; perhaps: 人工智能 885001.TI"),
        ({"watchlists": ["cor"]}, r"there is no watchlist cor\. Did you mean core\?"),
        ({"codes": ["6"]}, "'6' is no security code"),
        (
            {"min_amount": 1e9},
            "the universe is empty on 2026-11-19: no share that traded passes min_amount=1000000000.0",
        ),
    ],
)
def test_what_cannot_be_is_a_sentence(filters: dict[str, Any], told: str) -> None:
    with pytest.raises(UniverseError, match=told):
        _chosen(Universe(**filters))


@pytest.mark.parametrize(
    ("filters", "lacks", "told"),
    [
        (
            {"without_st": True},
            NAME_HISTORY,
            "the filter without_st needs name_history, of which nothing is stored. Fetch",
        ),
        ({"min_listed": 60}, STOCK_LIST, "the filter min_listed needs stock_list, .* sync --datasets stock_list$"),
        ({"without_limit_up": True}, PRICE_LIMITS, "needs price_limits 2026-11-19, .* --start 2026-11-19 --end 2026-11-19"),
    ],
)
def test_what_is_not_stored_is_named_with_the_command_that_brings_it(
    filters: dict[str, Any], lacks: Dataset, told: str
) -> None:
    with pytest.raises(UniverseError, match=told):
        chosen(Universe(**filters), BARS, TABLES | {lacks.name: TABLES[lacks.name].clear()}, xshg())
