"""Sina's packed series: the script that AKShare runs reads back what was written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import py_mini_racer  # type: ignore[import-untyped]
import pytest
from akshare.stock.cons import hk_js_decode
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.servers.web.klc import Bar, packed_bars, packed_sessions

PRICE = st.integers(1, 1_000_000)


@pytest.fixture(scope="module")
def unpack() -> Callable[[str], list[Any]]:
    script = py_mini_racer.MiniRacer()
    script.eval(hk_js_decode)

    def unpacked(text: str) -> list[Any]:
        rows: list[Any] = script.call("d", text)
        return rows

    return unpacked


@st.composite
def series(draw: st.DrawFn) -> list[Bar]:
    """Bars on some weekdays, with gaps, prices to 10,000 元, volumes and amounts to their limits."""
    days = sorted(draw(st.sets(st.sampled_from(xshg().sessions[-400:]), max_size=30)))
    bars = []
    for day in days:
        low, first, last, high = sorted(draw(st.tuples(PRICE, PRICE, PRICE, PRICE)))
        opened, closed = (first, last) if draw(st.booleans()) else (last, first)
        bars.append((day, opened, high, low, closed, draw(st.integers(0, 2 * 10**11)), draw(st.integers(0, 10**13))))
    return bars


@given(bars=series())
@settings(max_examples=40)
def test_bars_are_read_as_written(unpack: Callable[[str], list[Any]], bars: list[Bar]) -> None:
    read = [
        (
            dt.date.fromisoformat(row["date"][:10]),
            *(round(row[name] * 100) for name in ("open", "high", "low", "close")),
            row["volume"],
            row["amount"],
        )
        for row in unpack(packed_bars(bars))
    ]
    assert read == bars


@given(first=st.integers(0, 8_000), count=st.integers(1, 700))
@settings(max_examples=30)
def test_sessions_are_read_as_written(unpack: Callable[[str], list[Any]], first: int, count: int) -> None:
    days = list(xshg().sessions[first : first + count])
    assert [dt.date.fromisoformat(day[:10]) for day in unpack(packed_sessions(days))] == days
