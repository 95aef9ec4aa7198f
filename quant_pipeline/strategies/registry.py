"""The strategies that there are: the built-in ones, those of installed packages (entry-point group
`quant_pipeline.strategies`), and those of the user's own files (`strategies/*.py` in the home)."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from quant_pipeline.language import say
from quant_pipeline.plug_ins import with_plug_ins
from quant_pipeline.strategies import files, sequoia, sequoia_x
from quant_pipeline.strategies.adopted import adopted, is_of_the_other_shape
from quant_pipeline.strategies.base import Strategy, StrategyError
from quant_pipeline.strategies.boll import BollBreakout, BollReversion
from quant_pipeline.strategies.dual_ma import DualMovingAverage
from quant_pipeline.strategies.dual_thrust import DualThrust
from quant_pipeline.strategies.kdj import KdjCross
from quant_pipeline.strategies.limit_up import LimitUpFollow
from quant_pipeline.strategies.macd import MacdCross
from quant_pipeline.strategies.multi_factor import MultiFactor
from quant_pipeline.strategies.panel import look_at_needs
from quant_pipeline.strategies.rotation import ROTATIONS
from quant_pipeline.strategies.rsi import RsiReversal
from quant_pipeline.strategies.turtle import LongTurtle, Turtle

GROUP = "quant_pipeline.strategies"
FAMILIES: Mapping[str, tuple[type[Strategy], ...]] = {
    "indicators": (
        DualMovingAverage,
        MacdCross,
        RsiReversal,
        KdjCross,
        BollBreakout,
        BollReversion,
        Turtle,
        LongTurtle,
        DualThrust,
    ),
    "classics": sequoia.SCREENS,
    "patterns": (*sequoia_x.SCREENS, LimitUpFollow),
    "rotations": (*ROTATIONS, MultiFactor),
}
"""The built-in ones. In the lineage graph each family is a group within the group of screens, or of backtests."""
BUILT_IN: tuple[type[Strategy], ...] = tuple(strategy for family in FAMILIES.values() for strategy in family)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_logger = logging.getLogger(__name__)
_told: dict[Path, str] = {}
"""File -> the reason that was logged of it."""


def group_within(group: str, strategy: type[Strategy]) -> str:
    """Where the strategy stands within the `group` of the lineage graph: in its family's; one not built in: in `group`."""
    return next((f"{group}/{family}" for family, members in FAMILIES.items() if strategy in members), group)


@dataclass(frozen=True)
class Registry:
    """`strategies` by name; `broken`: entry point or file -> why its strategy cannot be used."""

    strategies: Mapping[str, type[Strategy]]
    broken: Mapping[str, str]

    @property
    def own(self) -> frozenset[str]:
        """The names of those that are not built in: the user's own, and those of packages that he installed."""
        return frozenset(self.strategies) - {strategy.name for strategy in BUILT_IN}


def registered() -> Registry:
    """Our own strategies, then the plug-ins by the name of their entry points, then the files by theirs. A broken one stops
    no other: it is logged once, and named in `broken`."""
    strategies, broken = with_plug_ins(GROUP, {strategy.name: strategy for strategy in BUILT_IN}, _of_entry_point)
    for file in files.found():
        for each in file.classes:
            try:
                strategy = _usable(each)
                if strategies.setdefault(strategy.name, strategy) is not strategy:
                    raise StrategyError(say("there is another one with the name {name!r}", name=strategy.name))
            except Exception as error:  # whatever it does when it is asked who it is
                broken[file.file.name] = f"{each.__name__}: {error}"
        if file.broken:
            broken[file.file.name] = file.broken
        if file.file.name in broken:
            _tell(file.file, broken[file.file.name])
    return Registry(strategies, broken)


def _tell(file: Path, why: str) -> None:
    """Once in a process, however often it is asked which strategies there are; again when the reason is another one."""
    if _told.get(file) != why:
        _told[file] = why
        _logger.warning(say("The strategy file {file} is left out: {why}", file=file, why=why))


def _of_entry_point(plug_in: EntryPoint) -> type[Strategy]:
    return _usable(plug_in.load())


def _usable(candidate: Any) -> type[Strategy]:
    """The class as a strategy of ours; StrategyError says what it lacks."""
    strategy: Any = adopted(candidate) if is_of_the_other_shape(candidate) else candidate
    if not (inspect.isclass(strategy) and issubclass(strategy, Strategy)):
        raise StrategyError(
            say(
                "it is no subclass of {base}, and has no get_identifier and generate_signals",
                base="quant_pipeline.strategies.base.Strategy",
            )
        )
    if missing := [name for name in ("name", "zh", "doc") if not hasattr(strategy, name)]:
        raise StrategyError(say("it lacks {names}", names=", ".join(missing)))
    if not _NAME.fullmatch(strategy.name):
        text = say("its name {name!r} must be lower-case letters, digits and underscores", name=strategy.name)
        raise StrategyError(text)
    if "universe" in strategy.Parameters.model_fields:
        raise StrategyError(say("its parameter universe has the name of what every screen is told beside them: rename it"))
    look_at_needs(strategy.needs)
    strategy()  # nothing abstract is left, and its parameters have defaults: a screen runs by itself
    return strategy
