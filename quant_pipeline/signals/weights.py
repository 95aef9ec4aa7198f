"""How much of each code is to be held: by the chosen method, within the limits per code and industry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from quant_pipeline.language import say
from quant_pipeline.signals.rules import OfPortfolio, Weighting

if TYPE_CHECKING:
    import numpy.typing as npt

_ROUNDS = 100
_NOTHING = 1e-12
_KNOWN = 0.5
"""A code with returns in less than this part of the window says too little of itself: a halt would look like calm."""


class PortfolioError(ValueError):
    """Weights that cannot be had; the text says why and what to do."""


def target_weights(
    codes: Sequence[str], returns: pl.DataFrame, industries: Mapping[str, str], rules: OfPortfolio
) -> dict[str, float]:
    """Code -> part of the equity. They add up to 1 - reserve, or to less where the limits leave no room: the rest stays cash.

    `returns`: a column of daily returns per code, null where it did not trade; a code may lack.
    PortfolioError where the method needs a package that is not installed.
    """
    if not codes:
        return {}
    total = 1 - rules.reserve
    base = _by_method(codes, returns, rules, total)
    return limited(base, industries, code=rules.max_weight, industry=rules.max_industry, total=total)


def limited(
    base: Mapping[str, float], industries: Mapping[str, str], *, code: float, industry: float, total: float
) -> dict[str, float]:
    """The weights in these proportions, adding up to `total` as far as no code is above `code` and no industry above
    `industry`: what one may not have, the others get in their proportions. A code without an industry has none to share."""
    codes = list(base)
    share = np.array([base[each] for each in codes], dtype=np.float64)
    share = share / share.sum() if share.sum() > 0 else np.full(len(codes), 1 / len(codes))
    named = [industries.get(each) or each for each in codes]
    groups = [np.array([name == other for other in named]) for name in dict.fromkeys(named)]
    bounds = [industry if any(industries.get(codes[at]) for at in np.flatnonzero(group)) else 1.0 for group in groups]
    weights = share * total
    for _ in range(_ROUNDS):
        weights = _cut(weights, groups, bounds, code)
        free = weights < code - _NOTHING
        for group, bound in zip(groups, bounds, strict=True):
            if weights[group].sum() >= bound - _NOTHING:
                free &= ~group
        lacking = total - weights.sum()
        if lacking <= _NOTHING or not (share[free].sum() > 0):
            break
        weights = weights + np.where(free, share, 0) / share[free].sum() * lacking
    weights = _cut(weights, groups, bounds, code)
    return {each: float(weight) for each, weight in zip(codes, weights, strict=True)}


def _cut(
    weights: npt.NDArray[np.float64], groups: Sequence[npt.NDArray[np.bool_]], bounds: Sequence[float], code: float
) -> npt.NDArray[np.float64]:
    within = np.minimum(weights, code)
    for group, bound in zip(groups, bounds, strict=True):
        held = within[group].sum()
        if held > bound:
            within = np.where(group, within * (bound / held), within)
    return within


def _by_method(codes: Sequence[str], returns: pl.DataFrame, rules: OfPortfolio, total: float) -> dict[str, float]:
    equal = dict.fromkeys(codes, 1 / len(codes))
    if rules.weighting is Weighting.EQUAL:
        return equal
    told = [each for each in codes if each in returns.columns and returns[each].count() >= _KNOWN * max(returns.height, 1)]
    deviations = {each: float(np.std(returns[each].drop_nulls().to_numpy(), ddof=1)) for each in told}
    told = [each for each in told if deviations[each] > 0]
    if rules.weighting is Weighting.INVERSE_VOLATILITY:
        calm = {each: 1 / deviations[each] for each in told}
        usual = float(np.median(list(calm.values()))) if calm else 1.0
        return {each: calm.get(each, usual) for each in codes}
    if len(told) < 2:
        return equal
    found = _optimised(told, returns, rules, total)
    part = len(told) / len(codes)
    return {each: found[each] * part if each in found else equal[each] for each in codes}


def _optimised(codes: Sequence[str], returns: pl.DataFrame, rules: OfPortfolio, total: float) -> dict[str, float]:
    """By skfolio: code -> part of these codes."""
    try:
        from skfolio.optimization import MeanRisk, ObjectiveFunction, RiskBudgeting
    except ImportError:
        raise PortfolioError(
            say(
                "the weighting {name} needs skfolio, which is not installed: pip install 'quant-pipeline[portfolio]', or set "
                "weighting to equal or inverse_volatility in signals.toml",
                name=rules.weighting,
            )
        ) from None
    known = returns.select(codes).fill_null(0.0).to_pandas()
    if rules.weighting is Weighting.MINIMUM_VARIANCE:
        cap = min(1.0, max(rules.max_weight / total, 1.0001 / len(codes)))
        model = MeanRisk(objective_function=ObjectiveFunction.MINIMIZE_RISK, max_weights=cap)
    else:
        model = RiskBudgeting()
    try:
        model.fit(known)
    except Exception as error:  # whatever a solver finds; the portfolio keeps what it has
        raise PortfolioError(
            say(
                "the weighting {name} found no weights ({why}): set another one in signals.toml",
                name=rules.weighting,
                why=str(error).partition("\n")[0],
            )
        ) from error
    return dict(zip(codes, (max(0.0, float(weight)) for weight in model.weights_), strict=True))
