"""What an answer is worth: validated, completed, compared with what is due and what is known; taken, or no answer.

A refused row is a row that is lacking. An answer that lacks too much, or that contradicts what is known, is no answer: the
router asks again, or the next source.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from quant_pipeline.language import marked, told
from quant_pipeline.market import clock
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Coverage, Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, NAME_HISTORY, STOCK_LIST, TRADE_CALENDAR
from quant_pipeline.market.validation import Checked, validate
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.base import Source
from quant_pipeline.sources.failures import Incomplete
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.anchoring import anchored
from quant_pipeline.sync.calendar_acceptance import demand_believable
from quant_pipeline.sync.code_changes import renamed, under_new_codes
from quant_pipeline.sync.periods import labels_of
from quant_pipeline.sync.plausibility import Plausibility
from quant_pipeline.sync.pre_close import with_pre_close
from quant_pipeline.sync.roster import FEW, Roster
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

SHRINKING_ALLOWED = 0.02
"""A list that comes back shorter than the stored one by more than this share is taken for a cut answer."""


class ListAcceptance:
    """Judges lists, and the members of concepts: by the stored rows that the source can have, which do not vanish overnight."""

    def __init__(self, database: Database, dataset: Dataset, calendar: Calendar) -> None:
        self._database = database
        self._dataset = dataset
        self._sessions = frozenset(calendar.sessions)

    def __call__(self, unit: Unit, frame: pl.DataFrame, source: Source) -> Checked:
        """The list's sound rows and its refused ones; Incomplete (or SpecError) for an answer that cannot be taken."""
        if self._dataset in (STOCK_LIST, NAME_HISTORY):
            frame = under_new_codes(renamed(self._database), self._dataset, frame)
        checked = validate(self._dataset, frame, expected_session=None, sessions=self._sessions)
        if self._dataset is TRADE_CALENDAR:
            demand_believable(self._database, checked, xshg(), clock.today())
        else:
            self._demand_whole(checked.good, self._stored(unit, source))
        return checked

    def settled(self, unit: Unit) -> None:
        """Nothing is compared with a list."""

    def contradicted(self) -> list[Unit]:
        """Nothing is compared with a list."""
        return []

    def _demand_whole(self, rows: pl.DataFrame, stored: int) -> None:
        if rows.is_empty() and self._dataset.coverage is not Coverage.ANY:
            raise Incomplete(marked("the list came empty"))
        if rows.height < stored * (1 - SHRINKING_ALLOWED) - FEW:
            raise Incomplete(
                told(
                    "the list came with {count} rows, the stored one has {total}: a cut answer", count=rows.height, total=stored
                )
            )

    def _stored(self, unit: Unit, source: Source) -> int:
        of_group = "WHERE ts_code = %(group)s" if unit.grain is Grain.MEMBERS else ""
        rows = read_sql(self._database, f"SELECT * FROM {self._dataset.name} {of_group}", {"group": unit.ts_code})
        only = source.servings[self._dataset.name].only
        return rows.height if only is None else rows.filter(only()).height


class RowsAcceptance:
    """Judges rows by session (week, month) or code: by what is due (roster), and by what is known (plausibility)."""

    def __init__(self, database: Database, dataset: Dataset, calendar: Calendar, roster: Roster, units: Sequence[Unit]) -> None:
        """`units`: all that will be asked for, in the order in which they are: a session is compared with the one before."""
        self._database = database
        self._dataset = dataset
        self._calendar = calendar
        self._roster = roster
        self._sessions = frozenset(calendar.sessions)
        self._renamed = renamed(database) if STOCK_LIST.name in dataset.universe else {}
        self._plausibility = Plausibility(database, dataset, calendar, roster, units)

    def __call__(self, unit: Unit, frame: pl.DataFrame, source: Source) -> Checked:
        """The unit's sound rows and its refused ones.

        Incomplete, Implausible or SpecError for an answer that cannot be taken (Implausible: not on this word alone).
        """
        checked = self._validated(unit, frame)
        if unit.grain is not Grain.SESSION:
            self._demand_whole(unit, checked, source)
            return checked
        checked, doubt = self._plausibility.looked_at(unit.start, checked)
        self._demand_whole(unit, checked, source)
        if doubt is not None:
            raise doubt
        self._plausibility.remember(unit.start, checked.good)
        return checked

    def settled(self, unit: Unit) -> None:
        """The unit has its answer, or has failed: what is to be compared with it need not wait any more."""
        self._plausibility.settled(unit.start)

    def contradicted(self) -> list[Unit]:
        """The sessions that were taken and contradict what came after them: they are to be asked for again."""
        return [Unit.session(day) for day in self._plausibility.contradicted()]

    def _validated(self, unit: Unit, frame: pl.DataFrame) -> Checked:
        frame = under_new_codes(self._renamed, self._dataset, frame)
        if self._dataset is ADJ_FACTOR and unit.grain is Grain.CODE:
            frame = anchored(self._database, unit, frame)
        if self._dataset is DAILY_KLINE and unit.grain is Grain.CODE and "pre_close" in frame.columns:
            frame = with_pre_close(self._database, unit, frame)
        expected = unit.start if unit.grain is Grain.SESSION else None
        return validate(self._dataset, frame, expected_session=expected, sessions=self._sessions)

    def _demand_whole(self, unit: Unit, checked: Checked, source: Source) -> None:
        """Raises Incomplete when the sound rows cannot be all that the unit owes.

        Codes that the source does not have at all are not held against it: their rows are asked of the next.
        """
        if self._dataset.coverage is Coverage.ANY:
            return
        if unit.grain is Grain.CODE:
            labels = labels_of_unit(self._dataset, self._calendar, unit)
            given_not = source.gives_not(self._dataset, unit)
            owed = [str(day) for day in self._roster.sessions(unit.ts_code or "", labels) if day not in given_not]
            came = {str(day) for day in checked.good["trade_date"]}
            what = marked("{count} of {total} sessions are missing: {first}")
        else:
            labels = [unit.start]
            if checked.good.is_empty():
                raise Incomplete(told("no good row came, though {day} is a session", day=unit.start) + _refused(checked))
            if not self._dataset.universe:
                return
            due = self._roster.codes(unit.start)
            owed = due.filter(~due.is_in(self._roster.lacked_by(source).implode())).to_list()
            came = set(checked.good["ts_code"])
            what = marked("{count} of {total} codes that should have traded are missing: {first}")
        missing = [each for each in owed if each not in came]
        if len(missing) > self._roster.may_lack(labels, len(owed), unit.ts_code):
            first = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
            raise Incomplete(told(what, count=len(missing), total=len(owed), first=first) + _refused(checked))


Acceptance = ListAcceptance | RowsAcceptance


def labels_of_unit(dataset: Dataset, calendar: Calendar, unit: Unit) -> list[dt.date]:
    """The labels that lie in a unit's range: its sessions, or the last sessions of its weeks or months."""
    return [label for label in labels_of(dataset, calendar, calendar.between(unit.start, unit.end)) if label <= unit.end]


def _refused(checked: Checked) -> str:
    """How many rows were refused, and why, for the end of a sentence."""
    if checked.bad.is_empty():
        return ""
    reasons = checked.bad["reason"].value_counts(sort=True)
    why = told("{count} rows were refused: {reason}", count=checked.bad.height, reason=reasons["reason"][0])
    return f" ({why})"
