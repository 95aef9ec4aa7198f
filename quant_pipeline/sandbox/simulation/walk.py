"""The walk of a year: closes, ex-rights pre_closes and factors, session by session, all codes at once.

Prices are whole numbers of 分. Only what a session inherits from the one before is computed here; the bars around the
closes are drawn later (`bars.py`), and only for the years that are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quant_pipeline.sandbox.simulation import company_names
from quant_pipeline.sandbox.simulation.events import Events, Forces
from quant_pipeline.sandbox.simulation.listing_boards import limit_prices
from quant_pipeline.sandbox.simulation.random_streams import Purpose, stream
from quant_pipeline.sandbox.simulation.securities import Register

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Cents = npt.NDArray[np.int32]

_REVERSION = 0.003
_FLOOR = 20.0
"""No close below 0.20 元."""
_SMALLEST_PAYER = 300.0
"""No dividend from a price below 3 元."""


@dataclass(frozen=True)
class State:
    """What a year hands on to the next, per code of the register."""

    close: Floats
    """Last close in 分; the issue price before the first session."""
    factor: Floats
    shares: Floats
    """万股."""
    cash: Floats
    """The last dividend per share in 分."""
    halt_left: Ints
    """Sessions that a running halt still lasts."""
    halted: npt.NDArray[np.bool_]
    """Whether the code was halted in the last session."""

    @classmethod
    def beginning(cls, seed: int, register: Register, first_ordinal: int) -> State:
        """The state before the first simulated session: codes listed before it stand near their anchors."""
        generator = stream(seed, Purpose.RETURNS)
        count = len(register)
        old = register.listed < first_ordinal
        price = np.round(register.anchor * generator.uniform(0.6, 1.5, count))
        factor = np.round(generator.lognormal(1.0, 0.6, count), 3)
        return cls(
            close=np.where(old, price, register.issue_price),
            factor=np.where(old, factor, 1.0),
            shares=register.shares,
            cash=np.zeros(count),
            halt_left=np.zeros(count, dtype=np.int64),
            halted=np.zeros(count, dtype=bool),
        )


@dataclass(frozen=True)
class Walk:
    """A year of closes. Matrices are sessions x codes (the columns of `events.codes`), in 分."""

    close: Cents
    pre_close: Cents
    ex_session: Ints
    """Row of the ex-date that was held; the number of rows where there was none."""
    cash: Floats
    """Dividend per share on that day, 分."""
    before: State
    after: State


def walk(seed: int, year: int, register: Register, events: Events, forces: Forces, before: State) -> Walk:
    """The closes of a year, from the state before it."""
    codes, (days, count) = events.codes, events.listed.shape
    returns = _returns(seed, year, register, events, forces)
    trading = events.listed & ~events.halted
    is_bse = register.is_bse[codes]
    anchor = register.anchor[codes]
    close, pre_close = np.empty((days, count), dtype=np.int32), np.empty((days, count), dtype=np.int32)
    price, factor, shares = before.close[codes], before.factor[codes], before.shares[codes]
    cash = np.zeros(count)
    held = np.full(count, days)
    for row in range(days):
        pre = price
        paying = np.flatnonzero((events.ex_session == row) & (price > _SMALLEST_PAYER))
        if len(paying):
            pre = price.copy()
            cash[paying] = np.maximum(np.round(price[paying] * events.cash_yield[paying]), 1.0)
            held_for_10 = 10.0 + events.bonus[paying]
            pre[paying] = np.floor((price[paying] - cash[paying]) * 10.0 / held_for_10 + 0.5)
            factor[paying] = np.round(factor[paying] * price[paying] / pre[paying], 6)
            shares[paying] = np.round(shares[paying] * held_for_10 / 10.0, 4)
            held[paying] = row
        goal = anchor * forces.pull[row]
        moved = np.floor(pre * (1.0 + returns[row] + _REVERSION * (goal - pre) / (goal + pre)) + 0.5)
        down, up = limit_prices(pre, events.regime[row], is_bse)
        price = np.where(trading[row], np.maximum(np.minimum(np.maximum(moved, down), up), _FLOOR), pre)
        close[row], pre_close[row] = price, pre

    def carried(old: npt.NDArray[Any], new: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """`old` with the year's codes brought up to date."""
        state = old.copy()
        state[codes] = new
        return state

    return Walk(
        close=close,
        pre_close=pre_close,
        ex_session=held,
        cash=cash,
        before=before,
        after=State(
            close=carried(before.close, price),
            factor=carried(before.factor, factor),
            shares=carried(before.shares, shares),
            cash=carried(before.cash, np.where(held < days, cash, before.cash[codes])),
            halt_left=carried(before.halt_left, events.halt_left),
            halted=carried(before.halted, events.halted[-1]),
        ),
    )


def common_returns(generator: np.random.Generator, days: int) -> tuple[Floats, Floats]:
    """The market's return per session, and each industry's beside it (sessions x industries): the first draws of a year's
    returns, for all that follow the market."""
    market = np.clip(generator.standard_t(4, days) * 0.008 + 0.0003, -0.075, 0.075)
    return market, generator.normal(0.0, 0.006, (days, len(company_names.INDUSTRIES)))


def _returns(seed: int, year: int, register: Register, events: Events, forces: Forces) -> npt.NDArray[np.float32]:
    """Market, sector and own returns; news in their place where there are any."""
    generator = stream(seed, Purpose.RETURNS, year)
    days, count = events.listed.shape
    codes = events.codes
    market, sector = common_returns(generator, days)
    own = generator.standard_normal((days, count), dtype=np.float32)
    own *= register.volatility[codes].astype(np.float32)
    own += np.outer(market, register.beta[codes]).astype(np.float32)
    own += sector.astype(np.float32)[:, register.industry[codes]]
    np.copyto(own, forces.runs, where=forces.runs != 0)
    return own
