"""Earnings, book value and sales per share behind daily_basic: made up, steady, and tied to the code's anchor price."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quant_pipeline.sandbox.simulation.random_streams import Purpose, stream
from quant_pipeline.sandbox.simulation.securities import Register

Floats = npt.NDArray[np.float64]

_REPORTS = (80, 160, 200)
"""Rows of a year from which the annual report and the first quarter, the half year, the third quarter are known."""


class Fundamentals:
    """Figures per share in 分, for every code of the register."""

    def __init__(self, seed: int, register: Register) -> None:
        generator = stream(seed, Purpose.FUNDAMENTALS)
        count = len(register)
        self._seed, self._anchor = seed, register.anchor
        self._yield = np.where(generator.random(count) < 0.15, -0.01, 0.025 * generator.lognormal(0.0, 0.6, count))
        self.book = register.anchor * generator.uniform(0.12, 0.9, count)
        self.sales = register.anchor * 0.3 * generator.lognormal(0.0, 0.9, count)

    def annual(self, year: int, row: npt.NDArray[np.int64], code: npt.NDArray[np.int64]) -> Floats:
        """Earnings per share of the last annual report known in that row of the year."""
        figures: Floats = np.where(row < _REPORTS[0], self._earned(year - 2)[code], self._earned(year - 1)[code])
        return figures

    def trailing(self, year: int, row: npt.NDArray[np.int64], code: npt.NDArray[np.int64]) -> Floats:
        """Earnings per share of the last four quarters known."""
        reports = np.searchsorted(_REPORTS, row, side="right")
        older = np.where(reports == 0, self._earned(year - 2)[code], self._earned(year - 1)[code])
        newer = np.where(reports == 0, self._earned(year - 1)[code], self._earned(year)[code])
        weight = np.array([0.75, 0.25, 0.5, 0.75])[reports]
        figures: Floats = older * (1 - weight) + newer * weight
        return figures

    def _earned(self, year: int) -> Floats:
        swing = stream(self._seed, Purpose.FUNDAMENTALS, year).normal(0.0, 0.45, len(self._anchor))
        return self._anchor * self._yield * (1 + swing)
