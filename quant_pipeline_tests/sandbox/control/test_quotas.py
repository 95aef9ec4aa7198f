"""Quotas: a strict sliding window, in every window that can be laid over the calls."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_pipeline.sandbox.control.quotas import Per, Quotas, Refusal


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 20), min_size=1, max_size=60), st.integers(1, 6))
def test_no_window_holds_more_than_its_quota(pauses: list[float], calls: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        now = 1_000.0
        patch.setattr(time, "monotonic", lambda: now)
        quotas = Quotas({"*": calls}, minute=30.0)
        accepted: list[float] = []
        for pause in pauses:
            now += pause
            inside = [moment for moment in accepted if moment > now - 30.0]
            refusal = quotas.take("account", "daily")
            assert (refusal is not None) == (len(inside) >= calls)
            if refusal is None:
                accepted.append(now)


def test_hours_and_days_follow_the_minute() -> None:
    with pytest.MonkeyPatch.context() as patch:
        now = 0.0
        patch.setattr(time, "monotonic", lambda: now)
        quotas = Quotas({"daily": 100}, minute=1.0)
        quotas.set("daily", Per.HOUR, 2)
        assert quotas.take("a", "daily") is None
        now = 50.0
        assert quotas.take("a", "daily") is None
        assert quotas.take("a", "daily") == Refusal(Per.HOUR, 2)
        now = 60.5
        assert quotas.take("a", "daily") is None
        assert quotas.take("b", "daily") is None
        assert quotas.take("a", "weekly") is None
