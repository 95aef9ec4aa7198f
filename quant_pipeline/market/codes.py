"""Security codes: the platform's are Tushare's (600000.SH); every source and THS spell them in their own way.

The functions take and give single codes; `to_tushare` and `board_of` do the same for a column, with null for what the
single ones refuse. An index (000001.SH) is no security: here such a code is refused.
"""

from __future__ import annotations

import re
from enum import StrEnum

import polars as pl

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
    600000_17 (THS). A bare number is taken to its market by its prefix. CodeError when it is no code, its prefix is
    unknown, or the market written beside it is not its own (000001.SH is the index, not 平安银行).
    """
    for spelling in _SPELLINGS:
        if (match := spelling.fullmatch(text.strip().upper())) is not None:
            break
    else:
        raise CodeError(f"{text!r} is no security code; write 600000.SH or 600000")
    digits, written = match["digits"], match.groupdict().get("market")
    market, _ = _place(digits)
    if written is not None and market not in _MARKETS.get(written, (written,)):
        raise CodeError(f"{text!r}: the code {digits} belongs to {market}; write {digits}.{market}")
    return f"{digits}.{market}"


def board(ts_code: str) -> Board:
    """The board of a code. CodeError when it is no code of a known board."""
    return _place(parse(ts_code)[:6])[1]


def to_tushare(code: pl.Expr) -> pl.Expr:
    """`parse` for a column of codes in any spelling (every distinct one is read once); null for what it refuses."""
    return code.map_batches(_parse_column, return_dtype=pl.String)


def board_of(ts_code: pl.Expr) -> pl.Expr:
    """`board` for a column of ts_codes, as its text; null for what is no code of a known board."""
    places = {f"{prefix}.{market}": board.value for prefix, (market, board) in _BY_PREFIX.items()}
    places_of = (ts_code.str.head(length) + ts_code.str.tail(3) for length in _LENGTHS)
    known = pl.coalesce(place.replace_strict(places, default=None, return_dtype=pl.String) for place in places_of)
    return pl.when(ts_code.str.contains(CODE_PATTERN)).then(known)


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
        raise CodeError(f"{ts_code}: BaoStock has no BSE codes")
    return f"{market.lower()}.{digits}"


def to_eastmoney(ts_code: str) -> str:
    """Eastmoney's secid: 1.600000 (Shanghai), 0.000001 (Shenzhen and Beijing)."""
    digits, market = parse(ts_code).split(".")
    return f"{int(market == 'SH')}.{digits}"


def to_ths(ts_code: str) -> tuple[str, int]:
    """同花顺's code and market id: ("600519", 17); 18 STAR, 33 Shenzhen, 20/36 ETFs, 151 BSE."""
    digits, market = parse(ts_code).split(".")
    return digits, _THS_BY_BOARD.get((market, board(ts_code)), _THS_BY_MARKET[market])


def _place(digits: str) -> tuple[str, Board]:
    for length in _LENGTHS:
        if digits[:length] in _BY_PREFIX:
            return _BY_PREFIX[digits[:length]]
    raise CodeError(f"{digits!r}: no board of the A-share market has codes that begin with {digits[:3]}")


def _parse_column(texts: pl.Series) -> pl.Series:
    spelled = texts.drop_nulls().unique()
    return texts.replace_strict(spelled, [_parse_or_none(text) for text in spelled], default=None, return_dtype=pl.String)


def _parse_or_none(text: str) -> str | None:
    try:
        return parse(text)
    except CodeError:
        return None
