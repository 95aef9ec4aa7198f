"""Where each code's rows begin: counted once for all kernels that look at the same bars."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_scopes = 0
_turn = threading.Lock()
_known: dict[tuple[int, int, int], tuple[Any, npt.NDArray[np.int64]]] = {}
"""Where a column lies in memory -> the column, which keeps that memory from being given to another one, and its offsets."""


@contextmanager
def counted_once() -> Iterator[None]:
    """While it lasts, what is known of a column is kept, and the column with it.

    A strategy asks for a dozen windows of one panel: to compare two million texts for each took longer than the windows.
    """
    global _scopes
    with _turn:
        _scopes += 1
    try:
        yield
    finally:
        with _turn:
            _scopes -= 1
            if not _scopes:
                _known.clear()


def offsets_of(codes: pl.Series) -> npt.NDArray[np.int64]:
    """Where each code's rows begin, and the end of the last. A code's rows stand together."""
    if not _scopes or codes.n_chunks() > 1 or codes.is_empty():
        return _counted(codes)
    column = codes.to_arrow(compat_level=pl.CompatLevel.newest())  # the same memory, not a copy
    place = (column.buffers()[1].address, column.offset, len(column))
    if (known := _known.get(place)) is None:
        known = _known[place] = column, _counted(codes)
    return known[1]


def _counted(codes: pl.Series) -> npt.NDArray[np.int64]:
    import numpy as np  # a tenth of a second of every process that only declares strategies

    if codes.is_empty():
        return np.zeros(1, np.int64)
    begins = (codes != codes.shift(1)).fill_null(True).arg_true().to_numpy()
    return np.append(begins, codes.len()).astype(np.int64)
