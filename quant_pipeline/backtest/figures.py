"""The figures of a backtest, from its equity and trades. Ratios are parts, not per cent: 0.12 is 12 %."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from quant_pipeline.backtest.layout import Array
from quant_pipeline.backtest.result import Frames
from quant_pipeline.backtest.settings import Settings

COSTS = ("commission", "stamp_duty", "transfer_fee", "handling_fee", "regulatory_fee", "dividend_tax")


@dataclass(frozen=True)
class Figures:
    """None: not defined (no trade, no variation, no benchmark over every session). Annual figures count `sessions_a_year`;
    volatility and ratios are of daily returns, standard deviations with n - 1.

    `turnover`: bought and sold, half of it, over mean equity, a year · `exposure`: mean part of the equity in shares ·
    `win_rate`, `profit_factor`: of sales and write-offs, after costs and tax, dividends received counted · `alpha`, `beta`
    (Jensen's, a year), `excess` (over the benchmark's total return), `information_ratio`.
    """

    start: dt.date
    end: dt.date
    sessions: int
    capital: float
    final: float
    total_return: float
    annual_return: float
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    max_drawdown: float
    drawdown_from: dt.date | None
    drawdown_to: dt.date | None
    recovered_on: dt.date | None
    calmar: float | None
    orders: int
    orders_filled: int
    orders_refused: int
    trades: int
    sales: int
    win_rate: float | None
    profit_factor: float | None
    mean_sessions_held: float | None
    turnover: float
    exposure: float
    costs: dict[str, float]
    dividends: float
    booked_steps: float
    benchmark: str
    benchmark_return: float | None
    excess: float | None
    alpha: float | None
    beta: float | None
    information_ratio: float | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def figures_of(frames: Frames, settings: Settings) -> Figures:
    """Of a run of one session or more."""
    equity = frames.equity
    total, days = equity["equity"].to_numpy(), equity["trade_date"]
    before = np.concatenate([[settings.capital], total[:-1]])
    returns = total / before - 1
    year = settings.sessions_a_year
    growth = float(total[-1] / settings.capital)
    annual = growth ** (year / len(total)) - 1 if growth > 0 else -1.0
    daily = (1 + settings.risk_free) ** (1 / year) - 1
    sales = frames.trades.filter(pl.col("kind").is_in(["sell", "write_off"]))
    profits = sales["profit"].to_numpy()
    gains, losses = float(profits[profits > 0].sum()), -float(profits[profits < 0].sum())
    traded = float(equity["bought"].to_numpy().sum() + equity["sold"].to_numpy().sum())
    drawdown, started, lowest, recovered = _drawdown(total, settings.capital, days)
    statuses = dict(frames.orders["status"].value_counts().iter_rows())
    return Figures(
        start=days[0],
        end=days[-1],
        sessions=len(total),
        capital=settings.capital,
        final=float(total[-1]),
        total_return=growth - 1,
        annual_return=annual,
        volatility=_scaled(_deviation(returns), year),
        sharpe=_ratio(returns - daily, _deviation(returns), year),
        sortino=_ratio(returns - daily, _downside(returns - daily), year),
        max_drawdown=drawdown,
        drawdown_from=started,
        drawdown_to=lowest,
        recovered_on=recovered,
        calmar=annual / -drawdown if drawdown < 0 else None,
        orders=frames.orders.height,
        orders_filled=statuses.get("filled", 0),
        orders_refused=statuses.get("refused", 0) + statuses.get("expired", 0),
        trades=frames.trades.filter(pl.col("kind").is_in(["buy", "sell"])).height,
        sales=sales.height,
        win_rate=float((sales["profit"] > 0).mean()) if sales.height else None,  # type: ignore[arg-type]
        profit_factor=gains / losses if losses > 0 else None,
        mean_sessions_held=float(sales["sessions_held"].mean()) if sales.height else None,  # type: ignore[arg-type]
        turnover=traded / 2 / float(total.mean()) * year / len(total),
        exposure=float((equity["holdings"].to_numpy() / total).mean()),
        costs={name: round(float(frames.trades[name].sum()), 4) for name in COSTS},
        dividends=_paid(frames.trades, "dividend"),
        booked_steps=_paid(frames.trades, "step"),
        **_against(returns, equity["benchmark"].to_numpy(), growth - 1, settings),
    )


def _paid(trades: pl.DataFrame, kind: str) -> float:
    return round(float(trades.filter(pl.col("kind") == kind)["value"].sum()), 4)


def _drawdown(total: Array, capital: float, days: pl.Series) -> tuple[float, dt.date | None, dt.date | None, dt.date | None]:
    """The deepest fall from a peak (negative), the day of the peak, of the bottom, and of the recovery."""
    peaks = np.maximum(np.maximum.accumulate(total), capital)
    falls = total / peaks - 1
    lowest = int(np.argmin(falls))
    if falls[lowest] >= 0:
        return 0.0, None, None, None
    at_peak = np.flatnonzero(total[: lowest + 1] >= peaks[lowest])
    later = np.flatnonzero(total[lowest:] >= peaks[lowest])
    started = days[int(at_peak[-1])] if len(at_peak) else days[0]
    return float(falls[lowest]), started, days[lowest], days[lowest + int(later[0])] if len(later) else None


def _deviation(values: Array) -> float | None:
    deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return deviation if deviation > 1e-12 else None


def _downside(excess: Array) -> float | None:
    below = math.sqrt(float((np.minimum(excess, 0) ** 2).mean()))
    return below if below > 1e-12 else None


def _scaled(deviation: float | None, year: int) -> float | None:
    return None if deviation is None else deviation * math.sqrt(year)


def _ratio(excess: Array, deviation: float | None, year: int) -> float | None:
    return None if deviation is None else float(excess.mean()) / deviation * math.sqrt(year)


def _against(returns: Array, index: Array, total: float, settings: Settings) -> dict[str, Any]:
    """Against the benchmark; None where there is none."""
    found: dict[str, Any] = dict.fromkeys(("benchmark_return", "excess", "alpha", "beta", "information_ratio"))
    found["benchmark"] = settings.benchmark
    index = index.astype(np.float64)
    if len(index) < 3 or np.isnan(index).any():
        return found
    found["benchmark_return"] = float(index[-1] / index[0] - 1)
    found["excess"] = total - found["benchmark_return"]
    mine, theirs = returns[1:], index[1:] / index[:-1] - 1
    if theirs.var() < 1e-18:
        return found
    year = settings.sessions_a_year
    daily = (1 + settings.risk_free) ** (1 / year) - 1
    beta = float(np.cov(mine, theirs)[0, 1] / theirs.var(ddof=1))
    found["beta"] = beta
    found["alpha"] = float((mine.mean() - daily - beta * (theirs.mean() - daily)) * year)
    found["information_ratio"] = _ratio(mine - theirs, _deviation(mine - theirs), year)
    return found
