"""Codes: every spelling goes to Tushare's and back; what is no code is refused in words."""

from __future__ import annotations

import re
from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_pipeline.market import codes
from quant_pipeline.market.codes import Board, CodeError

BOARDS = {
    "600000.SH": Board.SSE_MAIN,
    "605499.SH": Board.SSE_MAIN,
    "688981.SH": Board.STAR,
    "689009.SH": Board.STAR,
    "900901.SH": Board.B_SHARE,
    "000001.SZ": Board.SZSE_MAIN,
    "003816.SZ": Board.SZSE_MAIN,
    "300750.SZ": Board.CHINEXT,
    "302132.SZ": Board.CHINEXT,
    "200002.SZ": Board.B_SHARE,
    "920001.BJ": Board.BSE,
    "430047.BJ": Board.BSE,
    "830799.BJ": Board.BSE,
    "871981.BJ": Board.BSE,
    "510300.SH": Board.ETF,
    "588000.SH": Board.ETF,
    "159915.SZ": Board.ETF,
    "113050.SH": Board.CONVERTIBLE_BOND,
    "123107.SZ": Board.CONVERTIBLE_BOND,
    "303001.SZ": Board.UNKNOWN,
    "604001.SH": Board.UNKNOWN,
    "921001.BJ": Board.UNKNOWN,
    "450001.BJ": Board.UNKNOWN,
}
NO_CODES = ["", "60000", "6000000", "abc", "999999", "600000.", "600000.HK", "2.600000"]
NO_CODES += ["399001", "399001.SZ", "899050.BJ", "700001", "303001,48", "303001.48", "1.703001.SZ"]
NO_CODES += ["六〇〇〇〇〇", "６０００００", "６０００００.SH", "600abc.SH"]
a_code = st.builds(
    lambda prefix, rest: prefix + rest[: 6 - len(prefix)],
    st.sampled_from(
        "303 604 921 600 601 603 605 688 689 900 000 001 002 003 300 301 302 200 920 43 82 83 87 88 51 15 113 12".split()
    ),
    st.text("0123456789", min_size=6, max_size=6),
).map(codes.parse)


@pytest.mark.parametrize(("ts_code", "board"), BOARDS.items())
def test_boards(ts_code: str, board: Board) -> None:
    assert codes.parse(ts_code[:6]) == ts_code
    assert codes.board(ts_code) is board


@given(a_code)
def test_every_spelling_comes_back_to_the_same_code(ts_code: str) -> None:
    assert re.match(codes.CODE_PATTERN, ts_code)
    digits, market = ts_code.split(".")
    spellings = [ts_code, ts_code.lower(), digits, f" {market}{digits}", f"{market.lower()}.{digits}"]
    spellings += [codes.to_akshare(ts_code), codes.to_akshare(ts_code, prefixed=True), codes.to_eastmoney(ts_code)]
    spellings += [f"{number}{mark}{market_id}" for number, market_id in [codes.to_ths(ts_code)] for mark in ",_"]
    if market != "BJ":
        spellings.append(codes.to_baostock(ts_code))
    assert {codes.parse(spelling) for spelling in spellings} == {ts_code}


@pytest.mark.parametrize(
    ("ts_code", "ths"),
    [
        ("600519.SH", ("600519", 17)),
        ("688981.SH", ("688981", 18)),
        ("000001.SZ", ("000001", 33)),
        ("300750.SZ", ("300750", 33)),
        ("510300.SH", ("510300", 20)),
        ("159915.SZ", ("159915", 36)),
        ("920001.BJ", ("920001", 151)),
    ],
)
def test_ths_market_ids(ts_code: str, ths: tuple[str, int]) -> None:
    assert codes.to_ths(ts_code) == ths


def test_eastmoney_puts_beijing_under_zero() -> None:
    assert [codes.to_eastmoney(code) for code in ("600000.SH", "000001.SZ", "920001.BJ")] == [
        "1.600000",
        "0.000001",
        "0.920001",
    ]


@pytest.mark.parametrize(
    "text", [*NO_CODES, "600000.SZ", "sz600000", "000001.SH", "920001.SH", "0.600000", "600519,33", "600519,48"]
)
def test_what_is_no_code_or_has_the_wrong_market_is_refused(text: str) -> None:
    with pytest.raises(CodeError) as refused:
        codes.parse(text)
    assert text in str(refused.value)


def test_the_wrong_market_is_named_with_the_right_one() -> None:
    with pytest.raises(CodeError, match=r"000001\.SZ"):
        codes.parse("000001.SH")


def test_a_prefix_that_nobody_knows_is_taken_to_the_market_that_is_written_or_that_it_begins_like() -> None:
    assert [codes.parse(text) for text in ("303001", "303001.SZ", "sz.303001", "0.303001", "303001,33")] == ["303001.SZ"] * 5
    assert codes.parse("700001.SH") == "700001.SH"
    assert codes.board("700001.SH") is Board.UNKNOWN
    with pytest.raises(CodeError, match="700001"):
        codes.parse("0.700001")
    # A prefix that is known, with another market than its own, stays refused.
    column = pl.DataFrame({"code": ["000001.SH", "920001.SZ", "399001.SZ", "303001.SZ"]})
    boards = column.select(board=codes.board_of(pl.col("code")))["board"].to_list()
    assert boards == [None, None, None, Board.UNKNOWN.value]


def test_shanghai_b_shares_are_never_beijing() -> None:
    assert codes.parse("900901") == "900901.SH"
    assert codes.is_former_bse("830799.BJ")
    assert not codes.is_former_bse("920001.BJ")
    assert not codes.is_former_bse("900901.SH")


def test_baostock_has_no_beijing() -> None:
    with pytest.raises(CodeError, match="BSE"):
        codes.to_baostock("920001.BJ")


anything = a_code | st.sampled_from(NO_CODES) | st.from_regex(r"[0-9]{6}\.(SH|SZ|BJ)", fullmatch=True) | st.none()


def _or_none(function: Callable[[str], str], text: str | None) -> str | None:
    try:
        return None if text is None else function(text)
    except CodeError:
        return None


@given(st.lists(anything))
def test_a_column_is_read_as_each_of_its_codes(texts: list[str | None]) -> None:
    spelled = [text and text.lower().replace(".", "") for text in texts] + ["sz.000001"]
    read = pl.DataFrame({"code": [*texts, *spelled]}, schema={"code": pl.String}).select(
        ts_code=codes.to_tushare(pl.col("code")), board=codes.board_of(pl.col("code"))
    )
    assert read["ts_code"].to_list() == [_or_none(codes.parse, text) for text in [*texts, *spelled]]
    written_out = [text if text and re.match(codes.CODE_PATTERN, text) else None for text in texts]
    assert read["board"].to_list()[: len(texts)] == [_or_none(codes.board, text) for text in written_out]


def test_a_market_that_cannot_be_told_is_asked_for_with_the_prefix_that_nobody_knows() -> None:
    with pytest.raises(CodeError, match="codes that begin with 700; write its market too"):
        codes.parse("700001")
