"""Market numbers: every code of every list comes back as itself, whatever number THS writes it with."""

from __future__ import annotations

import re
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket
from quant_pipeline.ths.market_ids import Entry, MarketIdError, alternatives, entry, ts_code

_ASKED = {
    "stock_basic": ({"list_status": status} for status in "LDP"),
    "bse_mapping": ({},),
    "fund_basic": ({},),
    "cb_basic": ({},),
    "index_basic": ({"market": market} for market in ("SSE", "SZSE", "CSI")),
    "ths_index": ({},),
}
_KNOWN = {
    "600519.SH": Entry("600519", "17"),
    "688981.SH": Entry("688981", "18"),
    "000001.SZ": Entry("000001", "33"),
    "300750.SZ": Entry("300750", "33"),
    "920001.BJ": Entry("920001", "151"),
    "510300.SH": Entry("510300", "20"),
    "159915.SZ": Entry("159915", "36"),
    "113050.SH": Entry("113050", "17"),
    "123107.SZ": Entry("123107", "33"),
    "900901.SH": Entry("900901", "17"),
    "200002.SZ": Entry("200002", "33"),
    "000001.SH": Entry("1A0001", "16"),
    "000300.SH": Entry("1B0300", "16"),
    "399006.SZ": Entry("399006", "32"),
    "899050.BJ": Entry("899050", "151"),
    "H30269.CSI": Entry("H30269", "120"),
    "885001.TI": Entry("885001", "48"),
}


@cache
def codes() -> list[str]:
    """Made when a test asks: who only collects the tests needs no market."""
    market = SimulatedMarket(Exchange(codes=5400, first_year=2025))
    codes = set(_KNOWN)
    for api, asked in _ASKED.items():
        for params in asked:
            rows = market.frame(api, params, 100_000)
            for column in {"ts_code", "o_code", "n_code"} & set(rows.columns):
                codes |= set(rows[column])
    return sorted(code for code in codes if re.match(r"^[0-9H]\d{5}\.", code))


def test_the_lists_have_every_kind_of_code() -> None:
    assert len(codes()) > 5_000
    kinds = {"688": "SH", "920": "BJ", "900": "SH", "200": "SZ", "51": "SH", "15": "SZ", "11": "SH", "12": "SZ", "399": "SZ"}
    for beginning, exchange in kinds.items():
        assert any(code.startswith(beginning) and code.endswith(exchange) for code in codes()), beginning


@given(st.deferred(lambda: st.sampled_from(codes())))
def test_every_code_comes_back_as_itself(code: str) -> None:
    written = entry(code)
    assert ts_code(written) == code
    assert {ts_code(other) for other in alternatives(written)} <= {code}


def test_no_two_codes_are_written_alike() -> None:
    assert len({entry(code) for code in codes()}) == len(codes())


@pytest.mark.parametrize(("code", "written"), _KNOWN.items())
def test_the_numbers_are_those_that_are_known(code: str, written: Entry) -> None:
    assert entry(code) == written


@pytest.mark.parametrize(
    ("read", "code"),
    [
        (Entry("688981", "17"), "688981.SH"),
        (Entry("688981", "18"), "688981.SH"),
        (Entry("920001", "71"), "920001.BJ"),
        (Entry("920001", "151"), "920001.BJ"),
        (Entry("920001", "87"), "920001.BJ"),
        (Entry("510300", "17"), "510300.SH"),
        (Entry("000905", "16"), "000905.SH"),
        (Entry("000852", "120"), "000852.SH"),
        (Entry("HK0700", "177"), None),
        (Entry("AAPL", "185"), None),
        (Entry("600519", "33"), None),
        (Entry("1A000", "16"), None),
        (Entry("88500", "48"), None),
        (Entry("六〇〇五一九", "17"), None),
        (Entry("", ""), None),
    ],
)
def test_what_is_read_is_known_or_left_alone(read: Entry, code: str | None) -> None:
    assert ts_code(read) == code


def test_a_code_without_a_market_is_refused_in_words() -> None:
    with pytest.raises(MarketIdError, match=r"HSI\.HI: no market of THS is known for it"):
        entry("HSI.HI")
