"""How signals are decided upon: `signals.toml` in the project's folder, laid over the defaults."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quant_pipeline import project
from quant_pipeline.configuration import ConfigurationError, read_toml
from quant_pipeline.language import say
from quant_pipeline.wrong_values import first_problem

FILE = Path("signals.toml")
LATER = 100
"""The priority of a strategy that the file does not rank."""


class Policy(StrEnum):
    """Who wins where strategies contradict each other about a code."""

    PRIORITY = "priority"
    """The strategy with the lowest priority number; of equals the stronger signal."""
    STRENGTH = "strength"
    """The strongest signal; of equals the one with the lower priority number."""
    MAJORITY = "majority"
    """The direction that more strategies say; of as many, the one with more strength in all."""
    VETO = "veto"
    """A single sale forbids to buy."""


class OfStrategy(BaseModel):
    """What holds for one strategy's signals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    priority: int = Field(LATER, ge=1, le=1000, description="1 goes first")
    valid: int | None = Field(None, ge=1, le=60, description="Sessions on which its signals are decided upon")


class Weighting(StrEnum):
    """How the money is divided among what is held."""

    EQUAL = "equal"
    INVERSE_VOLATILITY = "inverse_volatility"
    """The calmer a code, the more of it."""
    MINIMUM_VARIANCE = "minimum_variance"
    """What moved least together (skfolio), each code capped."""
    RISK_BUDGET = "risk_budget"
    """So that each code bears as much of the risk as the others (skfolio)."""


class OfPortfolio(BaseModel):
    """The paper portfolio: `capital` 元 at the beginning; at most `max_positions` codes; of the equity at most `max_weight` in
    a code, `max_industry` in an industry, `reserve` in cash; what is held is brought back to its weight when it is off by more
    than the part `drift` of it; `lookback`: past sessions that volatilities and risks count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    capital: float = Field(1_000_000.0, gt=0, le=1e11)
    weighting: Weighting = Weighting.EQUAL
    max_positions: int = Field(10, ge=1, le=1000)
    max_weight: float = Field(0.15, gt=0, le=1)
    max_industry: float = Field(0.35, gt=0, le=1)
    reserve: float = Field(0.02, ge=0, lt=1)
    drift: float = Field(0.25, gt=0, le=10)
    lookback: int = Field(250, ge=20, le=2500)
    commission: float = Field(0.00025, ge=0, le=0.05)
    slippage_bp: float = Field(0.0, ge=0, le=1000)


class Thresholds(BaseModel):
    """Beyond which a figure of portfolio_risk is told; 0: never. In % of the equity, but for beta."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exposure: float = Field(0.0, ge=0)
    var_95: float = Field(4.0, ge=0)
    drawdown: float = Field(15.0, ge=0)
    largest_weight: float = Field(25.0, ge=0)
    industry_weight: float = Field(50.0, ge=0)
    beta: float = Field(1.8, ge=0)


class Rules(BaseModel):
    """The whole file. `valid`: on how many sessions a signal is decided upon, its own included · `kept`: for how many
    sessions signals and decisions stay in their tables · `benchmark`: the index that signals are measured against."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Policy = Policy.PRIORITY
    valid: int = Field(1, ge=1, le=60)
    kept: int = Field(500, ge=20, le=10_000)
    benchmark: str = Field("000300.SH", pattern=r"^[0-9A-Z]{6}\.[A-Z]{2,3}$")
    strategies: dict[str, OfStrategy] = Field(default_factory=dict)
    portfolio: OfPortfolio = OfPortfolio()
    risk: Thresholds = Thresholds()

    def priority(self, strategy: str) -> int:
        return self.strategies.get(strategy, OfStrategy()).priority

    def validity(self, strategy: str) -> int:
        """In sessions, the signal's own included."""
        return self.strategies.get(strategy, OfStrategy()).valid or self.valid


def load(known: Iterable[str], path: Path | None = None) -> Rules:
    """The rules of the project. ConfigurationError, a sentence, when the file cannot be used, or ranks a strategy that is not
    among those `known`."""
    if path is None:
        folder = found.folder if (found := project.found()) is not None else Path()
        path = folder / FILE
        if not path.is_file():
            return Rules()
    try:
        rules = Rules(**read_toml(path, say("the rules of signals")))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise ConfigurationError(
            say("{path}, {where}: {problem}", path=path, where=where, problem=first_problem(error))
        ) from None
    names = sorted(known)
    if unknown := [name for name in rules.strategies if name not in names]:
        raise ConfigurationError(
            say(
                "{path}: there is no strategy {name!r}; strategies are {names}",
                path=path,
                name=unknown[0],
                names=", ".join(names),
            )
        )
    return rules
