"""One calendar: what the exchange published overrules the built-in one in every source, too."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from quant_pipeline.market.datasets import DAILY_KLINE, MONTHLY_KLINE, WEEKLY_KLINE
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.akshare import AkshareSource, kline
from quant_pipeline.sources.baostock import BaostockSource
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sources.tushare_periods import monthly
from quant_pipeline.sources.units import Unit, is_running
from quant_pipeline.warehouse.database import Database

THURSDAY, FRIDAY = dt.date(2026, 11, 19), dt.date(2026, 11, 20)
BEFORE, END_OF_OCTOBER = dt.date(2026, 10, 29), dt.date(2026, 10, 30)
PUBLISHED = xshg().overruled_by({FRIDAY: False, END_OF_OCTOBER: False})
"""The exchange closed at short notice, on a Friday and on what would have been the last session of a month."""


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")


def test_a_week_or_month_ends_with_the_session_that_the_exchange_says() -> None:
    assert [is_running(WEEKLY_KLINE, THURSDAY, calendar) for calendar in (xshg(), PUBLISHED)] == [True, False]
    assert [is_running(MONTHLY_KLINE, BEFORE, calendar) for calendar in (xshg(), PUBLISHED)] == [True, False]


def test_every_source_takes_the_calendar_that_it_is_given(warehouse: Database, limiter: Limiter) -> None:
    for source in (
        TushareSource("t", None, PUBLISHED, limiter, {}),
        BaostockSource(None, None, "u", "p", PUBLISHED, limiter, {}),
        AkshareSource(warehouse, {}, PUBLISHED, limiter, {}),
    ):
        assert source.reaches(WEEKLY_KLINE, Unit.session(THURSDAY)), "that week is over"
    running = Unit.code("000001.SZ", THURSDAY, THURSDAY)
    going = BaostockSource(None, None, "u", "p", xshg(), limiter, {}), AkshareSource(warehouse, {}, xshg(), limiter, {})
    for source in going:
        assert not source.reaches(WEEKLY_KLINE, running), "that week goes on: it is counted, not asked for"
    baostock = BaostockSource(None, None, "u", "p", PUBLISHED, limiter, {})
    assert not baostock.reaches(DAILY_KLINE, Unit.session(FRIDAY)), "there was no such session"
    akshare = AkshareSource(warehouse, {}, PUBLISHED, limiter, {})
    assert akshare.reaches(DAILY_KLINE, Unit.session(THURSDAY)), "the quotations are of the latest session"
    assert not akshare.reaches(DAILY_KLINE, Unit.session(FRIDAY))


def test_labels_and_steps_lie_on_its_sessions() -> None:
    bars = pl.DataFrame({"trade_date": [FRIDAY], "close": [10.0]})
    assert kline.relabelled(WEEKLY_KLINE, bars, PUBLISHED)["trade_date"].to_list() == [THURSDAY]
    steps = pl.DataFrame({"trade_date": [dt.date(2020, 1, 2)], "adj_factor": [1.5]})
    spread = kline.spread(steps, Unit.code("600000.SH", THURSDAY, FRIDAY), PUBLISHED)
    assert spread["trade_date"].to_list() == [dt.date(2026, 11, 18), THURSDAY]
    prices = {"low": ["9.8"], "high": ["10.1"], "close": ["10"], "pre_close": ["9.9"], "pct_chg": ["1.0101"]}
    figures = {**prices, "vol": ["100"], "amount": ["100"]}
    said = pl.DataFrame({"trade_date": ["20261031"], **figures})
    assert monthly(said, PUBLISHED)["trade_date"].to_list() == ["20261029"]
