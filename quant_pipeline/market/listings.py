"""What can be looked at by a code: shares, indexes, funds and convertible bonds, and which of them a text means."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from quant_pipeline.market.codes import CodeError, parse, spelled
from quant_pipeline.market.search import Named


class Kind(StrEnum):
    """What a code stands for; where several share their digits, the first is meant (000001: 平安银行, not 上证指数)."""

    STOCK = "stock 股票"
    INDEX = "index 指数"
    ETF = "ETF 场内基金"
    CONVERTIBLE_BOND = "convertible bond 可转债"


@dataclass(frozen=True)
class Listing(Named):
    """A code, its name and what is known of it (None, "": unknown, or of no meaning for its kind)."""

    kind: Kind
    industry: str = ""
    listed: dt.date | None = None
    delisted: dt.date | None = None


def meant(text: str, listings: Sequence[Listing]) -> list[Listing]:
    """The listings that a code in any spelling stands for, the likeliest first; empty: there is none.

    600519, sh600519, 600519.XSHG: one share. 000001: the share and the index. SH000001, H30269.CSI: the index.
    """
    exact = [each for each in listings if each.code == text.strip().upper()]
    try:
        digits, markets = spelled(text)
    except CodeError:
        return exact
    same = [each for each in listings if each.code[:6] == digits and each not in exact]
    allowed = [each for each in same if not markets or each.code[7:] in markets]
    return exact + sorted(allowed, key=lambda each: (list(Kind).index(each.kind), each.code != _usual(text), each.code))


def _usual(text: str) -> str | None:
    try:
        return parse(text)
    except CodeError:
        return None
