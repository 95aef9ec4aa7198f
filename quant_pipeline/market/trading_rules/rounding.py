"""Whole numbers divided as money is: half up."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Ints: TypeAlias = "npt.NDArray[np.int64]"
Whole = TypeVar("Whole", int, "Ints")


def half_up(dividend: Whole, divisor: Whole | int) -> Whole:
    """dividend / divisor to the nearest whole number, a tie upwards: 1.5 -> 2, 2.5 -> 3, -1.5 -> -1.

    The divisor is positive; twice the dividend has to fit into 64 bits.
    """
    rounded: Whole = (2 * dividend + divisor) // (2 * divisor)
    return rounded
