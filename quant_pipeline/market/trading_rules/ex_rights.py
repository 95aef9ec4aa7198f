"""What dividends, bonus shares and rights do to a price and to a holding, in whole numbers."""

from __future__ import annotations

from quant_pipeline.market.trading_rules.rounding import Whole, half_up

CASH_PARTS = 100_000_000
"""A dividend per share is counted in parts of a 元: 0.0348675 元 are 3_486_750."""
SHARE_PARTS = 1_000_000
"""New shares per share held are counted in parts of one: 0.3 are 300_000."""
_PER_CENT = CASH_PARTS // 100


def ex_rights_price(
    pre_close: Whole, cash: Whole | int, shares: Whole | int = 0, rights: Whole | int = 0, rights_price: Whole | int = 0
) -> Whole:
    """The reference price [分] on the ex-date, from the close before [分]: half up to the 分, by the exchanges' formula

        (close - cash + rights_price x rights) / (1 + shares + rights)

    Per share held: `cash` before tax [parts of a 元], `shares` (bonus and transfer, 送转) and `rights` (配股) [parts of one];
    the price of a right [分]. Whole numbers or arrays of them. Source: trading rules of both exchanges, 4.3 (除权除息).
    """
    paid_out = pre_close * _PER_CENT - cash
    return half_up(paid_out * SHARE_PARTS + rights_price * rights * _PER_CENT, (SHARE_PARTS + shares + rights) * _PER_CENT)


def shares_received(held: Whole, shares: Whole | int) -> Whole:
    """The new shares of a holding, `shares` parts of one for each, the fraction cut off.

    ChinaClear cuts the fractions off and hands what remains out by the size of the fraction, among all holders: whether a
    holder gets one share more cannot be known, so that none is counted. They may be sold on the ex-date already.
    """
    received: Whole = held * shares // SHARE_PARTS
    return received


def cash_received(held: Whole, cash: Whole | int) -> Whole:
    """The dividend of a holding before tax [分], half up, from the cash a share [parts of a 元]."""
    owed: Whole = held * cash
    return half_up(owed, _PER_CENT)
