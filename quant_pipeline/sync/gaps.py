"""Gaps: rows that are due and that the source which answered did not give, or gave so that they had to be refused."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from quant_pipeline.language import marked, told
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Coverage, Dataset
from quant_pipeline.market.validation import Checked
from quant_pipeline.sources.failures import FailureClass
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.acceptance import labels_of_unit
from quant_pipeline.sync.ledger import Item, ItemStatus, Shortfall
from quant_pipeline.sync.roster import Roster
from quant_pipeline.sync.store import Fetched

MOST_CODES = 800
"""Gaps of more codes than these are no gaps: the other sources are slow, and would not like it."""
_KEY = ["ts_code", "trade_date"]
_OWING = (Coverage.MARKET, Coverage.EVERY)
"""Where a code that owes a row is asked of the next sources; in thin markets only refused rows are."""

_MISSING = (
    marked("{count} rows that are due are missing from every source: {codes}"),
    marked("{count} of {total} rows that are due are missing from every source: {codes}"),
)
_REFUSED = (
    marked("{count} rows were refused (see rejected_rows), and no source replaced them: {codes}"),
    marked("{count} of {total} rows were refused (see rejected_rows), and no source replaced them: {codes}"),
)
_NOBODY_S = (
    marked("{count} rows that are due are of codes that no source in use has: {codes}"),
    marked("{count} of {total} rows that are due are of codes that no source in use has: {codes}"),
)

Key = tuple[str, dt.date]
"""A row that lacks: code, session (or label of the period)."""


def _schema() -> pl.Schema:
    return pl.Schema({"ts_code": pl.String, "trade_date": pl.Date})


@dataclass
class _Gap:
    """A unit's item, and the rows that it lacks still. `refused`: those that a source gave, and that had to be refused."""

    item: Item
    lacking: set[Key]
    refused: set[Key]
    due: int
    may_lack: int
    held_back: bool = False
    """Whether the unit was too short to be reported complete when its answer came."""

    @property
    def wide(self) -> bool:
        """Whether more is lacking than a complete unit may lack."""
        return bool(self.due) and (len(self.lacking) > self.may_lack or len(self.lacking) >= self.due)


