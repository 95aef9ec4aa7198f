"""Money and prices in whole numbers: ten thousand units a 元, so that sums are exact and a cent is a hundred units.

Every quote (0.01 of shares, 0.001 of funds and bonds) and every average price to four places is a whole number of units;
price x shares is money in the same unit. int64 holds 900 trillion 元.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

UNITS: Final = 10_000
"""Units a 元."""
CENT: Final = 100
"""Units a cent (分)."""
PARTS: Final = 100_000_000
"""Rates, weights and amounts per share are counted in parts of 1e-8."""


def units(yuan: Any) -> Any:
    """元 (a number, or an array) as whole units, int64; NaN is 0."""
    counted = np.rint(np.nan_to_num(np.asarray(yuan, dtype=np.float64)) * UNITS).astype(np.int64)
    return counted if counted.ndim else int(counted)


def parts(rate: Any) -> Any:
    """A rate, a weight, or 元 per share as whole parts of 1e-8, int64; NaN is 0."""
    counted = np.rint(np.nan_to_num(np.asarray(rate, dtype=np.float64)) * PARTS).astype(np.int64)
    return counted if counted.ndim else int(counted)


def yuan(counted: Any) -> Any:
    """Units as 元."""
    return np.asarray(counted) / UNITS
