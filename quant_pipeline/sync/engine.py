"""The engine: fetches a plan's units at the sources' pace, judges them, commits rows and record together."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

import polars as pl
import psycopg

from quant_pipeline.language import marked, told
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Coverage
from quant_pipeline.sources.failures import AWAY, Unanswered
from quant_pipeline.sources.router import Router
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.acceptance import Acceptance, ListAcceptance, RowsAcceptance
from quant_pipeline.sync.gaps import Gaps
from quant_pipeline.sync.ledger import Item, ItemStatus, Ledger, item_of, record
from quant_pipeline.sync.plan import Plan
from quant_pipeline.sync.progress import ProgressLog
from quant_pipeline.sync.roster import Roster
from quant_pipeline.sync.store import Fetched, Store
from quant_pipeline.sync.synced import synced_before
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

_logger = logging.getLogger(__name__)
OnCommitted = Callable[[Unit, Item], None]
NOBODY_ANSWERS = marked("Sources that cannot be reached")
"""What units of every data set failed for alike."""
_ROUNDS = 2
"""How often gaps are asked for."""
_TELL = 10.0
"""Seconds after which it is told how far the asking for gaps is."""
_WHOLE_FROM = 50
"""So many codes lacking in a session are asked for by session, where another source can: the quotations of today, say."""
_SOURCES_OF = """
SELECT trade_date, count(*) AS rows, string_agg(DISTINCT source, ', ' ORDER BY source) AS sources
FROM {table} WHERE trade_date BETWEEN %(start)s AND %(end)s GROUP BY trade_date
"""


@dataclass
class Outcome:
    """What became of a plan: `synced` units in order of commit, `before` those that were done already, `failed` the rest.

    `complete`: the sessions of a whole market that was asked for code by code; their rows are those of the codes.
    """

    synced: dict[Unit, Item] = field(default_factory=dict)
    before: dict[Unit, Item] = field(default_factory=dict)
    failed: dict[Unit, Item] = field(default_factory=dict)
    complete: dict[Unit, Item] = field(default_factory=dict)

    def total(self, counter: str) -> int:
        """The sum of one of Item's counters over the units that were asked for in this sync."""
        return sum(getattr(item, counter) for item in (*self.synced.values(), *self.failed.values()))

    @property
    def sources(self) -> list[str]:
        """Who gave the rows: of a session, several may have."""
        return sorted({name for item in self.synced.values() if item.source for name in item.source.split(", ")})

    def add(self, other: Outcome) -> None:
        """Takes over what another plan of the same data set came to."""
        self.synced |= other.synced
        self.before |= other.before
        self.failed |= other.failed
        self.complete |= other.complete


