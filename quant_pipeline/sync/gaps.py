"""Gaps: codes that should have a row in a session, and of which the source that answered had none."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from quant_pipeline.market.dataset import Coverage, Dataset
from quant_pipeline.sources.failures import FailureClass
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.coverage import FEW, Due
from quant_pipeline.sync.ledger import Item
from quant_pipeline.sync.store import Fetched

MOST_CODES = 800
"""Gaps of more codes than these are no gaps: the other sources are slow, and would not like it."""


@dataclass
class _Gap:
    """A session's item, and the codes that it lacks still."""

    item: Item
    lacking: list[str]
    due: int
    allowed: float
    held_back: bool = False
    """Whether the session was too short to be told complete when its answer came."""

    @property
    def wide(self) -> bool:
        """Whether more is lacking than a complete session may lack."""
        return len(self.lacking) > max(self.allowed * self.due, FEW)

    def settled(self) -> Item:
        """The item with what is known now: a session that lacks too much has failed, though what came is kept."""
        item = replace(self.item, missing=len(self.lacking))
        if not self.wide:
            return item
        first = ", ".join(self.lacking[:5]) + (", …" if len(self.lacking) > 5 else "")
        text = f"{len(self.lacking)} of {self.due} codes that should have traded are missing from every source: {first}"
        return replace(item, status="failed", error_class=FailureClass.EMPTY.value, error=text)


class Gaps:
    """The gaps of one plan's sessions, and who left them."""

    def __init__(self, dataset: Dataset, due: Due | None) -> None:
        self._due = due if due is not None and dataset.coverage is Coverage.MARKET else None
        self._gaps: dict[Unit, _Gap] = {}
        self._left_by: set[str] = set()

    def seen(self, items: Mapping[Unit, Item], group: Sequence[Fetched]) -> dict[Unit, Item]:
        """The items with the number of rows that they lack; remembers who lacks which.

        A session that lacks too much counts as failed until its gaps were asked for: a kill in between forgets nothing.
        """
        counted = dict(items)
        for each in group:
            if self._due is None or each.answer is None or each.unit.grain is not Grain.SESSION:
                continue
            came = pl.concat([each.answer.checked.good["ts_code"], each.answer.checked.bad["ts_code"].cast(pl.String)])
            lacking = self._due.missing(each.unit.start, came)
            if lacking:
                due, allowed = len(self._due.codes(each.unit.start)), self._due.allowed([each.unit.start])
                gap = self._gaps[each.unit] = _Gap(items[each.unit], lacking, due, allowed)
                gap.held_back = gap.wide
                counted[each.unit] = gap.settled()
                self._left_by.add(each.answer.source)
        return counted

    def holds_back(self, unit: Unit) -> bool:
        """Whether the unit was not complete without what it lacked: it is told when its gaps were asked for."""
        return unit in self._gaps and self._gaps[unit].held_back

    @property
    def left_by(self) -> frozenset[str]:
        """The sources that left gaps: they need not be asked again."""
        return frozenset(self._left_by)

    def sessions(self, at_least: int) -> list[Unit]:
        """The sessions that lack so many codes."""
        return [unit for unit, gap in self._gaps.items() if len(gap.lacking) >= at_least]

    def units(self) -> list[Unit]:
        """A unit per lacking code, over the sessions that lack it; none when these are too many codes."""
        days: defaultdict[str, list[dt.date]] = defaultdict(list)
        for unit, gap in self._gaps.items():
            for code in gap.lacking:
                days[code].append(unit.start)
        if len(days) > MOST_CODES:
            return []
        return [Unit.code(code, min(lacking), max(lacking)) for code, lacking in sorted(days.items())]

    def fill(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Those of the rows that fill gaps, which are closed by them."""
        days = [unit.start for unit in self._gaps]
        filled = [rows.clear()]
        for (day,), of_day in rows.filter(pl.col("trade_date").is_in(days)).partition_by("trade_date", as_dict=True).items():
            gap = self._gaps[Unit.session(day)]
            fitting = of_day.filter(pl.col("ts_code").is_in(gap.lacking))
            came = set(fitting["ts_code"])
            gap.lacking = [code for code in gap.lacking if code not in came]
            filled.append(fitting)
        return pl.concat(filled)

    def cost(self, unit: Unit, item: Item) -> None:
        """Adds what filling a session as a whole cost and wrote, and who did it, to the session's item."""
        gap = self._gaps[unit]
        added = ("rows", "inserted", "updated", "unchanged", "attempts", "calls", "seconds")
        sums = {name: getattr(gap.item, name) + getattr(item, name) for name in added}
        gap.item = replace(gap.item, source=f"{gap.item.source}, {item.source}", **sums)

    def settled(self) -> Iterator[tuple[Unit, Item]]:
        """Each unit that had a gap, with its item as it stands now."""
        for unit, gap in self._gaps.items():
            yield unit, gap.settled()
