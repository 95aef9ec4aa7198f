"""Which ranges are long enough to be taken to a year where people read of them: a good week is no year of a millionfold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_EXTRAPOLATED: Final = ("annual_return", "calmar", "alpha")
"""The figures that say what the range's result would come to in a year."""


def annualised_from(settings: Mapping[str, Any]) -> int:
    """Half a year, in sessions: the shortest range that is taken to a year. `settings`: the account's, as stored."""
    return -(-int(settings["sessions_a_year"]) // 2)


def readable(figures: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The figures as people are shown them, None where the range is too short. Tables and JSON have all of them."""
    short = figures["sessions"] < annualised_from(settings)
    return {name: None if short and name in _EXTRAPOLATED else value for name, value in figures.items()}
