"""A quote: what one source said of one code at one moment, in the platform's units, and how old it may grow."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields
from typing import Any, Literal, cast

from quant_pipeline.market import clock
from quant_pipeline.market.calendar import CalendarError
from quant_pipeline.quotes import hours

Status = Literal["auction", "trading", "suspended", "closed"]
Levels = tuple[tuple[float, int], ...]
"""Prices and their shares, the best first, five at most."""

STALE_AFTER = dt.timedelta(seconds=15)
"""Five snapshots of the exchange (it makes one every 3 s) that were not had."""


@dataclass(frozen=True)
class Quote:
    """Prices in 元, `volume` in 股 (an index's as its source counts it), `amount` in 元; what is not known is None, never 0."""

    ts_code: str
    name: str | None
    price: float | None
    pre_close: float | None
    open: float | None
    high: float | None
    low: float | None
    volume: int | None
    amount: float | None
    bids: Levels
    asks: Levels
    exchange_time: dt.datetime | None
    """When the exchange made it (aware, Asia/Shanghai)."""
    received_at: dt.datetime
    """When the source last said so (aware)."""
    source: str
    status: Status

    @property
    def change(self) -> float | None:
        """Price less the former close, in 元."""
        if self.price is None or self.pre_close is None:
            return None
        return round(self.price - self.pre_close, 4)

    @property
    def pct_chg(self) -> float | None:
        """The change as a percentage of the former close."""
        if self.price is None or not self.pre_close:
            return None
        return round((self.price / self.pre_close - 1) * 100, 4)

    def age(self, now: dt.datetime | None = None) -> float:
        """Seconds since the source last said so."""
        return max(0.0, ((now or clock.now()) - self.received_at).total_seconds())

    def is_stale(self, now: dt.datetime | None = None) -> bool:
        """Whether the quote may have moved since, by 15 s or more of trading. A night and a weekend make nothing stale."""
        moment = now or clock.now()
        try:
            due = hours.last_due(self.ts_code, moment)
        except CalendarError:  # the calendar has no word on this day: its age alone counts
            due = moment
        return due - self.received_at > STALE_AFTER

    def as_message(self, now: dt.datetime | None = None) -> dict[str, Any]:
        """The quote as JSON: moments in ISO 8601, levels as [price, shares], null where unknown, with its age in seconds."""
        moment = now or clock.now()
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return said | {
            "bids": [list(level) for level in self.bids],
            "asks": [list(level) for level in self.asks],
            "exchange_time": None if self.exchange_time is None else self.exchange_time.isoformat(),
            "received_at": self.received_at.isoformat(timespec="milliseconds"),
            "change": self.change,
            "pct_chg": self.pct_chg,
            "age": round(self.age(moment), 3),
            "stale": self.is_stale(moment),
        }


def status_of(text: str) -> Status:
    """A stored status. ValueError for what is none."""
    if text not in ("auction", "trading", "suspended", "closed"):
        raise ValueError(f"{text!r} is no status of a quote")
    return cast(Status, text)
