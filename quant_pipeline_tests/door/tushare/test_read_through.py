"""Read-through: what lacks is fetched once, within the quota, stored and answered; and it is off unless it is asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from quant_pipeline import settings
from quant_pipeline_tests.assets.platform import TOKEN, Platform, exchange, platform
from quant_pipeline_tests.door.served import served
from quant_pipeline_tests.door.tushare.conftest import client

__all__ = ["exchange", "platform"]
DAY, CODE = "20261118", "000043.SZ"


@pytest.fixture(scope="module")
def reading_through(platform: Platform) -> Iterator[Any]:
    """A client of a door over an empty database that may fetch."""
    with served(settings.load().model_copy(update={"read_through": True}), platform.database) as url:
        yield client(f"{url}/dataapi", TOKEN)


def test_it_is_off_by_default(platform: Platform) -> None:
    with (
        served(settings.load(), platform.database) as url,
        pytest.raises(Exception, match="quant-pipeline sync --datasets daily_kline --start 2026-11-18 --end 2026-11-18"),
    ):
        client(f"{url}/dataapi", TOKEN).daily(trade_date=DAY)
    assert platform.asked() == 0


def test_a_session_that_lacks_is_fetched_stored_and_answered_and_not_asked_for_again(
    platform: Platform, reading_through: Any
) -> None:
    rows = reading_through.daily(trade_date=DAY)
    theirs = client(platform.sandbox.tushare_url, TOKEN).daily(trade_date=DAY)
    assert rows.sort_values("ts_code", ignore_index=True).equals(theirs.sort_values("ts_code", ignore_index=True))
    asked = platform.asked("daily")
    assert len(reading_through.daily(trade_date=DAY)) == len(rows)
    assert platform.asked("daily") == asked
    assert platform.rows("SELECT count(*) FROM daily_kline WHERE trade_date = '2026-11-18'") == [(len(rows),)]
    assert platform.rows("SELECT trigger, status FROM sync_runs") == [("read-through", "success")]


def test_a_code_s_range_and_a_list_are_fetched_too(platform: Platform, reading_through: Any) -> None:
    rows = reading_through.adj_factor(ts_code=CODE, start_date="20261109", end_date="20261118")
    assert len(rows) == len(platform.calendar.between(dt.date(2026, 11, 9), dt.date(2026, 11, 18)))
    assert len(reading_through.cb_basic()) > 0


def test_what_would_take_too_many_calls_is_told_and_nothing_is_fetched(platform: Platform, reading_through: Any) -> None:
    before = platform.asked()
    with pytest.raises(Exception, match="即时获取的上限 40"):
        reading_through.stk_limit(start_date="20250106", end_date="20261118")
    assert platform.asked() == before


def test_a_source_that_fails_is_told_in_its_words(platform: Platform, reading_through: Any) -> None:
    platform.sandbox.order_fault("permission", api="stk_auction_o", times=5)
    with pytest.raises(Exception, match="权限"):
        reading_through.stk_auction_o(trade_date=DAY)
