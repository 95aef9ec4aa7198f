"""Loading a program: of what is made then nearly all lives as long as the process, and none is garbage."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from types import ModuleType
from typing import Any

_NEW = 50_000
"""So many new objects let Python look for garbage again, not 700: a session's answer alone is 5,300 lists, all alive."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Python looks for no garbage within the block, never again among what it made, and less often from then on: with Dagster
    a sixth of the time of loading went into that search, and of a first `run` twelve seconds."""
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(_NEW)
        if collected:
            gc.enable()


def only_looking() -> None:
    """For a command that shows something small and ends: no garbage is looked for, and polars, which many modules name and
    such a command hardly uses, is loaded when something of it is."""
    gc.disable()
    load_when_used("polars")


def load_when_used(*names: str) -> None:
    """These modules are loaded when something of them is used, by whichever thread; their import alone costs nothing."""
    for name in names:
        if name not in sys.modules:
            sys.modules[name] = _Unloaded(name)


class _Unloaded(ModuleType):
    """Stands for a module in those that import it, until one of them uses it. (The standard library's LazyLoader loads at the
    second import.)"""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = find_spec(name)

    def __getattr__(self, name: str) -> Any:
        with _ONE_AT_A_TIME:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        self.__dict__[name] = found = getattr(import_module(self.__name__), name)
        return found


_ONE_AT_A_TIME = Lock()
