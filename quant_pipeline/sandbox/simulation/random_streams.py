"""Random streams: every draw belongs to (seed, purpose, year), so that nothing depends on what was asked before."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is drawn for."""

    REGISTER = 1
    NAMES = 2
    RETURNS = 3
    EVENTS = 4
    BARS = 5
    FUNDAMENTALS = 6
    AUCTIONS = 7
    THS_BOARDS = 8
    THS_HOT = 9
    INDEXES = 10
    FUNDS = 11
    BONDS = 12


def stream(seed: int, purpose: Purpose, year: int = 0) -> np.random.Generator:
    """The generator of that purpose and year."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, purpose, year])))
