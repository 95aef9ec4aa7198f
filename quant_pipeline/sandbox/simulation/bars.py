"""The bars around a year's closes: opens, highs, lows and volumes, drawn for the whole year at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quant_pipeline.sandbox.simulation.events import Events, Forces
from quant_pipeline.sandbox.simulation.listing_boards import RATES, Regime
from quant_pipeline.sandbox.simulation.random_streams import Purpose, stream
from quant_pipeline.sandbox.simulation.securities import Register
from quant_pipeline.sandbox.simulation.sessions import Sessions
from quant_pipeline.sandbox.simulation.walk import Walk

Cents = npt.NDArray[np.int32]
Lots = npt.NDArray[np.int32]
Floats32 = npt.NDArray[np.float32]

_SEALED = 0.4
"""How many of the limit-up runs' sessions trade at one price only (一字板)."""
_UNLOCKED = np.array([0.22, 0.35, 0.45, 0.9])
"""The float as a part of all shares, by calendar years since the listing."""


@dataclass(frozen=True)
class Bars:
    """Matrices sessions x codes: prices in 分, vol in 手 (0 where nothing traded)."""

    open: Cents
    high: Cents
    low: Cents
    vol: Lots


def float_share(year: int, register: Register, sessions: Sessions, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The float as a part of all shares in that year, per code."""
    listed = sessions.days[register.listed[codes]].astype("datetime64[Y]").astype(np.int64) + 1970
    return _UNLOCKED[np.clip(year - listed, 0, len(_UNLOCKED) - 1)]


def bars(seed: int, year: int, register: Register, sessions: Sessions, events: Events, forces: Forces, walk: Walk) -> Bars:
    """The year's bars. Every price lies within its session's limits, and low <= open, close <= high."""
    generator = stream(seed, Purpose.BARS, year)
    days, count = events.listed.shape
    codes = events.codes

    def uniform() -> Floats32:
        return generator.random((days, count), dtype=np.float32)

    pre, close = walk.pre_close.astype(np.float32), walk.close.astype(np.float32)
    moved = close - pre
    wide = np.abs(moved) / pre
    # whoever touches a limit must stop at it: the range stays inside the limits of the plainest rule
    room = (RATES.astype(np.float32) / 1000)[events.regime]
    highest, lowest = pre * (1 + room[..., 0]) - 1, pre * (1 - room[..., 1]) + 1
    free = events.regime == Regime.FREE
    highest[free], lowest[free] = np.inf, 1
    # rounding may set the limit itself a 分 further out than the close that stands at it
    np.maximum(highest, np.maximum(close, pre), out=highest)
    np.minimum(lowest, np.minimum(close, pre), out=lowest)

    opened = np.rint(pre + moved * uniform() * 0.6 + pre * (uniform() - 0.5) * 0.012)
    np.clip(opened, lowest, highest, out=opened)
    spread = pre * (0.010 + 0.25 * wide)
    high = np.floor(np.maximum(opened, close) + spread * uniform() * uniform())
    low = np.ceil(np.minimum(opened, close) - spread * uniform() * uniform())
    np.minimum(high, highest, out=high)
    np.maximum(low, lowest, out=low)

    sealed = (forces.runs > 0) & ~free & (wide > room[..., 0] * 0.8) & (uniform() < _SEALED)
    for prices in (opened, high, low):
        np.copyto(prices, close, where=sealed)
    np.rint(opened, out=opened)
    high = np.ceil(np.maximum(high, np.maximum(opened, close)))
    low = np.floor(np.minimum(low, np.minimum(opened, close)))

    trading = events.listed & ~events.halted
    turnover = register.turnover[codes].astype(np.float32) * (0.6 + 15 * np.minimum(wide, 0.3))
    turnover *= generator.lognormal(0.0, 0.2, (days, 1)).astype(np.float32)
    turnover *= np.exp(generator.standard_normal((days, count), dtype=np.float32) * np.float32(0.35))
    turnover[sealed] *= 0.12
    first = register.listed[codes] - events.ordinals.start
    new = np.flatnonzero(first >= 0)
    turnover[first[new], new] = 0.45 + 0.3 * generator.random(len(new))
    np.minimum(turnover, 0.8, out=turnover)
    shares = walk.before.shares[codes] * float_share(year, register, sessions, codes)
    grown = np.where(np.arange(days)[:, None] >= walk.ex_session, walk.after.shares[codes] / walk.before.shares[codes], 1)
    vol = np.maximum(np.rint(turnover * (shares * 100).astype(np.float32) * grown.astype(np.float32)), 1)
    return Bars(
        open=opened.astype(np.int32),
        high=high.astype(np.int32),
        low=low.astype(np.int32),
        vol=np.where(trading, vol, 0).astype(np.int32),
    )
