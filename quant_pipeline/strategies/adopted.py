"""Strategies of another shape, taken as they are: a class that says who it is, and marks one stock's bars in pandas.

    class MyStrategy:
        @classmethod
        def get_identifier(cls): return "my_strategy"
        @classmethod
        def get_name(cls): return "我的策略"
        @classmethod
        def get_description(cls): return "…"
        @classmethod
        def get_parameters(cls): return {"window": {"type": int, "default": 20, "description": "…"}}
        def generate_signals(self, data): …  # the frame, or one of its index, with a column signal: 1 buy, -1 sell, 0 neither

`data`: one stock's adjusted bars, oldest first; its index is of days, its columns are ts_code, trade_date, open, high, low,
close, pre_close, change, pct_chg [%], vol and volume [手, the same], amount [千元]. The parameters reach the class as what its
`__init__` (or `generate_signals`) takes: by their names, as one dictionary, or as attributes of the instance.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import keyword
import logging
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl
import pydantic

from quant_pipeline.language import say
from quant_pipeline.strategies.base import Strategy, StrategyError, StrategyParameters
from quant_pipeline.strategies.panel import Needs

if TYPE_CHECKING:
    import pandas as pd

_logger = logging.getLogger(__name__)
_COLUMNS = ("open", "high", "low", "close", "pre_close", "change", "pct_chg", "vol", "amount")
_TYPES: Mapping[str, type] = {"int": int, "float": float, "str": str, "bool": bool}
_WHOLE = ("parameters", "params", "config")
"""What an argument is called that takes all parameters as one dictionary."""
_LOOKBACK = 330
"""Bars that one sees which does not say how many it needs (`lookback`): enough for RSI24, the slowest that people use."""
_MARKS = (-1, 0, 1)


class Adopted(Strategy):
    """What a class of the other shape becomes; see `adopted`."""

    original: ClassVar[type]
    needs: ClassVar[Needs] = {"daily_kline": _COLUMNS}

    def __init__(self, parameters: pydantic.BaseModel | None = None) -> None:
        super().__init__(parameters)
        self._left_out: dict[str, str] = {}

    @property
    def left_out(self) -> Mapping[str, str]:
        return self._left_out

    @property
    def lookback(self) -> int:
        return int(getattr(self.original, "lookback", _LOOKBACK))

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        mark = self._marking()
        whole = bars.select("ts_code", "trade_date", *_COLUMNS).with_columns(
            pl.col("trade_date").cast(pl.Datetime("us")), volume="vol"
        )
        everything = whole.to_pandas()
        self._left_out, found, begins = {}, [], _begins(bars["ts_code"])
        for first, last in itertools.pairwise(begins):
            of_one = everything.iloc[first:last]
            data = of_one.set_index(of_one["trade_date"].rename(None))
            code = str(data["ts_code"].iloc[0])
            try:
                found += self._marks(mark(data.copy()), data, code)
            except StrategyError:
                raise
            except Exception as error:  # one stock's bars are no reason to lose the others
                self._left_out[code] = str(error).splitlines()[0] if str(error) else type(error).__name__
                found += [0] * len(data)
        self._tell(stocks=len(begins) - 1)
        marks = pl.Series(found, dtype=pl.Int8)
        return bars.select("ts_code", "trade_date").with_columns(buy=marks == 1, sell=marks == -1)

    def _marks(self, answer: Any, data: pd.DataFrame, code: str) -> list[int]:
        """The marks of one stock's bars; StrategyError where the answer is none: it would be none for every stock."""
        import pandas as pd

        if not isinstance(answer, pd.DataFrame) or "signal" not in answer.columns:
            given = ", ".join(map(str, answer.columns)) if isinstance(answer, pd.DataFrame) else type(answer).__name__
            raise StrategyError(
                say(
                    "{strategy}: generate_signals must return the frame with a column signal (1 buy, -1 sell, 0 neither); "
                    "for {code} it gave {given}",
                    strategy=self.name,
                    code=code,
                    given=given,
                )
            )
        if not answer.index.isin(data.index).all() or not answer.index.is_unique:
            raise StrategyError(
                say(
                    "{strategy}: the rows of generate_signals must have the index of the bars; those for {code} have another",
                    strategy=self.name,
                    code=code,
                )
            )
        signal = pd.to_numeric(answer["signal"], errors="coerce").reindex(data.index).fillna(0)
        if wrong := [value for value in signal.unique() if value not in _MARKS]:
            raise StrategyError(
                say(
                    "{strategy}: signal must be 1, 0 or -1; for {code} it is also {value}",
                    strategy=self.name,
                    code=code,
                    value=f"{wrong[0]:g}",
                )
            )
        return [int(value) for value in signal]

    def _marking(self) -> Callable[[pd.DataFrame], Any]:
        """The original's function, with the parameters where it takes them."""
        given = self.parameters.model_dump()
        made = _with(self.original, given)
        for name, value in given.items():
            if not hasattr(made, name):
                setattr(made, name, value)
        function = made.generate_signals
        taken = _taken(function, given, skip=1)
        return lambda data: function(data, **taken)

    def _tell(self, *, stocks: int) -> None:
        if not self.left_out:
            return
        code, why = next(iter(self.left_out.items()))
        if len(self.left_out) == stocks:
            raise StrategyError(
                say(
                    "{strategy}: generate_signals failed on every stock; on {code}: {why}",
                    strategy=self.name,
                    code=code,
                    why=why,
                )
            )
        told = "%s failed on %d of %d stocks, which have no signals; on %s: %s"
        _logger.warning(told, self.name, len(self.left_out), stocks, code, why)


