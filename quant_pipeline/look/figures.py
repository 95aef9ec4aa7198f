"""How figures are written on pages: a missing one is a dash, never a zero."""

from __future__ import annotations

import datetime as dt
import math

MISSING = "–"
_MINUS = "−"
_WEEKDAYS = "一二三四五六日"
_THOUSANDS_IN_YI = 1e5
"""千元 in one 亿元."""


def number(value: float | None, digits: int = 2) -> str:
    """1234.5 as `1,234.50`."""
    return MISSING if _missing(value) else _plain(f"{value:,.{digits}f}")


def count(value: float | None) -> str:
    """1234 as `1,234`."""
    return number(value, 0)


def percent(value: float | None, digits: int = 2) -> str:
    """A percentage with its sign: `+1.23%`, `−0.50%`, `0.00%`."""
    if _missing(value):
        return MISSING
    text = f"{value:,.{digits}f}"
    return _plain(text if float(text.replace(",", "")) <= 0 else f"+{text}") + "%"


def yi(value: float | None, digits: int | None = None) -> str:
    """A turnover in 千元 as 亿元: two digits below 100, none above (or `digits`)."""
    if _missing(value):
        return MISSING
    assert value is not None
    amount = value / _THOUSANDS_IN_YI
    return number(amount, digits if digits is not None else 2 if abs(amount) < 100 else 0)


def day(value: dt.date | None) -> str:
    """`2026-11-20 周五`."""
    return MISSING if value is None else f"{value.isoformat()} 周{_WEEKDAYS[value.weekday()]}"


def moment(value: dt.datetime | None) -> str:
    """`11-20 18:00:05`, in the zone that it has."""
    return MISSING if value is None else f"{value:%m-%d %H:%M:%S}"


def duration(seconds: float | None) -> str:
    """`0.42 s`, `12.3 s`, `4 min 38 s`, `2 h 05 min`."""
    if _missing(seconds):
        return MISSING
    assert seconds is not None
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(count_of_bytes: float | None) -> str:
    """`12.3 MB`, `1.20 GB`."""
    if _missing(count_of_bytes):
        return MISSING
    assert count_of_bytes is not None
    return f"{count_of_bytes / 1e9:.2f} GB" if count_of_bytes >= 1e9 else f"{count_of_bytes / 1e6:.1f} MB"


def tone(value: float | None) -> str:
    """The CSS class of a change: `up` (red), `down` (green) or `flat`."""
    if _missing(value) or not value:
        return "flat"
    return "up" if value > 0 else "down"


def _missing(value: float | None) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _plain(text: str) -> str:
    """With a true minus sign, and no minus before a zero."""
    if text.startswith("-"):
        return text[1:] if not text.strip("-0.,") else _MINUS + text[1:]
    return text
