"""When what was bought may be sold, and the sessions that ended early."""

from __future__ import annotations

import datetime as dt

import pytest

from quant_pipeline.market.trading_rules import EARLY_CLOSES, sessions_until_sellable


@pytest.mark.parametrize(
    ("code", "day", "sessions"),
    [
        ("600000.SH", "1992-05-20", 1),
        ("600000.SH", "1992-05-21", 0),
        ("600000.SH", "1994-12-30", 0),
        ("600000.SH", "1995-01-03", 1),
        ("000001.SZ", "1993-10-29", 1),
        ("000001.SZ", "1993-11-01", 0),
        ("000001.SZ", "1995-01-03", 1),
        ("688001.SH", "2024-01-02", 1),
        ("920001.BJ", "2024-01-02", 1),
        ("900901.SH", "2001-11-30", 0),
        ("200002.SZ", "2001-12-03", 1),
        ("113050.SH", "2024-01-02", 0),
        ("127045.SZ", "2001-11-30", 1),
        ("510300.SH", "2024-01-02", 1),
        ("518880.SH", "2024-01-02", 0),
        ("511880.SH", "2015-01-16", 1),
        ("511880.SH", "2015-01-19", 0),
        ("513100.SH", "2024-01-02", 0),
        ("159934.SZ", "2024-01-02", 1),  # gold, but its code does not tell: taken as T+1
        ("303001.SZ", "2024-01-02", 1),
    ],
)
def test_what_was_bought_is_sold_the_next_session_but_for_what_is_known_to_be_free(code: str, day: str, sessions: int) -> None:
    assert sessions_until_sellable(code, dt.date.fromisoformat(day)) == sessions


def test_the_circuit_breaker_ended_two_sessions() -> None:
    assert [early.session for early in EARLY_CLOSES] == [dt.date(2016, 1, 4), dt.date(2016, 1, 7)]
