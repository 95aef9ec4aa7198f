"""The parts of a report. Ratios are parts of one (0.12 is 12 %), money is 元."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quant_pipeline.backtest.archive import Run
from quant_pipeline.charts.interactive import Figure


@dataclass(frozen=True)
class Year:
    """A calendar year: its months' returns (None: no session), and what it came to. `drawdown`: deepest within the year."""

    year: int
    months: Sequence[float | None]
    total: float
    benchmark: float | None
    drawdown: float
    sales: int
    won: int
    costs: float

    @property
    def excess(self) -> float | None:
        """Over the benchmark."""
        return None if self.benchmark is None else self.total - self.benchmark


@dataclass(frozen=True)
class Cost:
    """A kind of cost, its name in both languages, and its part of all of them."""

    zh: str
    en: str
    amount: float
    part: float


@dataclass(frozen=True)
class Unfilled:
    """Orders that were not filled whole, for one reason."""

    side: str
    status: str
    reason: str
    english: str
    orders: int


@dataclass(frozen=True)
class Trade:
    """A sale (or a write-off) with what it brought; `opened`: when its oldest shares were bought. `result`: `profit` over what
    the shares had cost, dividends taken off. `figure`: its K-line, where one is drawn."""

    ts_code: str
    name: str
    opened: dt.date
    closed: dt.date
    written_off: bool
    shares: int
    price: float
    profit: float
    result: float | None
    sessions: int
    figure: Figure | None = None


@dataclass(frozen=True)
class Report:
    """Everything that the page shows of one backtest. `parameters`, `account`: what it is called -> value; of the account only
    what is not the default."""

    run: Run
    zh: str
    parameters: Mapping[str, Any]
    account: Mapping[str, Any]
    equity: Figure
    years: Sequence[Year]
    costs: Sequence[Cost]
    unfilled: Sequence[Unfilled]
    best: Sequence[Trade]
    worst: Sequence[Trade]

    @property
    def figures(self) -> Mapping[str, Any]:
        """As `backtest.figures.Figures` names them."""
        return self.run.shown

    @property
    def drawn(self) -> Sequence[Trade]:
        """The trades that have a K-line, the best first."""
        return [each for each in (*self.best, *reversed(self.worst)) if each.figure is not None]
