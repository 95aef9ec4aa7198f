"""A symbol goes to the data sets that have rows of it, and to no other."""

from __future__ import annotations

import pytest

from quant_pipeline.market.codes import CodeError
from quant_pipeline.market.datasets import SOURCED
from quant_pipeline.sync.symbols import codes_of

SYMBOLS = ["000001", "600000.SH", "920001.BJ", "510300", "113050", "000300.SH", "399006.SZ", "885001.TI"]


@pytest.mark.parametrize(
    ("dataset", "codes"),
    [
        ("daily_kline", ["000001.SZ", "600000.SH", "920001.BJ"]),
        ("weekly_kline", ["000001.SZ", "600000.SH", "920001.BJ"]),
        ("etf_daily", ["510300.SH"]),
        ("cb_daily", ["113050.SH"]),
        ("index_daily", ["000300.SH", "399006.SZ"]),
        ("ths_members", ["885001.TI"]),
        ("stock_list", []),
        ("ths_hot", []),
    ],
)
def test_each_goes_where_it_belongs(dataset: str, codes: list[str]) -> None:
    assert codes_of(SOURCED[dataset], SYMBOLS) == codes


@pytest.mark.parametrize("text", ["60000x", "12345", "", "平安银行", "999999"])
def test_what_is_no_code_of_anything_is_refused(text: str) -> None:
    with pytest.raises(CodeError):
        codes_of(SOURCED["daily_kline"], [text])
