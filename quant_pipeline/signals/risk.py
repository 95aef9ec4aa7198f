"""What the holdings risk, by what their codes did in the past sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from quant_pipeline.language import say
from quant_pipeline.signals.rules import Thresholds

_FEWEST = 20
"""Past sessions below which no figure is given."""
_NO_INDUSTRY = ""


@dataclass(frozen=True)
class Risk:
    """In % of the equity, losses as positive numbers; None: too few past sessions, nothing held, or no index."""

    exposure: float
    var_95: float | None
    var_99: float | None
    shortfall_95: float | None
    sessions: int
    beta: float | None
    largest_weight: float
    largest: str | None
    concentration: float | None
    industry_weight: float
    industry: str | None


def risk_of(
    weights: Mapping[str, float], returns: pl.DataFrame, index: pl.Series | None, industries: Mapping[str, str]
) -> Risk:
    """`weights`: code -> part of the equity that is held · `returns`: a row per past session, a column of returns per code,
    null where it did not trade (it then neither won nor lost) · `index`: its returns in the same sessions."""
    by_industry: dict[str, float] = {}
    for code, weight in weights.items():
        name = industries.get(code) or _NO_INDUSTRY
        by_industry[name] = by_industry.get(name, 0.0) + weight
    named = {name: weight for name, weight in by_industry.items() if name}
    largest = max(weights, key=lambda code: weights[code], default=None)
    industry = max(named, key=lambda name: named[name], default=None)
    invested = sum(weights.values())
    past = _past(weights, returns)
    enough = past is not None and len(past) >= _FEWEST
    var_95, var_99, shortfall = _losses(past) if enough and past is not None else (None, None, None)
    return Risk(
        exposure=invested * 100,
        var_95=var_95,
        var_99=var_99,
        shortfall_95=shortfall,
        sessions=0 if past is None else len(past),
        beta=_beta(past, index) if enough and past is not None else None,
        largest_weight=weights[largest] * 100 if largest else 0.0,
        largest=largest,
        concentration=sum((weight / invested) ** 2 for weight in weights.values()) if invested > 0 else None,
        industry_weight=named[industry] * 100 if industry else 0.0,
        industry=industry,
    )


def passed(figures: Mapping[str, float | None], thresholds: Thresholds) -> dict[str, str]:
    """Name of the figure -> a sentence, of those beyond their threshold. A drawdown counts by its size."""
    found = {}
    for name, threshold in thresholds.model_dump().items():
        value = figures.get(name)
        if value is not None and threshold and abs(value) > threshold:
            unit = "" if name == "beta" else " %"
            found[name] = say(
                "{name} {value} is beyond {threshold}",
                name=name,
                value=f"{abs(value):.2f}{unit}",
                threshold=f"{threshold:g}{unit}",
            )
    return found


def _past(weights: Mapping[str, float], returns: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    """What these holdings would have returned in each of the sessions, of the equity."""
    known = [code for code in weights if code in returns.columns]
    if not known or returns.is_empty():
        return None
    matrix = returns.select(known).fill_null(0.0).fill_nan(0.0).to_numpy()
    return np.asarray(matrix @ np.array([weights[code] for code in known]), dtype=np.float64)


def _losses(past: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float, float]:
    worst = np.quantile(past, [0.05, 0.01])
    tail = past[past <= worst[0]]
    var_95, var_99 = (max(0.0, -float(each)) * 100 for each in worst)
    return var_95, var_99, max(0.0, -float(tail.mean())) * 100


def _beta(past: np.ndarray[tuple[int], np.dtype[np.float64]], index: pl.Series | None) -> float | None:
    if index is None or index.null_count() == len(index):
        return None
    known = index.is_not_null().to_numpy()
    market, own = index.drop_nulls().to_numpy(), past[known]
    if len(market) < _FEWEST or not market.var() > 0:
        return None
    return float(np.cov(own, market, ddof=1)[0, 1] / market.var(ddof=1))
