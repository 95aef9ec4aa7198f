"""Which lists and halts must be there before a data set's answers can be judged."""

from __future__ import annotations

import datetime as dt

import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    AUCTION,
    BSE_MAPPING,
    DAILY_KLINE,
    ETF_DAILY,
    ETF_LIST,
    INDEX_DAILY,
    INDEX_LIST,
    NAME_HISTORY,
    PRICE_LIMITS,
    STOCK_LIST,
    SUSPENSIONS,
    THS_CONCEPTS,
    THS_INDUSTRIES,
    THS_MEMBERS,
    TRADE_CALENDAR,
    WEEKLY_KLINE,
)
from quant_pipeline.sync.references import lists_of, needs_halts, needs_marks


@pytest.mark.parametrize(
    ("dataset", "lists", "halts"),
    [
        (DAILY_KLINE, [STOCK_LIST, BSE_MAPPING], True),
        (WEEKLY_KLINE, [STOCK_LIST, BSE_MAPPING], True),
        (ADJ_FACTOR, [STOCK_LIST, BSE_MAPPING], True),
        (AUCTION, [STOCK_LIST, BSE_MAPPING], True),
        (PRICE_LIMITS, [STOCK_LIST, BSE_MAPPING, NAME_HISTORY], True),
        (SUSPENSIONS, [STOCK_LIST, BSE_MAPPING], False),
        (ETF_DAILY, [ETF_LIST], False),
        (INDEX_DAILY, [INDEX_LIST], False),
        (THS_MEMBERS, [THS_CONCEPTS, THS_INDUSTRIES], False),
        (STOCK_LIST, [], False),
        (TRADE_CALENDAR, [], False),
    ],
    ids=lambda value: value.name if isinstance(value, Dataset) else "",
)
def test_what_a_data_set_is_judged_by_is_there_first(dataset: Dataset, lists: list[Dataset], halts: bool) -> None:
    assert lists_of(dataset) == lists
    assert needs_halts(dataset) is halts


def test_who_was_st_matters_to_limits_while_st_had_limits_of_its_own() -> None:
    assert needs_marks(PRICE_LIMITS, dt.date(2026, 7, 3))
    assert not needs_marks(PRICE_LIMITS, dt.date(2026, 7, 6))
    assert not needs_marks(DAILY_KLINE, dt.date(2026, 7, 3))
