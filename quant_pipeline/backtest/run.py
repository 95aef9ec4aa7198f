"""One backtest: data and settings in, figures and every order out. All doors call this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from quant_pipeline.backtest.figures import Figures, figures_of
from quant_pipeline.backtest.gaps import fetching
from quant_pipeline.backtest.layout import PASSED_FULL, PASSED_HELD, Simulated
from quant_pipeline.backtest.orders import Plan, from_orders, from_signals, from_weights
from quant_pipeline.backtest.reading import Loaded
from quant_pipeline.backtest.result import Frames, frames_of
from quant_pipeline.backtest.rule_tables import bars_of, exchange_of, rules_of
from quant_pipeline.backtest.settings import BacktestError, Settings
from quant_pipeline.language import say
from quant_pipeline.strategies.base import Strategy

_BEYOND_BELIEF: Final = 10
"""Times the capital after less than a year."""


@dataclass(frozen=True)
class Result:
    """A backtest that was run. `notes`: what a reader should know, in the language of who asked."""

    name: str
    parameters: Mapping[str, Any]
    settings: Settings
    universe: str
    figures: Figures
    frames: Frames
    notes: tuple[str, ...]


def of_strategy(
    loaded: Loaded, strategy: Strategy, settings: Settings, universe: str = "all", *, positions: bool = True
) -> Result:
    """Follows the strategy's signals over the range; without `positions`, a row per session and code, a grid is smaller.

    StrategyError, a sentence, where the strategy gave no answer.
    """
    signals = strategy.decisions(loaded.panel)
    plan = from_signals(loaded.market, signals, settings.delay)
    return _run(loaded, plan, settings, strategy.name, strategy.parameters.model_dump(mode="json"), universe, positions)


def of_weights(loaded: Loaded, weights: pl.DataFrame, settings: Settings, name: str = "weights") -> Result:
    """Follows target weights: date, code, weight (see orders.from_weights)."""
    return _run(loaded, from_weights(loaded.market, weights, settings.delay), settings, name, {}, "table")


def of_orders(loaded: Loaded, orders: pl.DataFrame, settings: Settings, name: str = "orders") -> Result:
    """Replays orders: date, code, side, shares (see orders.from_orders)."""
    return _run(loaded, from_orders(loaded.market, orders), settings, name, {}, "table")


def simulated(loaded: Loaded, plan: Plan, settings: Settings, *, positions: bool = True) -> Simulated:
    """The kernel alone, over the range."""
    from quant_pipeline.backtest.kernel import simulate  # numba: most of a second

    if (exchange := loaded.exchanges.get(settings)) is None:
        exchange = exchange_of(loaded.market, settings, loaded.steps, loaded.delisted, loaded.names)
        loaded.exchanges[settings] = exchange
    rules = rules_of(settings, mode=plan.mode, delay=plan.delay, first=loaded.first, last=loaded.last, positions=positions)
    return simulate(bars_of(loaded.market, settings.fill), exchange, plan.decisions, rules)


def _run(
    loaded: Loaded,
    plan: Plan,
    settings: Settings,
    name: str,
    parameters: Mapping[str, Any],
    universe: str,
    positions: bool = True,
) -> Result:
    _look_at_capital(loaded, settings)
    found = simulated(loaded, plan, settings, positions=positions)
    frames = frames_of(loaded.market, found, loaded.sessions, loaded.benchmark, settings.capital)
    return Result(
        name=name,
        parameters=parameters,
        settings=settings,
        universe=universe,
        figures=figures_of(frames, settings),
        frames=frames,
        notes=(*loaded.notes, *_notes(found, frames, settings)),
    )


def _look_at_capital(loaded: Loaded, settings: Settings) -> None:
    """BacktestError where the capital buys a lot of nothing in the whole range."""
    market = loaded.market
    inside = (market.session >= loaded.first) & (market.close > 0)
    if not inside.any():
        raise BacktestError(say("no bars are stored for this range: sync daily_kline for it first"))
    lot = 100 if settings.lots else 1
    cheapest = float(np.min(market.close[inside])) / 10_000 * lot
    if settings.capital < cheapest:
        raise BacktestError(
            say(
                "a capital of {capital:,.2f} 元 buys no lot of any code: the cheapest costs {cheapest:,.2f} 元; give more",
                capital=settings.capital,
                cheapest=cheapest,
            )
        )


def _notes(found: Simulated, frames: Frames, settings: Settings) -> list[str]:
    notes = []
    sessions, times = frames.equity.height, float(frames.equity["equity"][-1] / settings.capital)
    if times > _BEYOND_BELIEF and sessions < settings.sessions_a_year:
        notes.append(
            say(
                "the capital grew {times:,.0f}-fold in {count:,} sessions, which is implausible: look for look-ahead, or for a "
                "market (the sandbox's) whose limit-ups carry on",
                times=times,
                count=sessions,
            )
        )
    if count := int(found.passed[PASSED_FULL]):
        notes.append(
            say("{count:,} buy signals found no free place: max_positions is {most}", count=count, most=settings.max_positions)
        )
    if count := int(found.passed[PASSED_HELD]):
        notes.append(say("{count:,} buy signals were of codes held or ordered already", count=count))
    steps = frames.trades.filter(pl.col("kind") == "step")
    if steps.height:
        notes.append(
            say(
                "{count:,} factor steps that no dividend record explains were booked as cash (kind: step); "
                "are the dividends of the range stored? {command}",
                count=steps.height,
                command=fetching("dividends", frames.equity["trade_date"].to_list()),
            )
        )
    gone = frames.trades.filter(pl.col("kind") == "write_off")
    if gone.height:
        part = f"{settings.delisted_at:.0%}"
        notes.append(
            say("{count:,} positions were delisted: written off at {part} of their last close", count=gone.height, part=part)
        )
    return notes