class Engine:
    """Syncs data sets for one run of the ledger. One process may run several plans, one after the other."""

    def __init__(self, database: Database, router: Router, calendar: Calendar, ledger: Ledger, run: str) -> None:
        self._database = database
        self._router = router
        self._calendar = calendar
        self._ledger = ledger
        self._run = run

    def sync(self, plan: Plan, *, again: bool = False, force: bool = False, on_committed: OnCommitted | None = None) -> Outcome:
        """Fetches, checks and commits the plan's units; those that were synced before are left out unless `again`.

        `force` means `again`, and that rows are overwritten whoever owns them.

        `on_committed` is called for each unit right after its rows and its record are committed, in this thread. A unit's
        failure is recorded and does not stop the others. Codes that an answer lacks are asked of the next sources; a unit
        that lacks too many waits for them before it counts. Memory holds a few units, however long the plan.
        """
        done = {} if again or force else self._synced_before(plan)
        outcome = Outcome(before=done)
        todo = [unit for unit in plan.units if unit not in done]
        self._ledger.plan(self._run, len(plan.units), len(outcome.before))
        if not todo:
            return outcome
        try:
            self._sync(plan, todo, outcome, force, on_committed or _nobody)
        except BaseException:
            self._router.stop()
            raise
        return outcome

    def _synced_before(self, plan: Plan) -> dict[Unit, Item]:
        return synced_before(self._database, self._calendar, self._ledger, plan.dataset, plan.units)

    def _sync(self, plan: Plan, todo: Sequence[Unit], outcome: Outcome, force: bool, report: OnCommitted) -> None:
        accept, roster = self._acceptance(plan, todo)
        gaps = Gaps(plan.dataset, self._calendar, roster) if roster is not None else None
        shared_by = self._shared_by(plan, roster)
        progress = ProgressLog(plan.dataset.name, len(todo))
        with self._database.connect() as connection:
            store = Store(connection, plan.dataset, self._calendar, self._router.priority(plan.dataset), force)
            for group in self._fetch(plan, todo, accept, shared_by=shared_by):
                with connection.transaction():
                    items = store.write(group)
                    if gaps is not None:
                        items = gaps.seen(items, group)
                    record(connection, self._run, plan.dataset, items.values())
                for unit, item in items.items():
                    if gaps is not None and gaps.holds_back(unit):
                        progress.add(rows=item.rows, failed=False)
                        continue
                    progress.add(rows=item.rows, failed=item.failed)
                    self._report(plan, unit, item, outcome, report)
            self._replace(plan, store, accept, outcome, report)
            if gaps is not None and roster is not None:
                self._fill_sessions(plan, store, gaps, accept)
                self._fill(plan, store, gaps, accept)
                self._ask_again(plan, store, gaps, accept)
                self._settle(plan, connection, gaps, outcome, report)
                if plan.labels:
                    self._complete(plan, connection, roster, outcome, report)

    def _acceptance(self, plan: Plan, todo: Sequence[Unit]) -> tuple[Acceptance, Roster | None]:
        dataset = plan.dataset
        if not dataset.dated:
            return ListAcceptance(self._database, dataset, self._calendar), None
        start, end = min(unit.start for unit in todo), max(unit.end for unit in todo)
        roster = Roster.load(self._database, dataset, self._calendar, start, end)
        return RowsAcceptance(self._database, dataset, self._calendar, roster, todo), roster

    def _replace(self, plan: Plan, store: Store, accept: Acceptance, outcome: Outcome, report: OnCommitted) -> None:
        """Asks again for sessions that were taken before the one before them came, and turned out to contradict it."""
        units = accept.contradicted()
        whoever = replace(store, force=True)
        for group in self._fetch(plan, units, accept) if units else ():
            with store.connection.transaction():
                items = whoever.write(group)
                record(store.connection, self._run, plan.dataset, items.values())
            for unit, item in items.items():
                outcome.synced.pop(unit, None)
                self._report(plan, unit, item, outcome, report)

    def _shared_by(self, plan: Plan, roster: Roster | None) -> dict[Unit, frozenset[str]]:
        """Who shares out a long plan's units: of each, the sources that can have all of it."""
        if not plan.shared or roster is None:
            return {}
        sharing = [source for source in self._router.serving(plan.dataset, plan.grain) if source.shares]
        if plan.grain is not Grain.SESSION:
            names = frozenset(source.name for source in sharing)
            return dict.fromkeys(plan.units, names)
        labels = [unit.start for unit in plan.units]
        whole = {source.name: roster.whole_for(source, labels) for source in sharing}
        return {unit: frozenset(name for name, days in whole.items() if unit.start in days) for unit in plan.units}

    def _report(self, plan: Plan, unit: Unit, item: Item, outcome: Outcome, report: OnCommitted) -> None:
        if item.failed:
            outcome.failed[unit] = item
            away = item.error_class in AWAY  # one cause for all data sets: whoever shows it need not repeat it for each
            _logger.warning(
                told("{dataset} {unit} failed: {error}", dataset=plan.dataset.name, unit=unit, error=_why(plan, item)),
                extra={"subject": NOBODY_ANSWERS if away else plan.dataset.name},
            )
            return
        if item.status is ItemStatus.PARTIAL:
            _logger.warning(
                told("{dataset} {unit} is not whole: {error}", dataset=plan.dataset.name, unit=unit, error=_why(plan, item)),
                extra={"subject": plan.dataset.name},
            )
        outcome.synced[unit] = item
        report(unit, item)

    def _fill_sessions(self, plan: Plan, store: Store, gaps: Gaps, accept: Acceptance) -> None:
        """Asks the other sources for whole sessions of which many codes lack, and takes what fills the gaps."""
        others = [source for source in self._router.serving(plan.dataset, Grain.SESSION) if source.name not in gaps.left_by]
        wanted = gaps.sessions(_WHOLE_FROM)
        units = [unit for unit in wanted if any(source.reaches(plan.dataset, unit) for source in others)]
        by_session = replace(plan, grain=Grain.SESSION, units=tuple(units))
        for group in self._fetch(by_session, units, accept, without=gaps.left_by) if units else ():
            with store.connection.transaction():
                for each in group:
                    if each.answer is not None:
                        gaps.cost(each.unit, store.fill(each.unit, each.answer, gaps.fill(each.answer.checked.good)))

    def _fill(self, plan: Plan, store: Store, gaps: Gaps, accept: Acceptance) -> None:
        """Asks the other sources for what the answers lacked, code by code. What nobody has is no failure of its own.

        Codes that met an outage are asked for once more at the end: a site that blocks does so for a while.
        """
        others = [source for source in self._router.serving(plan.dataset, Grain.CODE) if source.name not in gaps.left_by]
        units = gaps.units() if others else []
        for _ in range(_ROUNDS):
            if units:
                names = ", ".join(source.name for source in others)
                _logger.info(
                    told(
                        "{dataset}: {count} codes have gaps, asking {sources}",
                        dataset=plan.dataset.name,
                        count=len(units),
                        sources=names,
                    )
                )
            units = self._fill_round(plan, store, gaps, accept, units)

    def _fill_round(self, plan: Plan, store: Store, gaps: Gaps, accept: Acceptance, units: Sequence[Unit]) -> list[Unit]:
        """Fills what comes; the units that met an outage."""
        unlucky: list[Unit] = []
        asked, told_at = 0, time.monotonic()
        by_code = replace(plan, grain=Grain.CODE, units=tuple(units))
        for group in self._fetch(by_code, units, accept, without=gaps.left_by) if units else ():
            with store.connection.transaction():
                items = [
                    store.fill(each.unit, each.answer, gaps.fill(each.answer.checked.good))
                    for each in group
                    if each.answer is not None
                ]
                record(store.connection, self._run, plan.dataset, items)
            for each in group:
                if each.error is not None:
                    gaps.spent(each.unit, each.error.calls, each.error.attempts)
            unlucky += [each.unit for each in group if each.error is not None and each.error.outage]
            asked += len(group)
            if time.monotonic() - told_at >= _TELL and asked < len(units):  # a site that is asked gently takes minutes
                told_at = time.monotonic()
                counts = {"dataset": plan.dataset.name, "asked": asked, "count": len(units)}
                _logger.info(told("{dataset}: {asked} of {count} codes with gaps are asked", **counts))
        return unlucky

    def _ask_again(self, plan: Plan, store: Store, gaps: Gaps, accept: Acceptance) -> None:
        """Asks once more for units of which rows were refused and not replaced: whoever answered may have mended them."""
        units = gaps.refused()
        again = replace(plan, units=tuple(units))
        for group in self._fetch(again, units, accept) if units else ():
            with store.connection.transaction():
                for each in group:
                    if each.answer is not None:
                        gaps.cost(each.unit, store.fill(each.unit, each.answer, gaps.fill(each.answer.checked.good)))

    def _settle(self, plan: Plan, connection: psycopg.Connection, gaps: Gaps, outcome: Outcome, report: OnCommitted) -> None:
        """Records what became of the units that had gaps; those that lack too much have failed."""
        others = self._router.not_in_use(plan.dataset)
        elsewhere = told(" (not in use: {sources}, which may have them)", sources=", ".join(others)) if others else ""
        for unit, item in gaps.settled(partial(self._router.could_have, plan.dataset), elsewhere=elsewhere):
            record(connection, self._run, plan.dataset, [item])
            if gaps.holds_back(unit):
                self._report(plan, unit, item, outcome, report)
            else:
                outcome.synced[unit] = item

    def _complete(
        self, plan: Plan, connection: psycopg.Connection, roster: Roster, outcome: Outcome, report: OnCommitted
    ) -> None:
        """Records the sessions of a whole market that was asked for code by code: complete where no row due is lacking; of
        what may rightly be empty, where no code failed."""
        owed_at_all = plan.dataset.coverage is not Coverage.ANY
        if not owed_at_all and outcome.failed:
            return
        window = {"start": plan.labels[0], "end": plan.labels[-1]}
        stored = read_sql(self._database, _SOURCES_OF.format(table=plan.dataset.name), window)
        rows = {day: (count, sources) for day, count, sources in stored.iter_rows()}
        # Where nobody owes a row, none is lacking; but where no list says who lives, that is not known.
        counts = dict.fromkeys(plan.labels, (0, 0)) if roster.listed.height else {}
        for due in roster.stored(self._database, plan.labels):
            by_label = due.group_by("trade_date").agg(owed=pl.len(), missing=pl.col("missing").sum())
            counts |= {label: (owed, missing) for label, owed, missing in by_label.iter_rows()}
        for label, (owed, missing) in counts.items():
            if owed_at_all and missing > roster.may_lack([label], owed):
                continue
            count, sources = rows.get(label, (0, None))
            item = item_of(Unit.session(label), source=sources, rows=count, missing=missing if owed_at_all else 0)
            record(connection, self._run, plan.dataset, [item])
            outcome.complete[Unit.session(label)] = item
            report(Unit.session(label), item)

    def _fetch(
        self,
        plan: Plan,
        todo: Sequence[Unit],
        accept: Acceptance,
        *,
        without: frozenset[str] = frozenset(),
        shared_by: Mapping[Unit, frozenset[str]] | None = None,
    ) -> Iterator[list[Fetched]]:
        """Groups of fetched units, as they come: what came while the last group was written makes the next one."""
        workers = self._router.concurrency(plan.dataset, plan.grain)
        waiting = iter(todo)

        def one(unit: Unit) -> Fetched:
            try:
                answer = self._router.fetch(
                    plan.dataset,
                    unit,
                    lambda frame, source: accept(unit, frame, source),
                    without=without,
                    shared_by=(shared_by or {}).get(unit, frozenset()),
                )
                return Fetched(unit, answer, None)
            except Unanswered as error:
                return Fetched(unit, None, error)
            finally:
                accept.settled(unit)

        with ThreadPoolExecutor(workers, thread_name_prefix=plan.dataset.name) as pool:
            under_way: set[Future[Fetched]] = set()
            try:
                while True:
                    # One unit more than there are workers each: they need not stand still during a commit.
                    under_way |= {pool.submit(one, unit) for unit in islice(waiting, 2 * workers - len(under_way))}
                    if not under_way:
                        return
                    came, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    yield [future.result() for future in came]
            except BaseException:
                self._router.stop()  # interrupted: each call under way ends within its time, and is not made again
                raise
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def _why(plan: Plan, item: Item) -> str:
    """Why the unit is not there, or not whole, for a sentence that names it already."""
    return (item.error or "").removeprefix(f"{plan.dataset.name} {item.unit}: ")


def _nobody(unit: Unit, item: Item) -> None:
    """For callers that do not listen."""
