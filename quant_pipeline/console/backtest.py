"""The command `backtest`: what was typed, checked against what there is; the figures, as facts and for the eyes."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from quant_pipeline.backtest import reading, run
from quant_pipeline.backtest.figures import Figures
from quant_pipeline.backtest.reasons import Reason, Side, Status
from quant_pipeline.backtest.run import Result
from quant_pipeline.backtest.settings import BacktestError, Settings
from quant_pipeline.backtest.store import store
from quant_pipeline.backtest.universe import members_of, universe_of
from quant_pipeline.console.insight import Output
from quant_pipeline.console.tables import Column, FittedTable
from quant_pipeline.language import say, say_many
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.search import Named, near
from quant_pipeline.strategies.base import Strategy
from quant_pipeline.strategies.panel import together
from quant_pipeline.strategies.registry import registered
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import snapshot

_REASONS_SHOWN = 12


def backtest_output(
    database: Database,
    lake: Path,
    calendar: Calendar,
    name: str,
    *,
    start: dt.date | None,
    end: dt.date | None,
    changes: Sequence[str],
    universe: str,
    capital: float | None,
) -> Output:
    """Runs the strategy over the range, stores the backtest, and shows it. Errors are sentences (ValueError)."""
    kind = _strategy(name)
    own, engine = _sorted_out(kind, changes)
    strategy = kind.with_parameters(own)
    settings = Settings.of(engine if capital is None else {**engine, "capital": capital})
    with snapshot(database, lake) as stored:
        loaded = reading.load(
            stored,
            calendar,
            start=start,
            end=end,
            lookback=strategy.lookback,
            needs=together([strategy.needs]),
            codes=universe_of(stored, universe),
            members=members_of(stored, universe),
            benchmark=settings.benchmark,
        )
    result = run.of_strategy(loaded, strategy, settings, universe)
    return output_of(result, store(database, result))


def output_of(result: Result, number: str) -> Output:
    """The figures, the orders that were not filled, and where all of it stands."""
    query = f"SELECT * FROM backtest_orders WHERE backtest = '{number}'"
    facts = {
        "id": number,
        "name": result.name,
        "parameters": dict(result.parameters),
        "settings": result.settings.model_dump(mode="json"),
        "universe": result.universe,
        "figures": result.figures.as_dict(),
        "orders": _by_reason(result),
        "notes": list(result.notes),
    }
    shown: list[RenderableType] = [_table(result), *_unfilled(result), *(Text(f"! {note}") for note in result.notes)]
    shown.append(Text(say("Stored as {number}. Every order with its reason: {query}", number=number, query=query)))
    return Output(facts, shown)


def _strategy(name: str) -> type[Strategy]:
    known = registered().strategies
    if name in known:
        return known[name]
    text = say("there is no strategy {name}.", name=name)
    if alike := near(name, [Named(each, strategy.zh) for each, strategy in known.items()], limit=3):
        names = ", ".join(f"{each.code} {each.name}" for each in alike)
        raise BacktestError(text + say(" Did you mean {names}?", names=names))
    raise BacktestError(text + say(" Known: {names}", names=", ".join(known)))


def _sorted_out(kind: type[Strategy], changes: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was set of the strategy's parameters, and of the account and its costs."""
    own: dict[str, Any] = {}
    engine: dict[str, Any] = {}
    for change in changes:
        name, equals, value = (part.strip() for part in change.partition("="))
        if not equals:
            raise BacktestError(say("write --set NAME=VALUE, not {change}", change=change))
        if name in kind.Parameters.model_fields:
            own[name] = _value(value)
        elif name in Settings.model_fields:
            engine[name] = _value(value)
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


def _value(text: str) -> Any:
    """A number, a truth, nothing (null, none), or the text itself."""
    try:
        return json.loads({"none": "null", "yes": "true", "no": "false"}.get(text.lower(), text.lower()))
    except json.JSONDecodeError:
        return text


def _table(result: Result) -> FittedTable:
    figures = result.figures
    parameters = ", ".join(f"{name}={value}" for name, value in result.parameters.items())
    span = f"{figures.start} .. {figures.end}"
    title = say("Backtest {name} ({parameters}), {span}", name=result.name, parameters=parameters, span=span)
    table = FittedTable(title, (Column(say("figure")), Column(say("value"), figures=True)))
    for words, value in _lines(figures):
        table.add(words, value)
    return table


def _lines(figures: Figures) -> list[tuple[str, str]]:
    drawdown = _percent(figures.max_drawdown)
    if figures.drawdown_from:
        drawdown += f" ({figures.drawdown_from} .. {figures.drawdown_to})"
    lines = [
        (say("sessions"), f"{figures.sessions:,}"),
        (say("capital, at the end"), f"{figures.capital:,.2f} → {figures.final:,.2f}"),
        (say("total return"), _percent(figures.total_return)),
        (say("annual return"), _percent(figures.annual_return)),
        (say("volatility"), _percent(figures.volatility)),
        (say("Sharpe · Sortino · Calmar"), " · ".join(map(_number, (figures.sharpe, figures.sortino, figures.calmar)))),
        (say("deepest drawdown"), drawdown),
        (say("trades · win rate · profit factor"), _of_trades(figures)),
        (say("turnover a year · exposure"), f"{figures.turnover:.2f} · {_percent(figures.exposure)}"),
        (say("costs"), f"{sum(figures.costs.values()):,.2f}"),
    ]
    if figures.benchmark_return is not None:
        compared = f"{_percent(figures.benchmark_return)} · {_percent(figures.excess)}"
        lines.append((say("{index} · excess over it", index=figures.benchmark), compared))
        lines.append((say("alpha a year · beta"), f"{_percent(figures.alpha)} · {_number(figures.beta)}"))
    return lines


def _of_trades(figures: Figures) -> str:
    return f"{figures.trades:,} · {_percent(figures.win_rate)} · {_number(figures.profit_factor)}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2%}" if value else "0.00%"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _by_reason(result: Result) -> Sequence[Mapping[str, Any]]:
    counted = result.frames.orders.group_by("side", "status", "reason").len("orders")
    return counted.sort("orders", "side", "status", "reason", descending=[True, False, False, False]).to_dicts()


def _unfilled(result: Result) -> list[RenderableType]:
    rows = [row for row in _by_reason(result) if row["status"] != "filled"]
    if not rows:
        return [Text(say_many("The {count} order was filled.", "All {count:,} orders were filled.", result.figures.orders))]
    count = sum(row["orders"] for row in rows)
    table = FittedTable(
        say_many("{count} order was not filled whole", "{count:,} orders were not filled whole", count),
        (Column(say("side")), Column(say("what became of it")), Column(say("why")), Column(say("orders"), figures=True)),
    )
    for row in rows[:_REASONS_SHOWN]:
        table.add(
            Side[row["side"].upper()].words,
            Status[row["status"].upper()].words,
            Reason[row["reason"].upper()].words,
            f"{row['orders']:,}",
        )
    return [table]
