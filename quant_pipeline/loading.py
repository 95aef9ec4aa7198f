"""Loading a program: of what is made then nearly all lives as long as the process, and none is garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Python looks for no garbage within the block, and never again among what it made: with Dagster a sixth of the time of
    loading goes into that search."""
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collected:
            gc.enable()
