"""A quote: its derived figures, its message, and when it is stale."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline_tests.quotes.quotes import MORNING, QUOTE, quote


def test_change_is_against_the_former_close_and_unknown_without_one() -> None:
    assert (QUOTE.change, QUOTE.pct_chg) == (0.5, 5.0)
    assert quote(price=None).change is None
    assert quote(pre_close=None).pct_chg is None


def test_the_message_is_json_with_null_where_unknown() -> None:
    message = json.loads(json.dumps(quote(price=None, exchange_time=None).as_message(MORNING + dt.timedelta(seconds=3))))
    assert message["price"] is None
    assert message["change"] is None
    assert message["exchange_time"] is None
    assert message["bids"] == [[10.49, 1200], [10.48, 300]]
    assert (message["age"], message["stale"], message["source"]) == (2.0, False, "tencent")


@pytest.mark.parametrize(
    ("code", "received", "now", "stale"),
    [
        ("600000.SH", "2026-11-20T10:30:00", "2026-11-20T10:30:15", False),
        ("600000.SH", "2026-11-20T10:30:00", "2026-11-20T10:30:16", True),
        ("600000.SH", "2026-11-20T11:29:58", "2026-11-20T12:59:59", False),  # noon moves nothing
        ("600000.SH", "2026-11-20T11:29:58", "2026-11-20T13:00:20", True),
        ("600000.SH", "2026-11-20T15:00:58", "2026-11-23T09:14:00", False),  # nor does a weekend
        ("600000.SH", "2026-11-20T15:00:58", "2026-11-23T09:15:20", True),
        ("600000.SH", "2026-11-20T14:30:00", "2026-11-21T12:00:00", True),  # the day's end was missed
        ("688981.SH", "2026-11-20T15:01:00", "2026-11-20T15:20:00", True),  # STAR goes on after the close
        ("688981.SH", "2026-11-20T15:30:00", "2026-11-20T18:00:00", False),
        ("600000.SH", "2026-11-20T15:01:00", "2027-08-20T10:00:00", True),  # past the calendar's end: its age counts
    ],
)
def test_a_quote_is_stale_by_15_seconds_of_trading(code: str, received: str, now: str, stale: bool) -> None:
    at, moment = (dt.datetime.fromisoformat(text).replace(tzinfo=EXCHANGE_ZONE) for text in (received, now))
    assert quote(code, received_at=at).is_stale(moment) is stale
