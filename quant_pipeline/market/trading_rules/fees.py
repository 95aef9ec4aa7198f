"""What a fill costs, by date, exchange and side: stamp duty, transfer fee, handling and regulatory fees, commission.

All in whole numbers: money in 分, rates in parts of ten million (`PARTS`), each fee of each fill rounded half up to the 分 (a
convention: the exchanges' texts name no rounding). A compiled loop takes the rates as arrays over its sessions (`fee_rates`)
and the arithmetic as `fee`, `transfer_fee` and `commission`, each of which calls nothing, so that numba compiles it as it is.

Rounding and sizes: twice an amount times a rate has to fit into 64 bits, as it does for orders of up to 7 x 10^11 元.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from quant_pipeline.market.codes import Board, board
from quant_pipeline.market.trading_rules.rounding import Ints, Whole, half_up

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PARTS = 10_000_000
"""What a rate is parts of: 5_000 are 0.05 %, 341 are 0.0341 ‰."""
PAR = 100
"""The par value of a share [分]: what Shanghai's transfer fee was a part of before 2015-08."""

_EXCHANGE_OPENS = dt.date(1990, 12, 19)


class FeeClass(IntEnum):
    """What is charged alike: the rows of the arrays of `fee_rates`."""

    SH_A = 0
    SZ_A = 1
    BSE = 2
    SH_B = 3
    SZ_B = 4
    FUND = 5
    BOND = 6


_A_B = (FeeClass.SH_A, FeeClass.SZ_A, FeeClass.SH_B, FeeClass.SZ_B)
_SZ, _B = (FeeClass.SZ_A, FeeClass.SZ_B), (FeeClass.SH_B, FeeClass.SZ_B)
_SHARES = (*_A_B, FeeClass.BSE)


@dataclass(frozen=True)
class StampDuty:
    """证券交易印花税 from `since` on, of the turnover. Funds and bonds pay none, at any time."""

    since: dt.date
    classes: tuple[FeeClass, ...]
    buyer: int
    seller: int
    source: str


@dataclass(frozen=True)
class TransferFee:
    """过户费 from `since` on, of both sides: of the turnover, of the shares' par value, and at least `minimum` 分 an order."""

    since: dt.date
    classes: tuple[FeeClass, ...]
    of_turnover: int
    of_par: int
    minimum: int
    source: str


@dataclass(frozen=True)
class ExchangeFee:
    """A fee on the turnover from `since` on, of both sides, which the usual commission includes."""

    since: dt.date
    classes: tuple[FeeClass, ...]
    rate: int
    source: str