class Gaps:
    """The gaps of one plan's units, and who left them."""

    def __init__(self, dataset: Dataset, calendar: Calendar, roster: Roster) -> None:
        self._dataset = dataset
        self._calendar = calendar
        self._roster = roster
        self._gaps: dict[Unit, _Gap] = {}
        self._left_by: set[str] = set()

    def seen(self, items: Mapping[Unit, Item], group: Sequence[Fetched]) -> dict[Unit, Item]:
        """The items with the number of rows that they lack; remembers who lacks which.

        A unit that lacks too much counts as failed until its gaps were asked for: a kill in between forgets nothing.
        """
        counted = dict(items)
        for each in group:
            if each.answer is None:
                continue
            refused = _refused(each.answer.checked, each.unit)
            if not refused and self._dataset.coverage not in _OWING:
                continue
            due = self._due(each.unit)
            missing = due.join(each.answer.checked.good, on=_KEY, how="anti") if due.height else due
            if self._dataset.universe:
                refused &= _keys(missing)  # a refused row of a code that owes none (it was halted, say) lacks nowhere
            lacking = (_keys(missing) if self._dataset.coverage in _OWING else set()) | refused
            if not lacking:
                continue
            labels = sorted(due["trade_date"].unique()) or [each.unit.end]
            owed = 0 if self._dataset.coverage is Coverage.ANY else due.height  # who is halted, say, owes nothing every day
            may_lack = self._roster.may_lack(labels, owed, each.unit.ts_code)
            gap = self._gaps[each.unit] = _Gap(items[each.unit], lacking, refused, owed, may_lack)
            gap.held_back = gap.wide or bool(refused)
            counted[each.unit] = self._settled(gap, lambda _: True)
            self._left_by.add(each.answer.source)
        return counted

    def holds_back(self, unit: Unit) -> bool:
        """Whether the unit was not complete without what it lacked: it is reported when its gaps were asked for."""
        return unit in self._gaps and self._gaps[unit].held_back

    @property
    def left_by(self) -> frozenset[str]:
        """The sources that left gaps: they need not be asked again for what they do not have."""
        return frozenset(self._left_by)

    def sessions(self, at_least: int) -> list[Unit]:
        """The sessions that lack so many codes."""
        return [unit for unit, gap in self._gaps.items() if unit.grain is Grain.SESSION and len(gap.lacking) >= at_least]

    def units(self) -> list[Unit]:
        """A unit per lacking code, over the sessions that lack it; none when these are too many codes."""
        days: defaultdict[str, list[dt.date]] = defaultdict(list)
        for gap in self._gaps.values():
            for code, day in gap.lacking:
                days[code].append(day)
        if len(days) > MOST_CODES:
            return []
        return [Unit.code(code, min(lacking), max(lacking)) for code, lacking in sorted(days.items())]

    def refused(self) -> list[Unit]:
        """The units of which refused rows are lacking still."""
        return [unit for unit, gap in self._gaps.items() if gap.refused & gap.lacking]

    def fill(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Those of the rows that fill gaps, which are closed by them."""
        wanted = {key for gap in self._gaps.values() for key in gap.lacking}
        came = wanted & _keys(rows)
        for gap in self._gaps.values():
            gap.lacking -= came
        keys = pl.DataFrame(sorted(came), schema=_schema(), orient="row")
        return rows.join(keys, on=_KEY, how="semi")

    def cost(self, unit: Unit, item: Item) -> None:
        """Adds what filling a unit as a whole cost and wrote, and who did it, to the unit's item."""
        gap = self._gaps[unit]
        added = ("rows", "inserted", "updated", "unchanged", "attempts", "calls", "seconds")
        sums = {name: getattr(gap.item, name) + getattr(item, name) for name in added}
        names = [gap.item.source] if item.source in (gap.item.source or "").split(", ") else [gap.item.source, item.source]
        gap.item = replace(gap.item, source=", ".join(name for name in names if name), **sums)

    def spent(self, asked: Unit, calls: int, attempts: int) -> None:
        """Adds what asking for a code in vain cost to the item of the first unit that lacks it."""
        for gap in self._gaps.values():
            if any(code == asked.ts_code for code, _ in gap.lacking):
                gap.item = replace(gap.item, calls=gap.item.calls + calls, attempts=gap.item.attempts + attempts)
                return

    def settled(self, could_have: Callable[[str], bool], *, elsewhere: str = "") -> Iterator[tuple[Unit, Item]]:
        """Each unit that had a gap, with its item as it stands now. `could_have`: whether a source in use has it at all."""
        for unit, gap in self._gaps.items():
            yield unit, self._settled(gap, could_have, elsewhere)

    def _settled(self, gap: _Gap, could_have: Callable[[str], bool], elsewhere: str = "") -> Item:
        """The item with what is known now.

        A unit that lacks too much has failed, though what came is kept. One of whose rows some were refused and not replaced
        is partial, as is one that lacks codes which no source in use has.
        """
        item = replace(gap.item, missing=len(gap.lacking))
        if not gap.lacking:
            return item
        had = {key for key in gap.lacking if could_have(key[0])}
        if replace(gap, lacking=had).wide and had:
            text = _told(_MISSING, had, gap.due)
            return replace(item, status=ItemStatus.FAILED, error_class=FailureClass.EMPTY.value, error=text)
        refused = gap.refused & gap.lacking
        if refused:
            text = _told(_REFUSED, refused, gap.due)
            return replace(item, status=ItemStatus.PARTIAL, error_class=Shortfall.REFUSED.value, error=text)
        if len(gap.lacking) - len(had) > gap.may_lack:
            nobody = gap.lacking - had
            text = _told(_NOBODY_S, nobody, gap.due) + elsewhere
            return replace(item, status=ItemStatus.PARTIAL, error_class=Shortfall.UNSERVED.value, error=text)
        return item

    def _due(self, unit: Unit) -> pl.DataFrame:
        """ts_code, trade_date of the rows that the unit owes."""
        if not self._dataset.universe or unit.grain not in (Grain.SESSION, Grain.CODE):
            return pl.DataFrame(schema=_schema())
        if unit.grain is Grain.SESSION:
            return self._roster.codes(unit.start).to_frame("ts_code").with_columns(trade_date=pl.lit(unit.start))
        labels = labels_of_unit(self._dataset, self._calendar, unit)
        days = self._roster.sessions(unit.ts_code or "", labels)
        return pl.DataFrame({"ts_code": [unit.ts_code] * len(days), "trade_date": days}, schema=_schema())


def _keys(rows: pl.DataFrame) -> set[Key]:
    return set(rows.select("ts_code", "trade_date").iter_rows())


def _refused(checked: Checked, unit: Unit) -> set[Key]:
    """What the refused rows were rows of and no good one is, as far as can be told: by session."""
    bad = checked.bad
    if bad.is_empty() or unit.grain is not Grain.SESSION or not {"ts_code"} <= set(bad.columns) & set(checked.good.columns):
        return set()
    codes = bad["ts_code"].cast(pl.String).drop_nulls()
    return {(code, unit.start) for code in codes.filter(~codes.is_in(checked.good["ts_code"].implode()))}


def _told(texts: tuple[str, str], keys: set[Key], due: int) -> str:
    """The text of so many rows: of all that are due, where that is known."""
    return told(texts[bool(due)], count=len(keys), total=due, codes=_named(keys))


def _named(keys: set[Key]) -> str:
    names = sorted({code for code, _ in keys})
    days = sorted({day for _, day in keys})
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return shown if len(names) > 1 or len(days) == 1 else f"{shown} {', '.join(map(str, days[:5]))}{', …' if days[5:] else ''}"
