"""Kernels over polars columns: a code's bars after the other's, compiled where it pays, none as null."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from quant_pipeline.compiling import at_hand, compiled
from quant_pipeline.strategies.indicators import kernels
from quant_pipeline.strategies.indicators.offsets import offsets_of
from quant_pipeline.strategies.indicators.work import Work

Floats: TypeAlias = npt.NDArray[np.float64]

_FEW, _FEW_AT_HAND = 200_000, 4_000
"""Bars that Python's own loops take in the time in which numba is loaded, or called once it is."""
_BLOCK = 16_384
"""Bars of one pass over all kernels: inputs and outputs of so many stay in the processor's cache."""


@dataclass
class Buffers:
    """Memory for results that is used again: the first touch of fresh memory costs more than the arithmetic.

    A frame made with buffers is overwritten by the next one made with them.
    """

    _values: dict[int, Floats] = field(default_factory=dict)
    _bits: dict[int, npt.NDArray[np.uint8]] = field(default_factory=dict)

    def values(self, place: int, length: int) -> Floats:
        if (known := self._values.get(place)) is None or known.size < length:
            known = self._values[place] = np.empty(length)
        return known[:length]

    def bits(self, place: int, length: int) -> npt.NDArray[np.uint8]:
        if (known := self._bits.get(place)) is None or known.size < length:
            known = self._bits[place] = np.empty(length, np.uint8)
        return known[:length]


def run(
    codes: pl.Series, columns: dict[str, pl.Series], work: Sequence[Work], buffers: Buffers | None = None
) -> list[pl.Series]:
    """The columns that the kernels write, in order; NaN is null.

    `codes`: whose bar each row is; a code's rows stand together, oldest first · `columns`: what the work names as inputs.
    """
    few = _FEW_AT_HAND if at_hand() else _FEW
    if codes.len() * len(work) <= few:
        return _interpreted(codes, columns, work)
    offsets = offsets_of(codes)
    inputs = {name: _floats(values) for name, values in columns.items()}
    memory, length, places = buffers or Buffers(), codes.len(), itertools.count()
    tasks = [(compiled(each.kernel), each, [memory.values(next(places), length) for _ in range(each.outputs)]) for each in work]
    holed = {name for name, values in inputs.items() if math.isnan(float(values.sum()))}
    written = [(out, each.holed or not holed.isdisjoint(each.inputs)) for _, each, outs in tasks for out in outs]
    bits = [memory.bits(place, length // 8 + 1) for place in range(len(written))]
    for there in bits:
        there.fill(255)
    mark_none = compiled(kernels.mark_none)
    for block in _blocks(offsets):
        for kernel, each, outs in tasks:
            kernel(block, *(inputs[name] for name in each.inputs), *each.parameters, *outs)
        for (out, everywhere), there in zip(written, bits, strict=True):
            mark_none(block, out, there, everywhere)
    return [_series(out, there) for (out, _), there in zip(written, bits, strict=True)]


def _interpreted(codes: pl.Series, columns: Mapping[str, pl.Series], work: Sequence[Work]) -> list[pl.Series]:
    offsets = offsets_of(codes).tolist()
    inputs = {name: _floats(values).data for name, values in columns.items()}  # numbers are read faster than of arrays
    found: list[pl.Series] = []
    for each in work:
        outs = [np.empty(codes.len()) for _ in range(each.outputs)]
        each.kernel(offsets, *(inputs[name] for name in each.inputs), *each.parameters, *(out.data for out in outs))
        found += [pl.Series(out).fill_nan(None) for out in outs]
    return found


def _floats(values: pl.Series) -> Floats:
    """As the kernels take them; null as NaN. Without a copy where it is floats without nulls already."""
    plain = values if values.dtype == pl.Float64 else values.cast(pl.Float64)
    found = (plain if plain.null_count() == 0 else plain.fill_null(float("nan"))).to_numpy()
    return np.ascontiguousarray(found)


def _blocks(offsets: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """The offsets of some codes at a time."""
    first = 0
    while first < offsets.size - 1:
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + _BLOCK, side="right")) - 1)
        yield offsets[first : last + 1]
        first = last


def _series(values: Floats, there: npt.NDArray[np.uint8]) -> pl.Series:
    """The array as a column, without a copy."""
    import pyarrow as pa

    buffers: list[Any] = [pa.py_buffer(there), pa.py_buffer(values)]
    found = pl.from_arrow(pa.Array.from_buffers(pa.float64(), values.size, buffers))
    assert isinstance(found, pl.Series)
    return found
