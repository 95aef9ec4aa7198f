"""The orders that bring what is held to its targets, in the boards' lots."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quant_pipeline.language import say
from quant_pipeline.market.codes import board
from quant_pipeline.market.trading_rules import buyable, lot_rule, sellable
from quant_pipeline.signals.resolution import BUY, SELL

_MARGIN = 1.003
"""A buy is counted with a little more than the close: costs, and an open that is higher."""


@dataclass(frozen=True)
class Holding:
    """`price`: last close, 元."""

    shares: int
    price: float

    @property
    def value(self) -> float:
        return self.shares * self.price


@dataclass(frozen=True)
class Order:
    """For the next session. `shares` 0: none was made, `reason` says why. `weight`: target, part of the equity."""

    ts_code: str
    side: str
    shares: int
    price: float
    weight: float
    reason: str


def orders_to(
    targets: Mapping[str, float],
    held: Mapping[str, Holding],
    prices: Mapping[str, float],
    *,
    equity: float,
    cash: float,
    drift: float,
    limit: float,
    day: dt.date,
) -> list[Order]:
    """Sales first, which free cash for the buys; these in the order of `targets`, as far as the cash goes.

    `targets`: code -> part of the equity; what is held and not in it is sold whole · `prices`: last closes [元] of what is to
    be bought · `drift`: what is held is left alone while it is off its target by no more than this part of it, and
    below `limit`.
    """
    sales, buys = [], []
    for code, holding in held.items():
        target = targets.get(code, 0.0)
        over = holding.value - target * equity
        if not target:
            sales.append(_sale(code, holding, holding.shares, 0.0, day, say("its strategy sells")))
        elif holding.value > limit * equity * (1 + drift) or over > drift * target * equity:
            shares = int(over / holding.price)
            sales.append(_sale(code, holding, shares, target, day, say("above its weight by more than may be")))
    money = cash + sum(each.shares * each.price for each in sales) * (2 - _MARGIN)
    for code, target in targets.items():
        known = held.get(code)
        price = known.price if known is not None else prices.get(code)
        if price is None or not price > 0:
            buys.append(Order(code, BUY, 0, 0.0, target, say("no price of it is known")))
            continue
        lacking = target * equity - (known.value if known is not None else 0.0)
        if known is not None and lacking <= drift * target * equity:
            continue
        order = _buy(
            code,
            price,
            lacking,
            money,
            target,
            day,
            say("its strategy buys") if known is None else say("below its weight by more than may be"),
        )
        money -= order.shares * order.price * _MARGIN
        buys.append(order)
    return [*sales, *buys]


def _sale(code: str, holding: Holding, wanted: int, target: float, day: dt.date, reason: str) -> Order:
    rule = lot_rule(board(code), day)
    if rule is None:
        return Order(code, SELL, holding.shares if not target else 0, holding.price, target, reason)
    shares = min(sellable(wanted, holding.shares, rule.minimum, rule.step), rule.most_limit)
    if not shares:
        reason = say("less than a lot ({lot} shares)", lot=rule.minimum)
    return Order(code, SELL, shares, holding.price, target, reason)


def _buy(code: str, price: float, lacking: float, money: float, target: float, day: dt.date, reason: str) -> Order:
    rule = lot_rule(board(code), day)
    if rule is None:
        return Order(code, BUY, 0, price, target, say("the lots of its board are not known"))
    wanted = min(int(lacking / price), rule.most_limit)
    shares = buyable(min(wanted, int(max(money, 0.0) / (price * _MARGIN))), rule.minimum, rule.step)
    if not shares and buyable(wanted, rule.minimum, rule.step):
        reason = say("the cash does not reach for a lot ({lot} shares)", lot=rule.minimum)
    elif not shares:
        reason = say("less than a lot ({lot} shares)", lot=rule.minimum)
    return Order(code, BUY, shares, price, target, reason)


def codes_of(orders: Sequence[Order]) -> list[str]:
    """The codes of those that were made."""
    return [each.ts_code for each in orders if each.shares]
