"""`qp.backtest`: a strategy, target weights or orders of one's own, traded under the exchange's rules; nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from quant_pipeline.backtest import reading, run
from quant_pipeline.backtest.run import Result
from quant_pipeline.backtest.settings import Settings
from quant_pipeline.backtest.universe import ALL, members_of, universe_of
from quant_pipeline.language import say
from quant_pipeline.market.search import Named, near
from quant_pipeline.notebook.asked import Day, frame_kind, span
from quant_pipeline.notebook.errors import QueryError, in_sentences
from quant_pipeline.notebook.frames import given
from quant_pipeline.notebook.opened import Opened, current
from quant_pipeline.notebook.screens import strategy_of
from quant_pipeline.strategies.base import Strategy
from quant_pipeline.strategies.panel import together

if TYPE_CHECKING:
    import pandas as pd

_CODE_COLUMNS = ("code", "ts_code")


@dataclass(frozen=True)
class Backtest:
    """What became of it. `figures`: name -> value (ratios are parts: 0.12 is 12 %) · `equity`: a row per session (pandas: its
    index) · `orders`: every order with what became of it, and why · `trades`, `positions` · `notes`: what to know of it."""

    name: str
    parameters: Mapping[str, Any]
    settings: Settings
    figures: Mapping[str, Any]
    equity: Any
    orders: Any
    trades: Any
    positions: Any
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        lines = [f"{self.name} {dict(self.parameters) or ''}".strip()]
        lines += [f"  {name:20} {_written(value)}" for name, value in self.figures.items() if not isinstance(value, dict)]
        return "\n".join([*lines, *(f"  ! {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        """IPython's: the figures as a table."""
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{escape(_written(value))}</td></tr>"
            for name, value in self.figures.items()
            if not isinstance(value, dict)
        )
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"<b>{escape(self.name)}</b> {escape(str(dict(self.parameters) or ''))}<table>{rows}</table>{notes}"


@in_sentences
def backtest(
    what: str | type[Strategy] | pd.DataFrame | pl.DataFrame,
    *,
    start: Day | None = None,
    end: Day | None = None,
    universe: str | Iterable[str] = ALL,
    as_: Literal["pandas", "polars"] = "pandas",
    **changes: Any,
) -> Backtest:
    """Trades it session by session under the exchange's rules of each date, and says what became of every order.

    `what`: a strategy by name, or a class of your own; or a table of target weights (date, code, weight: decided at that
    session's close, each date a whole portfolio); or a table of orders (date, code, side, shares: traded in that session) ·
    `start`, `end`: both included; None: all that is stored, of a table its own first and last date · `universe`: all, boards
    (main, chinext, star, bse) or codes · `changes`: parameters of the strategy, and of the account (capital, fill, commission,
    slippage_bp, max_positions, benchmark …: see Settings), by name.

    QueryError: an unknown strategy or setting, an empty range or universe, a strategy that gives no answer.
    """
    frame_kind(as_)
    first, last = span(start, end)
    opened = current()
    if isinstance(what, str | type):
        result = _of_strategy(opened, strategy_of(what), first, last, universe, changes)
    else:
        result = _of_table(opened, what, first, last, changes)
    frames = result.frames
    return Backtest(
        name=result.name,
        parameters=result.parameters,
        settings=result.settings,
        figures=result.figures.as_dict(),
        equity=given(frames.equity, as_, index=["trade_date"]),
        orders=given(frames.orders, as_),
        trades=given(frames.trades, as_),
        positions=given(frames.positions, as_),
        notes=result.notes,
    )


def _of_strategy(
    opened: Opened,
    kind: type[Strategy],
    start: Any,
    end: Any,
    universe: str | Iterable[str],
    changes: Mapping[str, Any],
) -> Result:
    own = {name: value for name, value in changes.items() if name in kind.Parameters.model_fields}
    settings = _settings({name: value for name, value in changes.items() if name not in own}, [*kind.Parameters.model_fields])
    strategy = kind.with_parameters(own)
    text = universe if isinstance(universe, str) else ",".join(universe)
    with opened.rows() as stored:
        loaded = reading.load(
            stored,
            opened.calendar(),
            start=start,
            end=end,
            lookback=strategy.lookback,
            needs=together([strategy.needs]),
            codes=universe_of(stored, text),
            members=members_of(stored, text),
            benchmark=settings.benchmark,
            fills=[settings.fill],
        )
    return run.of_strategy(loaded, strategy, settings, text)


def _of_table(opened: Opened, table: pd.DataFrame | pl.DataFrame, start: Any, end: Any, changes: Mapping[str, Any]) -> Result:
    settings = _settings(changes, [])
    rows = table if isinstance(table, pl.DataFrame) else pl.from_pandas(table.reset_index() if table.index.names[0] else table)
    code = next((name for name in _CODE_COLUMNS if name in rows.columns), None)
    day = next((name for name in ("date", "trade_date") if name in rows.columns), None)
    if code is None or day is None or rows.is_empty() or not {"weight", "shares"} & set(rows.columns):
        raise QueryError(
            say(
                "the table is neither of weights (date, code, weight) nor of orders (date, code, side, shares): "
                "it has {columns}",
                columns=", ".join(rows.columns) or "–",
            )
        )
    rows = rows.with_columns(_days(rows[day]).alias(day))
    with opened.rows() as stored:
        loaded = reading.load(
            stored,
            opened.calendar(),
            start=start or rows[day].min(),  # type: ignore[arg-type]
            end=end,
            codes=sorted(set(rows[code])),
            benchmark=settings.benchmark,
            fills=[settings.fill],
        )
    trade = run.of_weights if "weight" in rows.columns else run.of_orders
    return trade(loaded, rows, settings)


def _days(column: pl.Series) -> pl.Series:
    try:
        return column.str.to_date() if column.dtype == pl.String else column.cast(pl.Date)
    except pl.exceptions.PolarsError:
        raise QueryError(say("the column {name} holds something that is no day: write 2026-11-20", name=column.name)) from None


def _settings(changes: Mapping[str, Any], parameters: Iterable[str]) -> Settings:
    """QueryError for a name that is neither of the account nor of the strategy."""
    known = [*parameters, *Settings.model_fields]
    for name in changes:
        if name not in Settings.model_fields:
            alike = ", ".join(each.code for each in near(name, [Named(each, "") for each in known]))
            words = say("there is no setting {name!r}.", name=name)
            words += " " + say("Did you mean {near}?", near=alike) if alike else ""
            raise QueryError(words + " " + say("All: {names}", names=", ".join(known)))
    return Settings.of(changes)


def _written(value: Any) -> str:
    return "–" if value is None else f"{value:,.4f}" if isinstance(value, float) else str(value)
