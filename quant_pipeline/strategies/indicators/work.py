"""What is to be run over the bars; apart from `running`, which loads numpy: strategies are declared in every process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """One kernel to be run (see `kernels`), its inputs, its parameters, and how many columns it writes.

    `holed`: it may find nothing in the middle of a code's bars, too; others only at their beginning, unless inputs lack.
    """

    kernel: Callable[..., None]
    inputs: tuple[str, ...]
    parameters: tuple[float, ...]
    outputs: int = 1
    holed: bool = False
