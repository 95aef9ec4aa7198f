"""Codes as 同花顺's watchlists write them: six signs and the number of a market. Read with every number that was ever seen.

Known from public code: 17 Shanghai, 33 Shenzhen, 18 STAR (some write 17), 20 and 36 funds, 151 Beijing (71 and 87 were seen),
48 boards, 16 and 32 indexes (上证指数 is 1A0001, 沪深300 is 1B0300), 120 indexes of CSI. Not known: convertible bonds and
B shares (written as shares are), indexes of Beijing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from quant_pipeline.language import say
from quant_pipeline.market.codes import CodeError, parse, to_ths

_SHANGHAI, _SHENZHEN, _BEIJING = ("17", "18", "19", "20", "22"), ("33", "34", "35", "36", "38"), ("151", "71", "87")
_EXCHANGES: Final = {
    **dict.fromkeys(_SHANGHAI, "SH"),
    **dict.fromkeys(_SHENZHEN, "SZ"),
    **dict.fromkeys(_BEIJING, "BJ"),
}
_OTHER_IDS: Final = {"18": ("17",), "151": ("71",), "20": ("17",), "36": ("33",)}
"""What a market is written as where THS refuses the first number."""
_BOARDS, _OF_CSI, _INDEXES = "48", "120", {"16": "SH", "32": "SZ"}
_INDEX_OF_SHANGHAI = re.compile(r"1([AB])(\d{4})", re.ASCII)
_FIRST_THREE = ("0001", "0002", "0003")
"""上证指数, A股指数, B股指数: those that are written 1A."""


class MarketIdError(ValueError):
    """A code for which 同花顺 has no market that is known; the text says so."""


@dataclass(frozen=True)
class Entry:
    """What stands in a group: the code and the market's number, as THS writes them."""

    code: str
    market: str

    def __str__(self) -> str:
        return f"{self.code},{self.market}"


def entry(ts_code: str) -> Entry:
    """The way a code is written. MarketIdError where no market of it is known."""
    digits, _, exchange = ts_code.partition(".")
    if exchange == "TI":
        return Entry(digits, _BOARDS)
    if exchange == "CSI" and not digits.startswith("000"):  # those stand in Shanghai's list
        return Entry(digits, _OF_CSI)
    try:
        code, market = to_ths(ts_code)
        return Entry(code, str(market))
    except CodeError:
        pass
    if re.fullmatch(r"000\d{3}", digits) and exchange == "SH":
        return Entry(f"1{'A' if digits[2:] in _FIRST_THREE else 'B'}{digits[2:]}", "16")
    if digits.startswith("399") and exchange == "SZ":
        return Entry(digits, "32")
    if digits.startswith("899") and exchange == "BJ":
        return Entry(digits, "151")
    raise MarketIdError(say("{code}: no market of THS is known for it", code=ts_code))


def alternatives(written: Entry) -> tuple[Entry, ...]:
    """Other ways to write the same, where THS refuses this one."""
    return tuple(Entry(written.code, market) for market in _OTHER_IDS.get(written.market, ()))


def ts_code(read: Entry) -> str | None:
    """The code that an entry stands for; None for what the platform does not know (Hong Kong, New York, futures)."""
    code, market = read.code.upper(), read.market
    if market == _BOARDS:
        return f"{code}.TI" if re.fullmatch(r"\d{6}", code, re.ASCII) else None
    if market in _INDEXES or market == _OF_CSI:
        return _index(code, market)
    exchange = _EXCHANGES.get(market)
    if exchange is None or not re.fullmatch(r"\d{6}", code, re.ASCII):
        return None
    if exchange == "BJ" and code.startswith("899"):
        return f"{code}.BJ"
    try:
        return parse(f"{code}.{exchange}")
    except CodeError:
        return None


def _index(code: str, market: str) -> str | None:
    if match := _INDEX_OF_SHANGHAI.fullmatch(code):
        return f"00{match[2]}.SH"
    if not re.fullmatch(r"[0-9A-Z]\d{5}", code, re.ASCII):
        return None
    if market == _OF_CSI:
        return f"{code}.SH" if code.startswith("000") else f"{code}.CSI"
    return f"{code}.{_INDEXES[market]}"
