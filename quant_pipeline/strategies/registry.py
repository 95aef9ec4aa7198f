"""The strategies that there are: our own, and those of installed packages (entry-point group `quant_pipeline.strategies`)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint

from quant_pipeline.language import say
from quant_pipeline.plug_ins import with_plug_ins
from quant_pipeline.strategies.base import Strategy, StrategyError
from quant_pipeline.strategies.dual_ma import DualMovingAverage
from quant_pipeline.strategies.panel import look_at_needs

GROUP = "quant_pipeline.strategies"
BUILT_IN: tuple[type[Strategy], ...] = (DualMovingAverage,)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Registry:
    """`strategies` by name; `broken`: entry point -> why its strategy cannot be used."""

    strategies: Mapping[str, type[Strategy]]
    broken: Mapping[str, str]


def registered() -> Registry:
    """Our own strategies, then the plug-ins by the name of their entry points. A broken plug-in stops no other: it is
    logged, and named in `broken`."""
    strategies, broken = with_plug_ins(GROUP, {strategy.name: strategy for strategy in BUILT_IN}, _strategy_of)
    return Registry(strategies, broken)


def _strategy_of(plug_in: EntryPoint) -> type[Strategy]:
    strategy = plug_in.load()
    if not (inspect.isclass(strategy) and issubclass(strategy, Strategy)):
        raise StrategyError(say("it is no subclass of {base}", base="quant_pipeline.strategies.base.Strategy"))
    if missing := [name for name in ("name", "zh", "doc", "Parameters") if not hasattr(strategy, name)]:
        raise StrategyError(say("it lacks {names}", names=", ".join(missing)))
    if not _NAME.fullmatch(strategy.name):
        text = say("its name {name!r} must be lower-case letters, digits and underscores", name=strategy.name)
        raise StrategyError(text)
    look_at_needs(strategy.needs)
    strategy()  # nothing abstract is left, and its parameters have defaults: a screen runs by itself
    return strategy
