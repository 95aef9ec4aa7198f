"""Weeks and months by the exchange's sessions: labels, spans, and the period that is still running."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_pipeline.market.datasets import DAILY_KLINE, MONTHLY_KLINE, WEEKLY_KLINE
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sync.periods import closed_labels, labels_of, span_of

CALENDAR = xshg()
PAST = [day for day in CALENDAR.sessions if dt.date(1991, 1, 1) <= day <= dt.date(2026, 11, 13)]


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-18T18:00")


@given(session=st.sampled_from(PAST), dataset=st.sampled_from([WEEKLY_KLINE, MONTHLY_KLINE]))
def test_every_session_belongs_to_the_span_of_its_label_and_to_no_other(session: dt.date, dataset: object) -> None:
    (label,) = labels_of(dataset, CALENDAR, [session])  # type: ignore[arg-type]
    span = span_of(dataset, CALENDAR, label)  # type: ignore[arg-type]
    assert session in span
    assert span[-1] == label
    assert labels_of(dataset, CALENDAR, span) == (label,)  # type: ignore[arg-type]


def test_the_running_period_is_labelled_with_its_latest_session() -> None:
    days = CALENDAR.between(dt.date(2026, 11, 9), dt.date(2026, 11, 18))
    assert labels_of(WEEKLY_KLINE, CALENDAR, days) == (dt.date(2026, 11, 13), dt.date(2026, 11, 18))
    assert labels_of(MONTHLY_KLINE, CALENDAR, days) == (dt.date(2026, 11, 18),)
    assert labels_of(DAILY_KLINE, CALENDAR, days) == days


def test_a_week_that_ends_on_a_holiday_ends_with_its_last_session() -> None:
    assert labels_of(WEEKLY_KLINE, CALENDAR, [dt.date(2026, 9, 28)]) == (dt.date(2026, 9, 30),)
    assert span_of(WEEKLY_KLINE, CALENDAR, dt.date(2026, 9, 30)) == tuple(dt.date(2026, 9, day) for day in (28, 29, 30))


def test_a_first_of_the_month_that_is_a_session_belongs_to_its_own_month() -> None:
    first, last = dt.date(2026, 9, 1), dt.date(2026, 9, 30)
    assert CALENDAR.is_session(first)
    assert span_of(MONTHLY_KLINE, CALENDAR, last)[0] == first
    assert labels_of(MONTHLY_KLINE, CALENDAR, [dt.date(2026, 8, 31), first]) == (dt.date(2026, 8, 31), last)
    assert closed_labels(MONTHLY_KLINE, CALENDAR, first, last) == (last,)
    assert closed_labels(WEEKLY_KLINE, CALENDAR, first, dt.date(2026, 9, 11)) == (dt.date(2026, 9, 4), dt.date(2026, 9, 11))
    assert closed_labels(DAILY_KLINE, CALENDAR, first, dt.date(2026, 9, 2)) == (first, dt.date(2026, 9, 2))
