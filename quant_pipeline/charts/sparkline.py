"""A line no larger than a word."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT = 110, 30
_EDGE = 2


def points(values: Sequence[float]) -> str:
    """The `points` of an SVG polyline through the values, in a box of WIDTH x HEIGHT; empty for fewer than two."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    step, scale = WIDTH / (len(values) - 1), (HEIGHT - 2 * _EDGE) / ((high - low) or 1)
    return " ".join(f"{place * step:.1f},{HEIGHT - _EDGE - (value - low) * scale:.1f}" for place, value in enumerate(values))
