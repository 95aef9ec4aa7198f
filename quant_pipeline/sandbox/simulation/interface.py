"""What the servers ask of the market behind them, be it simulated or recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import polars as pl


class ParameterError(ValueError):
    """A parameter that cannot be read; the text is what the caller sees."""


class Market(Protocol):
    """The data behind the protocol: a simulated exchange, or recorded answers."""

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        """The answer of a known API, newest first, as Tushare writes it (dates '20261120', floats, null where absent).

        All of the API's columns; at least the first `rows` rows of the whole answer. ParameterError when a parameter
        cannot be read. Called from one thread at a time.
        """
        ...

    def edition(self) -> str:
        """A mark that changes whenever an answer may change (the clock moved over the time data are ready)."""
        ...
