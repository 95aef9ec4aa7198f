"""The plan of one data set's sync: which units, in the grain that costs the fewest calls."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from quant_pipeline.language import told
from quant_pipeline.market.dataset import Coverage, Dataset
from quant_pipeline.sources.base import Source
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.router import Router
from quant_pipeline.sources.units import Grain, Unit, is_running
from quant_pipeline.sync.roster import Roster

SHARED_FROM = 1.0
"""A plan that takes the first source longer than so many minutes is shared out over all that can have its units."""
_LISTED = {"stock_list": 5_500, "etf_list": 1_500, "convertible_bonds": 500}
"""Codes that a list has, roughly, while it is not there."""
_NOUNS = {Grain.SESSION: "sessions", Grain.CODE: "codes", Grain.MEMBERS: "boards", Grain.SNAPSHOT: "list"}


class PlanError(ValueError):
    """What was asked for cannot be planned; the text says why.

    `dataset`: one that can be planned once its lists are there · `minutes`: what it will take then, about.
    """

    def __init__(self, text: str, *, dataset: str = "", minutes: float = 0.0) -> None:
        super().__init__(text)
        self.dataset = dataset
        self.minutes = minutes


@dataclass(frozen=True)
class Plan:
    """Units of one data set, all of one grain, and what the first source needs for them."""

    dataset: Dataset
    grain: Grain
    units: tuple[Unit, ...]
    calls: int = 0
    source: str = ""
    minutes: float = 0.0
    """How long the calls take at the least, at the source's quota and pace."""
    labels: tuple[dt.date, ...] = ()
    """Of a whole market that is asked for code by code: what is complete when all units are done."""
    shared: bool = False
    """Whether it is shared out over several sources, each at its own pace."""

    def of(self, units: Sequence[Unit]) -> Plan:
        """The same plan for these of its units, at their share of the cost."""
        share = len(units) / len(self.units) if self.units else 0.0
        return replace(self, units=tuple(units), calls=round(self.calls * share), minutes=self.minutes * share)

    def __str__(self) -> str:
        asked = f"{len(self.units)} {_NOUNS[self.grain]}"
        if not self.units:
            return f"{self.dataset.name}: nothing to fetch"
        return f"{self.dataset.name}: {asked}, {self.calls} calls to {self.source}, {self.minutes:.1f} min at its pace"


@dataclass(frozen=True)
class _Way:
    """A way to ask: its units, and about how many rows each answer has."""

    grain: Grain
    units: tuple[Unit, ...]
    rows: Sequence[int]
    labels: tuple[dt.date, ...] = ()


def plan_list(dataset: Dataset, router: Router, *, as_of: dt.date, rows: int = 1, groups: Sequence[str] = ()) -> Plan:
    """The unit of a list of about so many rows as of a session, or one for each of the groups (concepts, industries).

    PlanError when no source serves it.
    """
    if dataset.universe:
        way = _Way(Grain.MEMBERS, tuple(Unit.members(code, as_of) for code in groups), [1] * len(groups))
    else:
        way = _Way(Grain.SNAPSHOT, (Unit.snapshot(as_of),), [rows])
    return _cheapest(dataset, router, [way])


def plan_units(dataset: Dataset, router: Router, grain: Grain, units: Sequence[Unit], roster: Roster | None = None) -> Plan:
    """These units of one grain, each a page at most. Where nobody serves it in that grain, each will fail and say so."""
    way = _Way(grain, tuple(units), [1] * len(units))
    return _priced(dataset, router, way, roster) or Plan(dataset, grain, way.units)


