"""Where each code's rows begin: counted once for all kernels that look at the same bars."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import polars as pl

from quant_pipeline.compiling import at_hand, compiled
from quant_pipeline.strategies.indicators import kernels

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
    if codes.n_chunks() > 1 or codes.is_empty() or codes.dtype != pl.String:
        return _compared(codes)
    column = codes.to_arrow(compat_level=pl.CompatLevel.newest())  # the same memory, not a copy
    if not _scopes:
        return _counted(codes, column)
    place = (column.buffers()[1].address, column.offset, len(column))
    if (known := _known.get(place)) is None:
        known = _known[place] = column, _counted(codes, column)
    return known[1]


def _counted(codes: pl.Series, column: Any) -> npt.NDArray[np.int64]:
    import numpy as np  # a tenth of a second of every process that only declares strategies

    validity, views, *longer = column.buffers()
    if validity is not None or longer or not at_hand():
        return _compared(codes)
    # Arrow keeps a text of up to twelve bytes in sixteen, its length before it: two numbers are compared, not texts.
    numbers = np.frombuffer(views, dtype=np.int64)[2 * column.offset : 2 * (column.offset + len(column))]
    begins = np.empty(len(column) + 1, dtype=np.int64)
    found = compiled(kernels.begins)(numbers, begins)
    begins[found] = len(column)
    return begins[: found + 1].copy()


def _compared(codes: pl.Series) -> npt.NDArray[np.int64]:
    import numpy as np

    if codes.is_empty():
        return np.zeros(1, np.int64)
    begins = (codes != codes.shift(1)).fill_null(True).arg_true().to_numpy()
    return np.append(begins, codes.len()).astype(np.int64)
