"""A quote to vary."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.quotes.quote import Quote

MORNING = dt.datetime(2026, 11, 20, 10, 30, tzinfo=EXCHANGE_ZONE)
"""A moment of continuous trading."""
QUOTE = Quote(
    ts_code="600000.SH",
    name="浦发银行",
    price=10.5,
    pre_close=10.0,
    open=10.1,
    high=10.6,
    low=10.05,
    volume=1_234_500,
    amount=12_900_000.5,
    bids=((10.49, 1_200), (10.48, 300)),
    asks=((10.5, 900),),
    exchange_time=MORNING,
    received_at=MORNING + dt.timedelta(seconds=1),
    source="tencent",
    status="trading",
)


def quote(ts_code: str = "600000.SH", **said: Any) -> Quote:
    return dataclasses.replace(QUOTE, ts_code=ts_code, **said)
