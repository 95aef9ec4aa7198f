"""The one clock: exchange time, and it can be set."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import pytest

from quant_pipeline.market import clock


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-11-20T18:00", "2026-11-20T18:00:00+08:00"),
        ("2026-11-20T18:00:00+08:00", "2026-11-20T18:00:00+08:00"),
        ("2026-11-20T10:00:00+00:00", "2026-11-20T18:00:00+08:00"),
        ("2026-11-20T18:00:00Z", "2026-11-21T02:00:00+08:00"),
        ("2026-11-20", "2026-11-20T00:00:00+08:00"),
    ],
)
def test_it_is_set_in_exchange_time_or_with_an_offset(monkeypatch: pytest.MonkeyPatch, written: str, moment: str) -> None:
    monkeypatch.setenv(clock.NOW_VARIABLE, written)
    assert clock.now().isoformat() == moment
    assert clock.today().isoformat() == moment[:10]


@pytest.mark.parametrize("unset", [None, ""])
def test_not_set_it_runs_in_shanghai(monkeypatch: pytest.MonkeyPatch, unset: str | None) -> None:
    monkeypatch.delenv(clock.NOW_VARIABLE, raising=False)
    if unset is not None:
        monkeypatch.setenv(clock.NOW_VARIABLE, unset)
    before = dt.datetime.now(dt.UTC)
    now = clock.now()
    assert before <= now <= dt.datetime.now(dt.UTC)
    assert now.utcoffset() == dt.timedelta(hours=8)


def test_what_is_no_moment_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clock.NOW_VARIABLE, "yesterday")
    with pytest.raises(ValueError, match=r"QUANT_NOW='yesterday'.*2026-11-20T18:00"):
        clock.now()


def test_child_processes_live_in_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clock.NOW_VARIABLE, "2030-01-02T03:04")
    asked = [sys.executable, "-c", "from quant_pipeline.market import clock; print(clock.today())"]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == "2030-01-02"