STAMP_DUTIES: Final = (
    StampDuty(dt.date(1990, 11, 23), _SZ, 60_000, 60_000, "chinaacc.com 2007-05; 中国证券报 2007-05-30"),
    StampDuty(dt.date(1991, 6, 1), _SZ, 30_000, 30_000, "histories of the duty; others say 1991-10"),
    StampDuty(dt.date(1991, 10, 23), (FeeClass.SH_A, FeeClass.SH_B), 30_000, 30_000, "one table of the duty's history"),
    StampDuty(dt.date(1992, 6, 12), _A_B, 30_000, 30_000, "国家税务总局, 国家体改委 1992-06-12"),
    StampDuty(dt.date(1997, 5, 12), _A_B, 50_000, 50_000, "announced on Saturday 1997-05-10; chinaacc.com"),
    StampDuty(dt.date(1998, 6, 12), _A_B, 40_000, 40_000, "histories of the duty, which agree"),
    StampDuty(dt.date(1999, 6, 1), _B, 30_000, 30_000, "histories of the duty, which agree: B shares only"),
    StampDuty(dt.date(2001, 11, 16), _A_B, 20_000, 20_000, "histories of the duty, which agree: A and B shares"),
    StampDuty(dt.date(2005, 1, 24), _A_B, 10_000, 10_000, "财政部 2005-01"),
    StampDuty(dt.date(2007, 5, 30), _A_B, 30_000, 30_000, "财政部 2007-05-29"),
    StampDuty(dt.date(2008, 4, 24), _A_B, 10_000, 10_000, "财政部, 国家税务总局 2008-04-23"),
    StampDuty(dt.date(2008, 9, 19), _A_B, 0, 10_000, "财税明电〔2008〕2号: sellers only"),
    StampDuty(dt.date(2020, 7, 27), (FeeClass.BSE,), 0, 10_000, "财税〔2014〕47号: the NEEQ as both exchanges, sellers only"),
    StampDuty(dt.date(2023, 8, 28), _SHARES, 0, 5_000, "财政部 税务总局公告 2023 年第 39 号"),
)
TRANSFER_FEES: Final = (
    TransferFee(_EXCHANGE_OPENS, (FeeClass.SH_A,), 0, 10_000, 100, "brokers' fee tables: 0.1 % of par, 1 元 at least"),
    TransferFee(dt.date(2012, 6, 1), (FeeClass.SH_A,), 0, 3_750, 0, "field knowledge: 0.75 ‰ of par, of both sides together"),
    TransferFee(
        dt.date(2012, 9, 1),
        (FeeClass.SH_A,),
        0,
        3_000,
        0,
        "rate: the notice of 2015; day: field knowledge; 0.3 ‰ of par",
    ),
    TransferFee(dt.date(2015, 8, 1), (FeeClass.SH_A, FeeClass.SZ_A), 200, 0, 0, "ChinaClear and both exchanges, 2015-07-01"),
    TransferFee(dt.date(2021, 11, 15), (FeeClass.BSE,), 250, 0, 0, "Xinhua 2022-04-28"),
    TransferFee(dt.date(2022, 4, 29), (FeeClass.SH_A, FeeClass.SZ_A, FeeClass.BSE), 100, 0, 0, "ChinaClear 2022-04-28"),
    TransferFee(_EXCHANGE_OPENS, _B, 5_000, 0, 0, "brokers' fee tables: settlement fee (结算费) 0.5 ‰; no text of it was read"),
)
"""Shenzhen had no transfer fee of its own before 2015-08: 0.0255 ‰ stood inside its handling fee. Funds and bonds have none."""
HANDLING_FEES: Final = (
    ExchangeFee(_EXCHANGE_OPENS, (FeeClass.SH_A, FeeClass.SH_B), 1_100, "to 2012-05-31; what it was at first is not known"),
    ExchangeFee(_EXCHANGE_OPENS, _SZ, 1_475, "0.122 ‰ and 0.0255 ‰ for ChinaClear, to 2012-05-31; at first not known"),
    ExchangeFee(dt.date(2012, 6, 1), (FeeClass.SH_A, FeeClass.SH_B), 870, "SSE 2012-05"),
    ExchangeFee(dt.date(2012, 6, 1), _SZ, 1_125, "SZSE 2012-05: 0.087 ‰ and 0.0255 ‰ for ChinaClear"),
    ExchangeFee(dt.date(2012, 9, 1), (FeeClass.SH_A, FeeClass.SH_B), 696, "SSE 2012-08"),
    ExchangeFee(dt.date(2012, 9, 1), _SZ, 951, "SZSE 2012-08: 0.0696 ‰ and 0.0255 ‰ for ChinaClear"),
    ExchangeFee(dt.date(2015, 8, 1), _A_B, 487, "both exchanges, 2015-07-01"),
    ExchangeFee(dt.date(2023, 8, 28), _A_B, 341, "上证发〔2023〕136号; SZSE 2023-08-18"),
    ExchangeFee(dt.date(2020, 7, 27), (FeeClass.BSE,), 5_000, "NEEQ; the day on which it was halved, 2022-12, is not told"),
    ExchangeFee(dt.date(2022, 12, 1), (FeeClass.BSE,), 2_500, "reports of 2022-12: its first day stands for one not told"),
    ExchangeFee(dt.date(2023, 8, 28), (FeeClass.BSE,), 1_250, "reports of 2023-08: halved"),
    ExchangeFee(_EXCHANGE_OPENS, (FeeClass.FUND, FeeClass.BOND), 400, "brokers' fee tables: 0.04 ‰; its history is not known"),
)
REGULATORY_FEES: Final = (
    ExchangeFee(_EXCHANGE_OPENS, _A_B, 400, "证管费 to 2011; what it was at first is not known"),
    ExchangeFee(dt.date(2012, 1, 1), _A_B, 200, "证管费 from 2012 (which day is not told), 发改价格规〔2018〕917号"),
    ExchangeFee(dt.date(2020, 7, 27), (FeeClass.BSE,), 200, "发改价格规〔2018〕917号"),
)
"""证管费: of shares; funds and bonds have none."""


