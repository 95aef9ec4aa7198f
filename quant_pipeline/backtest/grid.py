"""Grids: a strategy over every combination of some values, and walk-forward: the best of one window, traded in the next."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from quant_pipeline.backtest.asked import Asked, sorted_out
from quant_pipeline.backtest.figures import Figures
from quant_pipeline.backtest.settings import BacktestError, Settings
from quant_pipeline.language import say
from quant_pipeline.strategies.base import Strategy, StrategyError

MOST: Final = 1000
"""Points of a grid."""
RANKED_BY: Final = ("sharpe", "total_return", "annual_return", "excess", "calmar", "sortino", "max_drawdown")
"""The figures by which points are ranked; of each the higher is the better."""

Point = Mapping[str, Any]
"""Name -> value: of the strategy's parameters, and of the account's settings."""


@dataclass(frozen=True)
class Window:
    """A train window and the test window that follows it; first and last sessions."""

    train: tuple[dt.date, dt.date]
    test: tuple[dt.date, dt.date]


def points_of(kind: type[Strategy], grid: Mapping[str, Any], account: Mapping[str, Any]) -> list[Point]:
    """Every combination of the grid's values that the strategy takes (fast below slow), in the grid's order.

    BacktestError for a name that is unknown, values that are no list, too many points, or none that can be used.
    """
    sorted_out(kind, grid)
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise BacktestError(say("write the values of {name} as a list: [5, 10, 20]", name=name))
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if len(points) > MOST:
        raise BacktestError(say("this grid has {count:,} points: at most {most:,}", count=len(points), most=MOST))
    usable: list[Point] = []
    refused = ""
    for point in points:
        try:
            asked_of(kind, point, account)
            usable.append(point)
        except (BacktestError, StrategyError) as error:
            refused = str(error)
    if not usable:
        raise BacktestError(refused)
    return usable


def asked_of(kind: type[Strategy], point: Point, account: Mapping[str, Any], universe: str = "all") -> Asked:
    """The backtest of a point. BacktestError, StrategyError for values that cannot be used."""
    own, engine = sorted_out(kind, point)
    return Asked(kind.with_parameters(own), Settings.of({**account, **engine}), universe=universe)


def dealt(points: Sequence[Point], steps: int) -> list[list[Point]]:
    """The points in so many hands, none of them empty."""
    return [hand for first in range(max(steps, 1)) if (hand := list(points[first :: max(steps, 1)]))]


def look_at_figure(name: str) -> None:
    """BacktestError where points are not ranked by it."""
    if name not in RANKED_BY:
        raise BacktestError(say("points are not ranked by {name}: write one of {known}", name=name, known=", ".join(RANKED_BY)))


def worth(figures: Figures, name: str) -> float:
    """By which it is ranked; what is not defined comes last."""
    value = getattr(figures, name)
    return float("-inf") if value is None else float(value)


def windows_of(sessions: Sequence[dt.date], train: int, test: int) -> list[Window]:
    """Windows of so many sessions that roll on by the test's, so that tests follow each other without a gap; the last test may
    be shorter. BacktestError where the range holds no two of them."""
    if train < 2 or test < 1:
        raise BacktestError(say("train is 2 sessions or more, test 1 or more"))
    firsts = range(train, len(sessions), test)
    if not firsts:
        raise BacktestError(
            say(
                "the range has {count:,} sessions: more than the {train:,} of a train window are needed",
                count=len(sessions),
                train=train,
            )
        )
    return [
        Window((sessions[at - train], sessions[at - 1]), (sessions[at], sessions[min(at + test, len(sessions)) - 1]))
        for at in firsts
    ]
