"""The base of every strategy."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import polars as pl
import pydantic


class StrategyError(ValueError):
    """Parameters or bars with which a strategy cannot work."""


class Strategy(ABC):
    """A rule that says, bar by bar, when to buy and when to sell.

    A strategy names itself, describes its parameters (a pydantic model; the descriptions are shown in the launchpad), and
    computes `signals`. Bars are adjusted daily bars: a suspended code has no bar, so every window counts a code's own bars.
    """

    name: ClassVar[str]
    """Short Latin name: the screen's asset is screen_<name>."""
    zh: ClassVar[str]
    doc: ClassVar[str]
    Parameters: ClassVar[type[pydantic.BaseModel]]

    def __init__(self, parameters: pydantic.BaseModel | None = None) -> None:
        self.parameters: Any = parameters if parameters is not None else self.Parameters()

    @classmethod
    def with_parameters(cls, values: Mapping[str, Any]) -> Self:
        """The strategy with these parameters; StrategyError says which one cannot be used, and why."""
        try:
            return cls(cls.Parameters(**values))
        except pydantic.ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, each['loc'])) or cls.name}: {each['msg']}" for each in error.errors())
            raise StrategyError(f"{cls.name}: {problems}") from None

    @property
    @abstractmethod
    def lookback(self) -> int:
        """How many of a code's own bars, before the screened one, it must see."""

    @abstractmethod
    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        """Per bar: ts_code, trade_date, buy, sell (booleans), score (higher is better), and the indicator columns.

        `bars`: adjusted, sorted by ts_code and trade_date, of any number of codes. No row of the result may depend on a
        later bar, or on another code.
        """

    @property
    @abstractmethod
    def figures(self) -> Sequence[str]:
        """The indicator columns of `signals` that explain a hit."""

    @property
    def lines(self) -> Sequence[str]:
        """The columns of `signals` that are prices: charts draw them over the bars. None by default."""
        return ()

    @property
    def headings(self) -> Mapping[str, str]:
        """What columns of `signals` are called where people read them; a column that is not named keeps its own name."""
        return {}

    def screen(self, bars: pl.DataFrame, sessions: Sequence[dt.date]) -> pl.DataFrame:
        """The buy signals of these sessions: ts_code, trade_date, score, figures (JSON text)."""
        hits = self.signals(bars).filter(pl.col("buy") & pl.col("trade_date").is_in(list(sessions)))
        figures = pl.struct(pl.col(name).round(4) for name in self.figures).struct.json_encode()
        return hits.select("ts_code", "trade_date", "score", figures.alias("figures"))
