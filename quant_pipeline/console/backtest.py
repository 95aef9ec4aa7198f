"""The command `backtest`: what was typed, checked against what there is; the figures, as facts and for the eyes."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from quant_pipeline.backtest.annual import annualised_from, readable
from quant_pipeline.backtest.asked import Asked, backtested, sorted_out, strategy_named
from quant_pipeline.backtest.figures import Figures
from quant_pipeline.backtest.reasons import Reason, Side, Status
from quant_pipeline.backtest.run import Result
from quant_pipeline.backtest.settings import BacktestError
from quant_pipeline.backtest.settings import Settings as Account
from quant_pipeline.backtest.store import store
from quant_pipeline.backtest_report.document import page_of, path_of, saved
from quant_pipeline.console.insight import Output
from quant_pipeline.console.tables import Column, FittedTable
from quant_pipeline.language import say, say_many
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import folder_of

_REASONS_SHOWN = 12


def underway(name: str) -> str:
    """What somebody at a terminal waits for."""
    return say(
        "{name}: reading, then trading session by session … A machine's first backtest compiles for a minute or two", name=name
    )


def backtest_output(
    settings: Settings,
    database: Database,
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
    kind = strategy_named(name)
    own, engine = sorted_out(kind, _changes(changes))
    account = Account.of(engine if capital is None else {**engine, "capital": capital})
    asked = Asked(kind.with_parameters(own), account, start, end, universe)
    result = backtested(database, folder_of(settings), calendar, asked)
    number = store(database, result)
    return output_of(result, number, page_of(settings, number), _saved(settings, database, number))


def _saved(settings: Settings, database: Database, number: str) -> Path | str:
    """Where the report was saved, or why it was not: what was stored is stored."""
    try:
        return saved(settings, database, number)
    except OSError as error:
        folder = path_of(settings, number).parent
        return say("the copy cannot be saved in {folder}: {why}", folder=folder, why=error.strerror or str(error))


def output_of(result: Result, number: str, page: str, copy: Path | str) -> Output:
    """The figures, the orders that were not filled, and where all of it stands. `copy`: the report's file, or why there is
    none."""
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
        "page": page,
        "report": str(copy) if isinstance(copy, Path) else None,
    }
    shown: list[RenderableType] = [_table(result), *_unfilled(result), *(Text(f"! {note}") for note in result.notes)]
    shown.append(Text(say("Stored as {number}. Every order with its reason: {query}", number=number, query=query)))
    shown.append(Text(say("Report: {copy}\nWhile `ui` or `serve` runs: {page}", copy=copy, page=page)))
    return Output(facts, shown)


def _changes(written: Sequence[str]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for change in written:
        name, equals, value = (part.strip() for part in change.partition("="))
        if not equals:
            raise BacktestError(say("write --set NAME=VALUE, not {change}", change=change))
        changes[name] = _value(value)
    return changes


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
    for words, value in _lines(figures, result.settings):
        table.add(words, value)
    return table


def _lines(figures: Figures, account: Account) -> list[tuple[str, str]]:
    settings = account.model_dump()
    shown, least = readable(figures.as_dict(), settings), annualised_from(settings)
    annual = _percent(shown["annual_return"])
    if figures.sessions < least:
        annual = say("– (fewer than {count} sessions: not annualised)", count=least)
    drawdown = _percent(figures.max_drawdown)
    if figures.drawdown_from:
        drawdown += f" ({figures.drawdown_from} .. {figures.drawdown_to})"
    lines = [
        (say("sessions"), f"{figures.sessions:,}"),
        (say("capital, at the end"), f"{figures.capital:,.2f} → {figures.final:,.2f}"),
        (say("total return"), _percent(figures.total_return)),
        (say("annual return"), annual),
        (say("volatility"), _percent(figures.volatility)),
        (say("Sharpe · Sortino · Calmar"), " · ".join(map(_number, (figures.sharpe, figures.sortino, shown["calmar"])))),
        (say("deepest drawdown"), drawdown),
        (say("trades · win rate · profit factor"), _of_trades(figures)),
        (say("turnover a year · exposure"), f"{figures.turnover:.2f} · {_percent(figures.exposure)}"),
        (say("costs"), f"{sum(figures.costs.values()):,.2f}"),
    ]
    if figures.benchmark_return is not None:
        compared = f"{_percent(figures.benchmark_return)} · {_percent(figures.excess)}"
        lines.append((say("{index} · excess over it", index=figures.benchmark), compared))
        lines.append((say("alpha a year · beta"), f"{_percent(shown['alpha'])} · {_number(figures.beta)}"))
    return lines


def _of_trades(figures: Figures) -> str:
    won = "–"
    if figures.win_rate is not None:
        won = say_many("{rate} of {count} sale", "{rate} of {count:,} sales", figures.sales, rate=f"{figures.win_rate:.2%}")
    return f"{figures.trades:,} · {won} · {_number(figures.profit_factor)}"


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
        (
            Column(say("side")),
            Column(say("what became of it")),
            Column(say("why"), words=24),
            Column(say("orders"), figures=True),
        ),
    )
    for row in rows[:_REASONS_SHOWN]:
        table.add(
            Side[row["side"].upper()].words,
            Status[row["status"].upper()].words,
            Reason[row["reason"].upper()].words,
            f"{row['orders']:,}",
        )
    return [table]
