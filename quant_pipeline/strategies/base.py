"""The base of every strategy."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import polars as pl
import pydantic

from quant_pipeline.language import say
from quant_pipeline.strategies.indicators.offsets import counted_once
from quant_pipeline.strategies.panel import BARS, IN_UNIVERSE, Needs, Sight
from quant_pipeline.wrong_values import problems

_KEY = ("ts_code", "trade_date")
_MARKS = ("buy", "sell")


class StrategyError(ValueError):
    """Parameters, bars or a strategy's own answer with which nobody can work; the text says what to do."""


class StrategyParameters(pydantic.BaseModel):
    """The base of a strategy's parameters: fields with a type, a default, bounds and a description (English. 中文)."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class Strategy(ABC):
    """A rule that says, bar by bar, when to buy and when to sell.

    A strategy names itself, describes its parameters (a pydantic model; the descriptions are shown in the launchpad), says
    which columns it `needs` and how many bars it must see before its numbers are those of the whole history (`lookback`),
    and computes `signals`: a pure function of the panel, a frame that many strategies share, to marks, scores and figures.
    """

    name: ClassVar[str]
    """Short Latin name: the screen's asset is screen_<name>."""
    zh: ClassVar[str]
    en: ClassVar[str] = ""
    """What it is called in English; by default its `name`."""
    doc: ClassVar[str]
    Parameters: ClassVar[type[pydantic.BaseModel]] = StrategyParameters
    """None, by default."""
    needs: ClassVar[Needs] = {"daily_kline": BARS}
    """Data set -> the columns that `signals` reads of it: see `panel`, which tells how they are called there."""
    compares: ClassVar[bool] = False
    """Whether a row's marks depend on the other codes of its session (a rank over the market): then a panel of some codes
    alone gives other marks."""

    def __init__(self, parameters: pydantic.BaseModel | None = None) -> None:
        self.parameters: Any = parameters if parameters is not None else self.Parameters()

    @classmethod
    def with_parameters(cls, values: Mapping[str, Any]) -> Self:
        """The strategy with these parameters; StrategyError says which one cannot be used, and why."""
        known = cls.Parameters.model_fields
        if unknown := [name for name in values if name not in known]:
            raise StrategyError(
                say(
                    "{strategy} has no parameter {unknown}; it has {known}",
                    strategy=cls.name,
                    unknown=", ".join(unknown),
                    known=", ".join(known) or "–",
                )
            )
        try:
            return cls(cls.Parameters(**values))
        except pydantic.ValidationError as error:
            raise StrategyError(f"{cls.name}: {problems(error, cls.name)}") from None

    @property
    @abstractmethod
    def lookback(self) -> int:
        """Its warm-up: how many of a code's own bars it must see before a bar, for that bar's numbers to be those of the
        code's whole history to 1e-6 of their size."""

    @property
    def shallower(self) -> Mapping[str, int]:
        """Column -> how many of those bars it looks at of that column, where that is fewer. None by default."""
        return {}

    @property
    def sight(self) -> Sight:
        """What it looks at."""
        return Sight.of(self.needs, self.lookback, self.shallower)

    @abstractmethod
    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        """Per bar: ts_code, trade_date, buy and sell (booleans), score (higher is better), and the indicator columns. Without
        `sell` it never says so, without `score` all are equal.

        `bars`: a panel (see `panel`): adjusted, sorted by ts_code and trade_date, of any number of codes; a suspended code
        has no bar, so every window counts a code's own bars. No row of the result may depend on a later bar; nor on another
        code, unless the strategy says that it `compares`.
        """

    def marks(self, bars: pl.DataFrame) -> pl.DataFrame:
        """`signals` without the indicator columns, which a backtest does not look at, of a strategy that has a shorter way."""
        return self.signals(bars)

    def picks(self, bars: pl.DataFrame, sessions: Sequence[dt.date]) -> pl.DataFrame:
        """`signals` of the bars of these sessions, as far as a screen shows it, of a strategy that has a shorter way; other
        rows do no harm."""
        del sessions
        return self.signals(bars)

    @property
    def figures(self) -> Sequence[str]:
        """The indicator columns of `signals` that explain a hit. None by default."""
        return ()

    @property
    def lines(self) -> Sequence[str]:
        """The columns of `signals` that are prices: charts draw them over the bars. None by default."""
        return ()

    @property
    def left_out(self) -> Mapping[str, str]:
        """Codes that the last call of `signals` could not judge, and why: they have no marks, which is no "no"."""
        return {}

    @property
    def headings(self) -> Mapping[str, str]:
        """What columns of `signals` are called where people read them; a column that is not named keeps its own name."""
        return {}

    def judged(self, bars: pl.DataFrame) -> pl.DataFrame:
        """`signals` of the panel, looked at: the same columns, in which a mark that is null is none.

        StrategyError, a sentence about the strategy, where it raised, or gave what is no answer.
        """
        return self._judged(self.signals, bars, (*self.figures, *self.lines))

    def _judged(
        self, judge: Callable[[pl.DataFrame], pl.DataFrame], bars: pl.DataFrame, columns: Sequence[str]
    ) -> pl.DataFrame:
        """What `judge` finds, looked at; with these columns, besides the marks."""
        try:
            with counted_once():
                found = judge(bars)
        except StrategyError:
            raise
        except Exception as error:  # whatever somebody's rule does with the bars
            if missing := sorted({column for columns in self.needs.values() for column in columns} - set(bars.columns)):
                raise StrategyError(
                    say("{strategy}: the bars lack {columns}, which it needs", strategy=self.name, columns=", ".join(missing))
                ) from error
            raise StrategyError(
                say("{strategy}: it failed on these bars ({why}): mend its file", strategy=self.name, why=_why(error))
            ) from error
        if isinstance(found, pl.DataFrame):
            absent = {"sell": pl.lit(False), "score": pl.lit(None, pl.Float64)}
            found = found.with_columns(**{name: value for name, value in absent.items() if name not in found.columns})
        self._look_at(found, bars, columns)
        return found.with_columns(pl.col(_MARKS).fill_null(False))

    def _look_at(self, found: Any, bars: pl.DataFrame, columns: Sequence[str]) -> None:
        if not isinstance(found, pl.DataFrame):
            raise StrategyError(say("{strategy}: signals() must return a polars DataFrame", strategy=self.name))
        wanted = (*_KEY, "buy", *columns)
        if missing := [name for name in dict.fromkeys(wanted) if name not in found.columns]:
            raise StrategyError(
                say(
                    "{strategy}: signals() lacks {missing}; it must return {wanted}",
                    strategy=self.name,
                    missing=", ".join(missing),
                    wanted=", ".join(dict.fromkeys(wanted)),
                )
            )
        if wrong := [name for name in _MARKS if found.schema[name] not in (pl.Boolean, pl.Null)]:
            raise StrategyError(
                say("{strategy}: {columns} of signals() must be true or false", strategy=self.name, columns=", ".join(wrong))
            )
        if not (found.schema["score"].is_numeric() or found.schema["score"] == pl.Null):
            raise StrategyError(say("{strategy}: score of signals() must be a number", strategy=self.name))
        if found.height > bars.height:
            raise StrategyError(
                say(
                    "{strategy}: signals() has {rows} rows for {bars} bars; it must have one per bar",
                    strategy=self.name,
                    rows=found.height,
                    bars=bars.height,
                )
            )

    def decisions(self, bars: pl.DataFrame) -> pl.DataFrame:
        """What a backtest follows, per bar: ts_code, trade_date, signal (1 buy, -1 sell, 0 neither, or both at once), score
        (higher goes first; null: last). A bar outside the universe (see `panel`) is never bought."""
        signal = pl.col("buy").cast(pl.Int8) - pl.col("sell").cast(pl.Int8)
        found = self._within(self._judged(self.marks, bars, ()), bars)
        return found.select(*_KEY, signal.alias("signal"), pl.col("score").cast(pl.Float64))

    def hits(self, judged: pl.DataFrame) -> pl.DataFrame:
        """The rows of `judged` that a screen shows: those to buy."""
        return judged.filter("buy")

    def screen(self, bars: pl.DataFrame, sessions: Sequence[dt.date]) -> pl.DataFrame:
        """The hits of these sessions: ts_code, trade_date, score, figures (JSON text)."""
        shown = pl.col("trade_date").is_in(list(sessions))
        judged = self._judged(lambda given: self.picks(given, sessions), bars, (*self.figures, *self.lines)).filter(shown)
        found = self.hits(self._within(judged, bars))
        rounded = [pl.col(name).round(4) if found.schema[name].is_float() else pl.col(name) for name in self.figures]
        figures = pl.struct(rounded).struct.json_encode() if rounded else pl.lit("{}")
        return found.select(*_KEY, pl.col("score").cast(pl.Float64), figures.alias("figures"))

    def reason(self, figures: Mapping[str, Any]) -> str:
        """Why a hit is one, in Chinese: its name and the figures of the hit."""
        told = " · ".join(f"{self.headings.get(name, name)} {_written(value)}" for name, value in figures.items())
        return f"{self.zh}：{told}" if told else self.zh

    @staticmethod
    def _within(judged: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
        """Without buys outside the universe, where the panel has one."""
        if IN_UNIVERSE not in bars.columns:
            return judged
        within = bars.select(*_KEY, IN_UNIVERSE)
        return judged.join(within, on=_KEY, how="left", maintain_order="left").with_columns(
            buy=pl.col("buy") & pl.col(IN_UNIVERSE).fill_null(False)
        )


def _why(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _written(value: Any) -> str:
    return "–" if value is None else f"{value:,.2f}" if isinstance(value, float) else str(value)
