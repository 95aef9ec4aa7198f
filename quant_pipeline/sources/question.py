"""The cheapest question that can be put to a source: whether it is reached, and takes our token."""

from __future__ import annotations

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.datasets import DAILY_KLINE, TRADE_CALENDAR
from quant_pipeline.sources import policy, registry
from quant_pipeline.sources.base import Serving, Source
from quant_pipeline.sources.policy import Policies
from quant_pipeline.sources.units import Grain, Unit

_TIMEOUT = 30.0
_DAYS = 13_500
"""Of the whole calendar, roughly."""
_CODES = 5_500
"""Of a session, roughly."""


def cheapest(source: Source, calendar: Calendar) -> tuple[Serving, Unit] | None:
    """What costs the fewest calls and needs no more of an account than any sync: the calendar, or the latest session's bars;
    a source without them is asked for a list."""
    latest = calendar.latest()
    list_of, bars_of = Unit.snapshot(latest), Unit.session(latest)
    basic = [
        (serving.calls_for(rows, unit.grain), serving, unit)
        for dataset, rows, unit in ((TRADE_CALENDAR, _DAYS, list_of), (DAILY_KLINE, _CODES, bars_of))
        if (serving := source.servings.get(dataset.name)) and unit.grain in serving.grains and source.reaches(dataset, unit)
    ]
    lists = [(each.asks, each, list_of) for each in source.servings.values() if Grain.SNAPSHOT in each.grains]
    found = min(basic or lists, key=lambda each: each[0], default=None)
    return found[1:] if found is not None else None


def hasty(paces: Policies) -> Policies:
    """The same paces, with one try of a few seconds."""
    hasty: Policies = {}
    for name, kind in registry.registered().sources.items():
        for api in ("*", *(serving.api for serving in kind.servings.values())):
            known = policy.policy_for(paces, name, api)
            once = known.model_copy(update={"retries": 0, "timeout": min(known.timeout, _TIMEOUT)})
            hasty.setdefault(name, {})[api] = once
    return hasty
