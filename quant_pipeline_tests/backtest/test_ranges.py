"""Ranges of which no bar is stored: what is to be synced, where it can be, or why it cannot."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

import polars as pl
import pytest

from quant_pipeline.backtest.reading import sessions_of
from quant_pipeline.backtest.settings import BacktestError
from quant_pipeline.market.xshg import xshg
from quant_pipeline.warehouse.lake import Snapshot

FIRST, LAST = dt.date(2026, 6, 3), dt.date(2026, 11, 13)


class Stored:
    """Bars from FIRST to LAST, a week before the latest session."""

    def sql(self, query: str) -> pl.DataFrame:
        del query
        return pl.DataFrame({"first": [FIRST], "last": [LAST]})


def asked(start: str | None, end: str | None = None) -> tuple[dt.date, ...]:
    days = (None if each is None else dt.date.fromisoformat(each) for each in (start, end))
    return sessions_of(cast(Snapshot, Stored()), xshg(), *days)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")


def test_a_range_is_cut_to_what_is_stored() -> None:
    assert (asked(None)[0], asked(None)[-1]) == (FIRST, LAST)
    assert asked("2026-11-09", "2026-12-31")[-1] == LAST


@pytest.mark.parametrize(
    ("span", "told"),
    [
        (("2026-11-16",), "--start 2026-11-16 --end 2026-11-20"),
        (("2026-11-16", "2026-11-17"), "--start 2026-11-16 --end 2026-11-17"),
        (("2026-11-16", "2026-12-31"), "--start 2026-11-16 --end 2026-11-20"),
        (("2015-01-01", "2015-12-31"), "--start 2015-01-01 --end 2015-12-31"),
        (("2026-11-21",), "2026-11-21 lies after the latest complete session, 2026-11-20"),
        (("2031-01-02", "2031-02-03"), "2031-01-02 lies after the latest complete session, 2026-11-20"),
        (("2026-10-03", "2026-10-04"), "there is no session from 2026-10-03 to 2026-10-04; the one before is 2026-09-30"),
        (("2026-11-10", "2026-11-02"), "the range ends on 2026-11-02, before it begins on 2026-11-10"),
    ],
)
def test_what_is_not_stored_is_told_with_what_can_be_done(span: tuple[Any, ...], told: str) -> None:
    with pytest.raises(BacktestError, match=told):
        asked(*span)