@dataclass(frozen=True)
class FeeRates:
    """Rates for fee classes x days, whole numbers: parts of ten million, but for `transfer_minimum` [分]."""

    stamp_buy: Ints
    stamp_sell: Ints
    transfer: Ints
    """Of the turnover."""
    transfer_of_par: Ints
    transfer_minimum: Ints
    handling: Ints
    regulatory: Ints


def fee_class(ts_code: str) -> FeeClass:
    """What the code's fills are charged as; an unknown board as its exchange's A shares. CodeError when it is no code."""
    kind, exchange = board(ts_code), ts_code[-2:]
    if kind in (Board.ETF, Board.CONVERTIBLE_BOND):
        return FeeClass.FUND if kind is Board.ETF else FeeClass.BOND
    if kind is Board.B_SHARE:
        return FeeClass.SH_B if exchange == "SH" else FeeClass.SZ_B
    return {"SH": FeeClass.SH_A, "SZ": FeeClass.SZ_A, "BJ": FeeClass.BSE}[exchange]


def fee_rates(days: Sequence[dt.date] | npt.NDArray[np.datetime64]) -> FeeRates:
    """The rates of those days: arrays of fee classes x days (row: `FeeClass`). 0 before the first rule."""
    import numpy as np  # here: rules are loaded by every process, arrays are for backtests

    dates = np.asarray(days, dtype="datetime64[D]")
    rates = FeeRates(*(np.zeros((len(FeeClass), len(dates)), dtype=np.int64) for _ in fields(FeeRates)))

    def put(table: Ints, since: dt.date, classes: tuple[FeeClass, ...], rate: int) -> None:
        rows = np.array(classes, dtype=np.intp)
        table[rows[:, None], np.flatnonzero(dates >= np.datetime64(since))] = rate

    for duty in sorted(STAMP_DUTIES, key=lambda rule: rule.since):
        put(rates.stamp_buy, duty.since, duty.classes, duty.buyer)
        put(rates.stamp_sell, duty.since, duty.classes, duty.seller)
    for fee in sorted(TRANSFER_FEES, key=lambda rule: rule.since):
        put(rates.transfer, fee.since, fee.classes, fee.of_turnover)
        put(rates.transfer_of_par, fee.since, fee.classes, fee.of_par)
        put(rates.transfer_minimum, fee.since, fee.classes, fee.minimum)
    for table, rules in ((rates.handling, HANDLING_FEES), (rates.regulatory, REGULATORY_FEES)):
        for each in sorted(rules, key=lambda rule: rule.since):
            put(table, each.since, each.classes, each.rate)
    return rates


def turnover(ticks: Whole, shares: Whole, ticks_per_yuan: int = 100) -> Whole:
    """What a fill is worth [分], half up where the ticks are finer than that."""
    return half_up(ticks * shares * 100, ticks_per_yuan)


def fee(amount: Whole, rate: Whole | int) -> Whole:
    """A part of an amount [分], half up: stamp duty, handling, regulatory fee, and the transfer fee since 2015-08."""
    rounded: Whole = (2 * amount * rate + PARTS) // (2 * PARTS)
    return rounded


def transfer_fee(amount: int, shares: int, rate: int, of_par: int, minimum: int) -> int:
    """The transfer fee [分] of an order filled so far, from its turnover [分] and shares; of a further fill the difference."""
    charged = (2 * (amount * rate + shares * PAR * of_par) + PARTS) // (2 * PARTS)
    return max(charged, minimum) if amount > 0 else 0


@dataclass(frozen=True)
class Commission:
    """What the broker takes of an order: a part of its turnover, at least a minimum **an order**, not a fill.

    `all_in` (全佣): handling and regulatory fees are inside it; otherwise (净佣) they come on top.
    """

    rate: int = 2_500
    """Parts of ten million: 0.025 %. Negotiable since 2002-05-01, up to 0.3 %."""
    minimum: int = 500
    """分. Many brokers waive it."""
    all_in: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= PARTS or self.minimum < 0:
            raise ValueError(f"a commission of {self.rate} parts of {PARTS}, at least {self.minimum} 分")


COMMISSION_CEILING = 30_000
"""0.3 % of the turnover, handling and regulatory fees included: the notice of 2002-05-01."""


def commission(amount: int, rate: int, minimum: int) -> int:
    """The commission [分] of an order filled so far, from its turnover [分]; of a further fill the difference."""
    return max((2 * amount * rate + PARTS) // (2 * PARTS), minimum) if amount > 0 else 0
