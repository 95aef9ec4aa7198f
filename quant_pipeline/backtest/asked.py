"""A backtest as somebody asked for it, whatever the door: the command, Dagster's launchpad, a point of a grid."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from quant_pipeline.backtest import reading, run
from quant_pipeline.backtest.reading import Loaded
from quant_pipeline.backtest.run import Result
from quant_pipeline.backtest.settings import BacktestError, Settings
from quant_pipeline.backtest.universe import ALL, members_of, universe_of
from quant_pipeline.language import say
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.search import Named, near
from quant_pipeline.strategies.base import Strategy
from quant_pipeline.strategies.panel import together
from quant_pipeline.strategies.registry import registered
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import snapshot


@dataclass(frozen=True)
class Asked:
    """`start`, `end`: both included; None: from the first, to the last session that is stored."""

    strategy: Strategy
    settings: Settings
    start: dt.date | None = None
    end: dt.date | None = None
    universe: str = ALL

    def over(self, start: dt.date | None, end: dt.date | None) -> Asked:
        """The same over another range."""
        return replace(self, start=start, end=end)


def strategy_named(name: str) -> type[Strategy]:
    """BacktestError, with the names that come near, where none is called so."""
    known = registered().strategies
    if name in known:
        return known[name]
    text = say("there is no strategy {name}.", name=name)
    if alike := near(name, [Named(each, strategy.zh) for each, strategy in known.items()], limit=3):
        names = ", ".join(f"{each.code} {each.name}" for each in alike)
        raise BacktestError(text + say(" Did you mean {names}?", names=names))
    raise BacktestError(text + say(" Known: {names}", names=", ".join(known)))


def sorted_out(kind: type[Strategy], changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was set of the strategy's parameters, and of the account and its costs. BacktestError for a name of neither."""
    own: dict[str, Any] = {}
    engine: dict[str, Any] = {}
    for name, value in changes.items():
        if name in kind.Parameters.model_fields:
            own[name] = value
        elif name in Settings.model_fields:
            engine[name] = value
        else:
            raise BacktestError(
                say(
                    "{strategy} has no parameter {name}: it has {own}; of the account there are {engine}",
                    strategy=kind.name,
                    name=name,
                    own=", ".join(kind.Parameters.model_fields),
                    engine=", ".join(Settings.model_fields),
                )
            )
    return own, engine


def load(database: Database, lake: Path | None, calendar: Calendar, asked: Sequence[Asked]) -> Loaded:
    """What backtests of one range and universe need, read once. `lake`: its folder; None: all is read from PostgreSQL.

    BacktestError for a range or a universe with nothing in it.
    """
    first = asked[0]
    with snapshot(database, lake) as stored:
        return reading.load(
            stored,
            calendar,
            start=first.start,
            end=first.end,
            lookback=max(each.strategy.lookback for each in asked),
            needs=together([each.strategy.needs for each in asked]),
            codes=universe_of(stored, first.universe),
            members=members_of(stored, first.universe),
            benchmark=first.settings.benchmark,
            fills={each.settings.fill for each in asked},
        )


def backtested(database: Database, lake: Path | None, calendar: Calendar, asked: Asked) -> Result:
    """What became of it. BacktestError, StrategyError: sentences, and nothing was written."""
    return run.of_strategy(load(database, lake, calendar, [asked]), asked.strategy, asked.settings, asked.universe)
