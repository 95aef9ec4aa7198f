"""The plan of one data set's sync: which units, in the grain that costs the fewest calls."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.sources.router import Router
from quant_pipeline.sources.units import Grain, Unit

MARKET_CODES = 5500
"""About as many codes as trade in one session: enough to count pages with."""


class PlanError(ValueError):
    """What was asked for cannot be planned; the text says why."""


@dataclass(frozen=True)
class Plan:
    """Units of one data set, all of one grain, and the calls that the first source needs for them."""

    dataset: Dataset
    grain: Grain
    units: tuple[Unit, ...]
    calls: int


def plan(
    dataset: Dataset, router: Router, *, as_of: dt.date, sessions: Sequence[dt.date] = (), codes: Sequence[str] = ()
) -> Plan:
    """The units for these sessions (all codes, or only `codes`); a snapshot data set has one unit, as of `as_of`.

    With codes given it asks by code or by session, whichever costs fewer calls. PlanError when no source serves it.
    """
    if not dataset.dated:
        return _cheapest(dataset, router, [(Grain.SNAPSHOT, (Unit.snapshot(as_of),), 1)])
    if not sessions:
        return Plan(dataset, Grain.SESSION, (), 0)
    by_session = (Grain.SESSION, tuple(Unit.session(day) for day in sessions), MARKET_CODES)
    if not codes:
        return _cheapest(dataset, router, [by_session])
    by_code = (Grain.CODE, tuple(Unit.code(code, sessions[0], sessions[-1]) for code in codes), len(sessions))
    return _cheapest(dataset, router, [by_code, by_session])


def _cheapest(dataset: Dataset, router: Router, ways: Sequence[tuple[Grain, tuple[Unit, ...], int]]) -> Plan:
    plans = []
    for grain, units, rows in ways:
        servers = router.serving(dataset, grain)
        if servers:
            calls = len(units) * servers[0].servings[dataset.name].calls_for(rows)
            plans.append(Plan(dataset, grain, units, calls))
    if not plans:
        known = ", ".join(router.priority) or "none"
        raise PlanError(f"{dataset.name}: none of the sources in use ({known}) serves it")
    return min(plans, key=lambda each: each.calls)
