"""The engine: fetches a plan's units at the sources' pace, judges them, commits rows and record together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import islice

import psycopg

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.sources.failures import Unanswered
from quant_pipeline.sources.router import Router
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.coverage import FEW, Due
from quant_pipeline.sync.gaps import Gaps
from quant_pipeline.sync.judge import Judgement, judge_of_list, judge_of_rows
from quant_pipeline.sync.ledger import Item, Ledger, item_of, record
from quant_pipeline.sync.plan import Plan
from quant_pipeline.sync.progress import ProgressLog
from quant_pipeline.sync.store import Fetched, Store
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read

_logger = logging.getLogger(__name__)
OnCommitted = Callable[[Unit, Item], None]
_ROUNDS = 2
"""How often gaps are asked for."""
_WHOLE_FROM = 50
"""So many codes lacking in a session are asked for by session, where another source can: the quotations of today, say."""
_CHUNK = 250
"""Sessions whose codes are read at once."""


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
        before = {} if again or force else self._ledger.done(plan.dataset, plan.units)
        outcome = Outcome(before={unit: before[str(unit)] for unit in plan.units if str(unit) in before})
        todo = [unit for unit in plan.units if str(unit) not in before]
        self._ledger.plan(self._run, len(plan.units), len(outcome.before))
        if not todo:
            return outcome
        tell = on_committed or _silent
        judge, due = self._judgement(plan, todo)
        gaps = Gaps(plan.dataset, due)
        progress = ProgressLog(plan.dataset.name, len(todo))
        with self._database.connect() as connection:
            store = Store(connection, plan.dataset, self._calendar, self._router.priority(plan.dataset), force)
            for group in self._fetch(plan, todo, judge):
                with connection.transaction():
                    items = gaps.seen(store.write(group), group)
                    record(connection, self._run, plan.dataset, items.values())
                for unit, item in items.items():
                    if gaps.holds_back(unit):
                        progress.add(rows=item.rows, failed=False)
                        continue
                    progress.add(rows=item.rows, failed=item.failed)
                    if item.failed:
                        outcome.failed[unit] = item
                        _logger.warning("%s %s failed: %s", plan.dataset.name, unit, item.error)
                    else:
                        outcome.synced[unit] = item
                        tell(unit, item)
            self._fill_sessions(plan, store, gaps, judge)
            self._fill(plan, store, gaps, judge)
            self._settle(plan, connection, gaps, outcome, tell)
            if plan.labels and due is not None:
                self._complete(plan, connection, due, outcome, tell)
        return outcome

    def _judgement(self, plan: Plan, todo: Sequence[Unit]) -> tuple[Judgement, Due | None]:
        dataset = plan.dataset
        if not dataset.dated:
            return judge_of_list(self._database, dataset, self._calendar), None
        due = Due.load(
            self._database, dataset, self._calendar, min(unit.start for unit in todo), max(unit.end for unit in todo)
        )
        labels = plan.labels or [unit.end for unit in todo]
        return judge_of_rows(self._database, dataset, self._calendar, due, labels), due

    def _fill_sessions(self, plan: Plan, store: Store, gaps: Gaps, judge: Judgement) -> None:
        """Asks the other sources for whole sessions of which many codes lack, and takes what fills the gaps."""
        others = [source for source in self._router.serving(plan.dataset, Grain.SESSION) if source.name not in gaps.left_by]
        wanted = gaps.sessions(_WHOLE_FROM)
        units = [unit for unit in wanted if any(source.reaches(plan.dataset, unit) for source in others)]
        by_session = replace(plan, grain=Grain.SESSION, units=tuple(units))
        for group in self._fetch(by_session, units, judge, without=gaps.left_by) if units else ():
            with store.connection.transaction():
                for each in group:
                    if each.answer is not None:
                        gaps.cost(each.unit, store.fill(each.unit, each.answer, gaps.fill(each.answer.checked.good)))

    def _fill(self, plan: Plan, store: Store, gaps: Gaps, judge: Judgement) -> None:
        """Asks the other sources for what the answers lacked, code by code. What nobody has is no failure of its own.

        Codes that met an outage are asked for once more at the end: a site that blocks does so for a while.
        """
        others = [source for source in self._router.serving(plan.dataset, Grain.CODE) if source.name not in gaps.left_by]
        units = gaps.units() if others else []
        for _ in range(_ROUNDS):
            if units:
                names = ", ".join(source.name for source in others)
                _logger.info("%s: %d codes have gaps, asking %s", plan.dataset.name, len(units), names)
            units = self._fill_round(plan, store, gaps, judge, units)

    def _fill_round(self, plan: Plan, store: Store, gaps: Gaps, judge: Judgement, units: Sequence[Unit]) -> list[Unit]:
        """Fills what comes; the units that met an outage."""
        unlucky = []
        by_code = replace(plan, grain=Grain.CODE, units=tuple(units))
        for group in self._fetch(by_code, units, judge, without=gaps.left_by) if units else ():
            with store.connection.transaction():
                items = [
                    store.fill(each.unit, each.answer, gaps.fill(each.answer.checked.good))
                    for each in group
                    if each.answer is not None
                ]
                record(store.connection, self._run, plan.dataset, items)
            unlucky += [each.unit for each in group if each.error is not None and each.error.outage]
        return unlucky

    def _settle(self, plan: Plan, connection: psycopg.Connection, gaps: Gaps, outcome: Outcome, tell: OnCommitted) -> None:
        """Records what became of the sessions that had gaps; those that lack too much have failed."""
        for unit, item in gaps.settled():
            record(connection, self._run, plan.dataset, [item])
            if item.failed:
                outcome.failed[unit] = item
                _logger.warning("%s %s failed: %s", plan.dataset.name, unit, item.error)
                continue
            outcome.synced[unit] = item
            if gaps.holds_back(unit):
                tell(unit, item)

    def _complete(self, plan: Plan, connection: psycopg.Connection, due: Due, outcome: Outcome, tell: OnCommitted) -> None:
        """Records the sessions of a whole market that was asked for code by code: complete where no row due is lacking."""
        for first in range(0, len(plan.labels), _CHUNK):
            labels = plan.labels[first : first + _CHUNK]
            rows = read(
                self._database, plan.dataset, start=labels[0], end=labels[-1], columns=["trade_date", "ts_code", "source"]
            )
            by_day = rows.partition_by("trade_date", as_dict=True)
            for label in labels:
                came = by_day.get((label,), rows.clear())
                owed, missing = len(due.codes(label)), due.missing(label, came["ts_code"])
                if owed and len(missing) > max(due.allowed([label]) * owed, FEW):
                    continue
                unit = Unit.session(label)
                sources = ", ".join(came["source"].unique().sort().to_list())
                item = item_of(unit, source=sources or None, rows=came.height, missing=len(missing))
                record(connection, self._run, plan.dataset, [item])
                outcome.complete[unit] = item
                tell(unit, item)

    def _fetch(
        self, plan: Plan, todo: Sequence[Unit], judge: Judgement, *, without: frozenset[str] = frozenset()
    ) -> Iterator[list[Fetched]]:
        """Groups of fetched units, as they come: what came while the last group was written makes the next one."""
        workers = self._router.concurrency(plan.dataset, plan.grain)
        waiting = iter(todo)

        def one(unit: Unit) -> Fetched:
            try:
                answer = self._router.fetch(
                    plan.dataset, unit, lambda frame, source: judge(unit, frame, source), without=without
                )
                return Fetched(unit, answer, None)
            except Unanswered as error:
                return Fetched(unit, None, error)

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
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def _silent(unit: Unit, item: Item) -> None:
    """For callers that do not listen."""