def is_of_the_other_shape(candidate: object) -> bool:
    """Whether it is a class of that shape, and no base of such classes."""
    if not inspect.isclass(candidate) or issubclass(candidate, Strategy) or inspect.isabstract(candidate):
        return False
    if not all(callable(getattr(candidate, name, None)) for name in ("get_identifier", "generate_signals")):
        return False
    try:
        return bool(candidate.get_identifier())  # type: ignore[attr-defined]
    except NotImplementedError:
        return False


@functools.cache
def adopted(original: type) -> type[Strategy]:
    """A strategy of ours that marks as the class does. StrategyError where it does not say who it is."""

    def said(method: str, otherwise: str) -> str:
        found = getattr(original, method, None)
        return str(found()) if callable(found) else otherwise

    identifier = said("get_identifier", "")
    described = said("get_description", "") or identifier
    return type(
        original.__name__,
        (Adopted,),
        {
            "original": original,
            "name": identifier,
            "zh": said("get_name", identifier),
            "doc": described,
            "Parameters": _model(original, identifier),
            "__doc__": described,
            "__module__": original.__module__,
        },
    )


def _model(original: type, identifier: str) -> type[StrategyParameters]:
    """get_parameters() as fields: name -> type, default, description; min and max where they are said."""
    said: Any = getattr(original, "get_parameters", dict)()
    fields: dict[str, Any] = {}
    for name, told in dict(said or {}).items():
        about = told if isinstance(told, Mapping) else {"default": told}
        if "default" not in about or not str(name).isidentifier() or keyword.iskeyword(str(name)):
            raise StrategyError(
                say(
                    "{strategy}: get_parameters must say the default of each parameter; of {name} it does not",
                    strategy=identifier,
                    name=name,
                )
            )
        kind = about.get("type", type(about["default"]))
        kind = kind if inspect.isclass(kind) else _TYPES.get(str(kind), type(about["default"]))
        bounds = {bound: about[key] for key, bound in (("min", "ge"), ("max", "le")) if _is_number(about.get(key))}
        fields[str(name)] = (kind, pydantic.Field(about["default"], description=str(about.get("description", "")), **bounds))
    return pydantic.create_model(f"{original.__name__}Parameters", __base__=StrategyParameters, **fields)


def _with(original: type, given: Mapping[str, Any]) -> Any:
    return original(**_taken(original, given))


def _taken(function: Callable[..., Any], given: Mapping[str, Any], *, skip: int = 0) -> dict[str, Any]:
    """Those of the parameters that a call takes: by name, or all of them as one dictionary."""
    try:
        arguments = list(inspect.signature(function).parameters.values())[skip:]
    except ValueError:  # a class without an __init__ of its own
        return {}
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in arguments):
        return dict(given)
    names = {each.name for each in arguments}
    by_name = {name: value for name, value in given.items() if name in names}
    whole = next((name for name in _WHOLE if name in names and name not in given), None)
    return by_name | ({whole: dict(given)} if whole else {})


def _begins(codes: pl.Series) -> list[int]:
    """Where each code's rows begin, and the end."""
    if codes.is_empty():
        return [0]
    return [*(codes != codes.shift(1)).fill_null(True).arg_true().to_list(), codes.len()]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
