"""A Dagster data platform for China A-shares.

In a notebook: `import quant_pipeline as qp`, then `qp.bars("600000.SH")`, `qp.read("daily_basic")`, `qp.sql("SELECT …")`,
`qp.panel("close")`, `qp.screen("dual_ma")`, `qp.screens()`, `qp.backtest("dual_ma")`, `qp.watchlist("core")`,
`qp.indicators.add(bars, "MA5 MACD")`. Each is loaded when it is first named, so that the import alone costs nothing.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from quant_pipeline import loopback

if TYPE_CHECKING:
    from quant_pipeline.notebook import indicators
    from quant_pipeline.notebook.backtests import backtest
    from quant_pipeline.notebook.errors import LateBeginning, NothingStored, QueryError
    from quant_pipeline.notebook.klines import bars, panel
    from quant_pipeline.notebook.screens import screen, screens
    from quant_pipeline.notebook.tables import read, sql
    from quant_pipeline.notebook.watchlists import watchlist

__version__ = "0.1.0"
__all__ = [
    "LateBeginning",
    "NothingStored",
    "QueryError",
    "backtest",
    "bars",
    "indicators",
    "panel",
    "read",
    "screen",
    "screens",
    "sql",
    "watchlist",
]

_PLACES = {
    "LateBeginning": "quant_pipeline.notebook.errors",
    "NothingStored": "quant_pipeline.notebook.errors",
    "QueryError": "quant_pipeline.notebook.errors",
    "bars": "quant_pipeline.notebook.klines",
    "panel": "quant_pipeline.notebook.klines",
    "read": "quant_pipeline.notebook.tables",
    "screen": "quant_pipeline.notebook.screens",
    "screens": "quant_pipeline.notebook.screens",
    "sql": "quant_pipeline.notebook.tables",
    "watchlist": "quant_pipeline.notebook.watchlists",
}


def __getattr__(name: str) -> Any:
    """What a notebook names, loaded now."""
    from importlib import import_module

    if name == "indicators":
        return import_module("quant_pipeline.notebook.indicators")
    if name == "backtest":
        return import_module("quant_pipeline.backtest")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Room(ModuleType):
    """The room `backtest`: a package as any other, which can also be called."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """See quant_pipeline.notebook.backtests.backtest."""
        from quant_pipeline.notebook.backtests import backtest

        return backtest(*arguments, **named)


class _Package(ModuleType):
    """This package. Python binds the room `backtest` to its name here as soon as anybody imports it: so it is the room itself
    that is called as `qp.backtest(…)`."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "backtest" and isinstance(value, ModuleType):
            value.__class__ = _Room
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
loopback.without_proxy()
