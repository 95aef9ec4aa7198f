"""Security codes: the platform's are Tushare's (600000.SH); every source and THS spell them in their own way.

The functions take and give single codes; `to_tushare` and `board_of` do the same for a column, with null for what the
single ones refuse. An index (000001.SH) is no security: here such a code is refused. A prefix that nobody knows yet
(the exchanges add one every few years: 302 came in 2025) is no reason to refuse: such a code is taken, its board is
`Board.UNKNOWN`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

import polars as pl

from quant_pipeline.language import say

CODE_PATTERN = r"^[0-9]{6}\.(SH|SZ|BJ)$"
"""What a ts_code looks like."""


class CodeError(ValueError):
    """A text that is no code, or one whose market cannot be told."""


class Board(StrEnum):
    """The board of a code: it decides limits, lots and rules."""

    SSE_MAIN = "SSE main 沪市主板"
    STAR = "STAR 科创板"
    SZSE_MAIN = "SZSE main 深市主板"
    CHINEXT = "ChiNext 创业板"
    BSE = "BSE 北交所"
    B_SHARE = "B share B股"
    ETF = "ETF 场内基金"
    CONVERTIBLE_BOND = "convertible bond 可转债"
    UNKNOWN = "unknown board 未知板块"


_BOARDS: tuple[tuple[str, Board, str], ...] = (
    ("SH", Board.STAR, "688 689"),
    ("SH", Board.SSE_MAIN, "600 601 603 605"),
    ("SH", Board.B_SHARE, "900"),
    ("SH", Board.ETF, "51 52 53 56 58"),
    ("SH", Board.CONVERTIBLE_BOND, "110 111 113 118"),
    ("SZ", Board.CHINEXT, "300 301 302"),
    ("SZ", Board.SZSE_MAIN, "000 001 002 003"),
    ("SZ", Board.B_SHARE, "200"),
    ("SZ", Board.ETF, "15"),
    ("SZ", Board.CONVERTIBLE_BOND, "12"),
    ("BJ", Board.BSE, "920 43 82 83 87 88"),
)
_INDEXES = {"399": "SZ", "899": "BJ"}
"""Prefixes of indexes alone (those of Shanghai share theirs with Shenzhen's stocks)."""
_GUESSES = (("92", "BJ"), ("6", "SH"), ("0", "SZ"), ("3", "SZ"), ("4", "BJ"), ("8", "BJ"))
"""The market of a bare number whose prefix nobody knows, by how it begins."""
_BY_PREFIX = {prefix: (market, board) for market, board, prefixes in _BOARDS for prefix in prefixes.split()}
_LENGTHS = (3, 2)
_SPELLINGS = (
    re.compile(r"(?P<digits>\d{6})", re.ASCII),
    re.compile(r"(?P<digits>\d{6})\.(?P<market>SH|SZ|BJ|SS|XSHG|XSHE)", re.ASCII),
    re.compile(r"(?P<market>SH|SZ|BJ)\.?(?P<digits>\d{6})", re.ASCII),
    re.compile(r"(?P<market>[01])\.(?P<digits>\d{6})", re.ASCII),
    re.compile(r"(?P<digits>\d{6})[,_](?P<market>\d{2,3})", re.ASCII),
)
_MARKETS = {
    "SS": ("SH",),
    "XSHG": ("SH",),
    "XSHE": ("SZ",),
    "1": ("SH",),
    "0": ("SZ", "BJ"),
    "17": ("SH",),
    "18": ("SH",),
    "20": ("SH",),
    "33": ("SZ",),
    "36": ("SZ",),
    "71": ("BJ",),
    "151": ("BJ",),
}
"""What the ways to write a market stand for, but for SH, SZ and BJ: exchanges' names, eastmoney's and THS's numbers."""
_THS_BY_MARKET = {"SH": 17, "SZ": 33, "BJ": 151}
_THS_BY_BOARD = {("SH", Board.STAR): 18, ("SH", Board.ETF): 20, ("SZ", Board.ETF): 36}


def parse(text: str) -> str:
    """The ts_code of any usual spelling, in capitals or not:

    600000.SH (Tushare) · 600000 · sh600000 · sh.600000 (BaoStock) · 600000.XSHG · 1.600000 (eastmoney) · 600000,17 and
    600000_17 (THS). A bare number is taken to its market by its prefix, or, where nobody knows that, by its first digit.
    CodeError when it is no code, an index, or the market written beside it is not its own (000001.SH is the index, not
    平安银行).
    """
    digits, allowed = spelled(text)
    if digits[:3] in _INDEXES:
        raise CodeError(say("{text!r} is an index, no security", text=text))
    known = _known(digits)
    if known is None:
        return f"{digits}.{_market_of_unknown(text, digits, allowed)}"
    market, _ = known
    if allowed and market not in allowed:
        raise CodeError(
            say(
                "{text!r}: the code {digits} belongs to {market}; write {digits}.{market}",
                text=text,
                digits=digits,
                market=market,
            )
        )
    return f"{digits}.{market}"


def spelled(text: str) -> tuple[str, Sequence[str]]:
    """The six digits of a code in any usual spelling, and the markets that the one written beside them allows (none is
    written: empty). Whether there is such a code, and of what, is not asked. CodeError when the text is no code.
    """
    for spelling in _SPELLINGS:
        if (match := spelling.fullmatch(text.strip().upper())) is not None:
            break
    else:
        raise CodeError(say("{text!r} is no security code; write 600000.SH or 600000", text=text))
    written = match.groupdict().get("market")
    return match["digits"], _MARKETS.get(written, (written,)) if written is not None else ()


def board(ts_code: str) -> Board:
    """The board of a code, `Board.UNKNOWN` where nobody knows its prefix. CodeError when it is no code."""
    known = _known(parse(ts_code)[:6])
    return Board.UNKNOWN if known is None else known[1]


def to_tushare(code: pl.Expr) -> pl.Expr:
    """`parse` for a column of codes in any spelling (every distinct one is read once); null for what it refuses."""
    return code.map_batches(_parse_column, return_dtype=pl.String)


def board_of(ts_code: pl.Expr) -> pl.Expr:
    """`board` for a column of ts_codes, as its text; null for what is no ts_code, and where the market is not its own."""
    prefixes = {prefix: market for prefix, (market, _) in _BY_PREFIX.items()} | _INDEXES
    places = {f"{prefix}.{market}": board.value for prefix, (market, board) in _BY_PREFIX.items()}
    heads = [ts_code.str.head(length) for length in _LENGTHS]
    of_prefix = (head.replace_strict(prefixes, default=None, return_dtype=pl.String) for head in heads)
    of_place = ((head + ts_code.str.tail(3)).replace_strict(places, default=None, return_dtype=pl.String) for head in heads)
    unknown = pl.when(pl.coalesce(of_prefix).is_null()).then(pl.lit(Board.UNKNOWN.value))
    return pl.when(ts_code.str.contains(CODE_PATTERN)).then(pl.coalesce(*of_place, unknown))


def is_former_bse(ts_code: str) -> bool:
    """Whether it is an old BSE code (43, 82, 83, 87, 88): since 2025-10 they are 920xxx, see Tushare's bse_mapping."""
    return board(ts_code) is Board.BSE and not ts_code.startswith("920")


def to_akshare(ts_code: str, *, prefixed: bool = False) -> str:
    """AKShare's spelling: 000001 (eastmoney), or sz000001 (sina, tencent) when `prefixed`."""
    digits, market = parse(ts_code).split(".")
    return f"{market.lower()}{digits}" if prefixed else digits


def to_baostock(ts_code: str) -> str:
    """BaoStock's spelling: sz.000001. CodeError for BSE codes, which it does not have."""
    digits, market = parse(ts_code).split(".")
    if market == "BJ":
        raise CodeError(say("{code}: BaoStock has no BSE codes", code=ts_code))
    return f"{market.lower()}.{digits}"


def to_eastmoney(ts_code: str) -> str:
    """Eastmoney's secid: 1.600000 (Shanghai), 0.000001 (Shenzhen and Beijing)."""
    digits, market = parse(ts_code).split(".")
    return f"{int(market == 'SH')}.{digits}"


def to_ths(ts_code: str) -> tuple[str, int]:
    """同花顺's code and market id: ("600519", 17); 18 STAR, 33 Shenzhen, 20/36 ETFs, 151 BSE."""
    digits, market = parse(ts_code).split(".")
    return digits, _THS_BY_BOARD.get((market, board(ts_code)), _THS_BY_MARKET[market])


def _known(digits: str) -> tuple[str, Board] | None:
    """Market and board by the prefix; None where nobody knows it."""
    return next((_BY_PREFIX[digits[:length]] for length in _LENGTHS if digits[:length] in _BY_PREFIX), None)


def _market_of_unknown(text: str, digits: str, allowed: Sequence[str]) -> str:
    """The market that is written beside a number of an unknown prefix, or the one that its first digits suggest."""
    guess = next((market for beginning, market in _GUESSES if digits.startswith(beginning)), None)
    if len(allowed) == 1 and allowed[0] in _THS_BY_MARKET:
        return allowed[0]
    if guess is not None and (not allowed or guess in allowed):
        return guess
    raise CodeError(
        say(
            "{text!r}: no board of the A-share market has codes that begin with {beginning}; write its market too",
            text=text,
            beginning=digits[:3],
        )
    )


def _parse_column(texts: pl.Series) -> pl.Series:
    spelled = texts.drop_nulls().unique()
    return texts.replace_strict(spelled, [_parse_or_none(text) for text in spelled], default=None, return_dtype=pl.String)


def _parse_or_none(text: str) -> str | None:
    try:
        return parse(text)
    except CodeError:
        return None