def plan_rows(
    dataset: Dataset, router: Router, roster: Roster, labels: Sequence[dt.date], *, codes: Sequence[str] = ()
) -> Plan:
    """The units for these labels (sessions, or last sessions of periods), for all codes or only `codes`.

    It asks by code or by session, whichever costs fewer calls. A week or month that is still running is a unit of its own:
    the closed ones are asked of the sources. PlanError when no source serves it.
    """
    if not labels:
        return Plan(dataset, Grain.SESSION, ())
    asked = codes or roster.listed_between(labels[0], labels[-1]) or dataset.codes
    # Of what no code owes (suspensions, dividends) a session has few rows; else about one for each code that is listed.
    rows = [1] * len(labels) if dataset.coverage is Coverage.ANY else roster.rows_on(labels)
    by_session = _Way(Grain.SESSION, tuple(Unit.session(day) for day in labels), rows)
    by_code = _by_code(dataset, roster, labels, asked, whole=not codes)
    only_by_code = router.serving(dataset, Grain.CODE) and not router.serving(dataset, Grain.SESSION)
    if dataset.universe and not asked and only_by_code:
        text = told(
            "{dataset}: none of its codes is known yet, sync {lists} first",
            dataset=dataset.name,
            lists=", ".join(dataset.universe),
        )
        first = router.serving(dataset, Grain.CODE)[0]
        minutes = _minutes(sum(_LISTED.get(name, 0) for name in dataset.universe), first.policy(dataset))
        raise PlanError(text, dataset=dataset.name, minutes=minutes)
    return _cheapest(dataset, router, [by_session, by_code] if asked else [by_session], roster)


def _by_code(dataset: Dataset, roster: Roster, labels: Sequence[dt.date], codes: Sequence[str], *, whole: bool) -> _Way:
    running = [label for label in labels if is_running(dataset, label, roster.calendar)]
    units: list[Unit] = []
    rows: list[int] = []
    for part in ([label for label in labels if label not in running], running):
        if part:
            units += [Unit.code(code, part[0], part[-1]) for code in codes]
            rows += roster.rows_of(codes, part)
    return _Way(Grain.CODE, tuple(units), rows, tuple(labels) if whole else ())


def unserved(dataset: Dataset, router: Router) -> str:
    """That none of the sources in use gives the data set, and why those do not that could."""
    in_use = router.in_use(dataset)
    known = ", ".join(source.name for source in in_use) or "-"
    able = [source for source in in_use if dataset.name in source.servings]
    whys = [f"{source.name}: {why}" for source in able if (why := router.refusal(source, dataset)) is not None]
    text = told("{dataset}: none of the sources in use ({sources}) serves it", dataset=dataset.name, sources=known)
    return "; ".join([text, *whys])


def _cheapest(dataset: Dataset, router: Router, ways: Sequence[_Way], roster: Roster | None = None) -> Plan:
    plans = [plan for way in ways if (plan := _priced(dataset, router, way, roster)) is not None]
    if not plans:
        raise PlanError(unserved(dataset, router))
    return min(plans, key=lambda each: each.calls)


def _priced(dataset: Dataset, router: Router, way: _Way, roster: Roster | None) -> Plan | None:
    """The way as a plan, each unit at the price of who will be asked first for it; None when nobody serves that grain.

    `source` is who is asked most.
    """
    servers = router.serving(dataset, way.grain)
    if not servers:
        return None
    calls = dict.fromkeys(servers, 0)
    for unit, rows in zip(way.units, way.rows, strict=True):
        first = next((source for source in servers if router.can_have(source, dataset, unit)), servers[0])
        calls[first] += first.servings[dataset.name].calls_for(rows, way.grain)
    minutes = sum(_minutes(asked, source.policy(dataset)) for source, asked in calls.items())
    most = max(servers, key=lambda source: calls[source])
    shared = minutes > SHARED_FROM and roster is not None and sum(source.shares for source in servers) > 1
    if shared and roster is not None:
        minutes = _shared_minutes(dataset, servers, way, roster, minutes)
    return Plan(dataset, way.grain, way.units, sum(calls.values()), most.name, minutes, way.labels, shared)


def _shared_minutes(dataset: Dataset, servers: Sequence[Source], way: _Way, roster: Roster, alone: float) -> float:
    """Minutes of a plan of which the first source hands out what others can have whole, each at its own pace."""
    others = [source for source in servers[1:] if source.shares]
    units = len(way.units)
    pace = 0.0
    for source in others:
        theirs = len(roster.whole_for(source, [unit.start for unit in way.units])) if way.grain is Grain.SESSION else units
        if theirs:
            pace += units / max(_minutes(units, source.policy(dataset)), 1e-9) * min(theirs / units, 1.0)
    return units / (units / alone + pace)


def _minutes(calls: int, policy: RatePolicy) -> float:
    """Minutes that the calls take at the least, as the policy allows them."""
    by_pace = max(calls - policy.burst, 0) / policy.per_second / 60 if policy.per_second else 0.0
    by_quota = (calls - 1) // policy.per_minute * policy.minute / 60 if policy.per_minute and calls else 0.0
    return max(by_pace, by_quota)
