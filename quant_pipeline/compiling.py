"""Loops compiled by numba: only when they are first called, and once per machine.

numba is slow to import (0.7 s) and to compile (a second for each function), so neither happens before there is work for it,
and what was compiled is kept on disk for the processes to come.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from quant_pipeline.settings import SettingsError, load

_VARIABLE = "NUMBA_CACHE_DIR"


@functools.cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled at its first call with each set of types (arrays, whole numbers, floats).

    Only module-level functions; what they call must be compiled itself, or of what numba knows.
    """
    return _numba().njit(cache=_folder() is not None, nogil=True, error_model="numpy")(function)  # type: ignore[no-any-return]


def compiled_when_called(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `compiled`, for a decorator: importing its module costs no numba. Compiled functions cannot call it."""

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        return compiled(function)(*arguments)

    return call


def at_hand() -> bool:
    """Whether this process has paid for numba already."""
    return "numba" in sys.modules


@functools.cache
def _numba() -> Any:
    if (folder := _folder()) is not None:
        os.environ[_VARIABLE] = str(folder)  # for the processes that this one starts, too
    import numba

    return numba


@functools.cache
def _folder() -> Path | None:
    """Where compiled code is kept: NUMBA_CACHE_DIR, the user's cache, else the home; None where nothing can be written."""
    if named := os.environ.get(_VARIABLE):
        return Path(named)
    return next((folder for folder in _candidates() if _writable(folder)), None)


def _candidates() -> list[Path]:
    folders = [user_cache_path("quant_pipeline") / "numba"]
    with contextlib.suppress(SettingsError):
        folders.append(load().home / "cache" / "numba")
    return folders


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
