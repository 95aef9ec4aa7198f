"""The engine: fetches a plan's units at the sources' pace, judges them, commits rows and record together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice

import polars as pl
import psycopg

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.validation import Checked, validate
from quant_pipeline.sources.failures import Unanswered
from quant_pipeline.sources.router import Answer, Router
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.coverage import Due, judge_rows, judge_snapshot
from quant_pipeline.sync.ledger import Item, Ledger, item_of, record
from quant_pipeline.sync.plan import Plan
from quant_pipeline.sync.progress import ProgressLog
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.rejected import store_rejected
from quant_pipeline.warehouse.upsert import Upserted, replace_rows, upsert

_logger = logging.getLogger(__name__)
OnCommitted = Callable[[Unit, Item], None]


@dataclass
class Outcome:
    """What became of a plan: `synced` units in order of commit, `before` those that were done already, `failed` the rest."""

    synced: dict[Unit, Item] = field(default_factory=dict)
    before: dict[Unit, Item] = field(default_factory=dict)
    failed: dict[Unit, Item] = field(default_factory=dict)

    def total(self, counter: str) -> int:
        """The sum of one of Item's counters over the units that were asked for in this sync."""
        return sum(getattr(item, counter) for item in (*self.synced.values(), *self.failed.values()))

    @property
    def sources(self) -> list[str]:
        return sorted({item.source for item in self.synced.values() if item.source})


@dataclass(frozen=True)
class _Fetched:
    unit: Unit
    answer: Answer | None
    error: Unanswered | None


class Engine:
    """Syncs data sets for one run of the ledger. One process may run several plans, one after the other."""

    def __init__(self, database: Database, router: Router, calendar: Calendar, ledger: Ledger, run: str) -> None:
        self._database = database
        self._router = router
        self._calendar = calendar
        self._ledger = ledger
        self._run = run

    def sync(self, plan: Plan, *, force: bool = False, on_committed: OnCommitted | None = None) -> Outcome:
        """Fetches, checks and commits the plan's units; those that were synced before are left out unless `force`.

        `on_committed` is called for each unit right after its rows and its record are committed, in this thread. A unit's
        failure is recorded and does not stop the others. Memory holds a few units, however long the plan.
        """
        before = {} if force else self._ledger.done(plan.dataset, plan.units)
        outcome = Outcome(before={unit: before[str(unit)] for unit in plan.units if str(unit) in before})
        todo = [unit for unit in plan.units if str(unit) not in before]
        self._ledger.plan(self._run, len(plan.units), len(outcome.before))
        if not todo:
            return outcome
        progress = ProgressLog(plan.dataset.name, len(todo))
        judge = self._judge(plan, todo)
        with self._database.connect() as connection:
            for group in self._fetch(plan, todo, judge):
                with connection.transaction():
                    items = self._store(connection, plan, group, force)
                    record(connection, self._run, plan.dataset, items.values())
                for unit, item in items.items():
                    (outcome.failed if item.failed else outcome.synced)[unit] = item
                    progress.add(rows=item.rows, failed=item.failed)
                    if item.failed:
                        _logger.warning("%s %s failed: %s", plan.dataset.name, unit, item.error)
                    elif on_committed:
                        on_committed(unit, item)
        return outcome

    def _judge(self, plan: Plan, todo: Sequence[Unit]) -> Callable[[Unit, pl.DataFrame], Checked]:
        dataset, sessions = plan.dataset, frozenset(self._calendar.sessions)
        if plan.grain is Grain.SNAPSHOT:
            stored = self._stored_rows(dataset)

            def snapshot(unit: Unit, frame: pl.DataFrame) -> Checked:
                del unit
                checked = validate(dataset, frame, expected_session=None, sessions=sessions)
                judge_snapshot(dataset, checked.good, stored)
                return checked

            return snapshot
        due = Due.load(self._database, min(unit.start for unit in todo), max(unit.end for unit in todo))

        def rows(unit: Unit, frame: pl.DataFrame) -> Checked:
            expected = unit.start if unit.grain is Grain.SESSION else None
            checked = validate(dataset, frame, expected_session=expected, sessions=sessions)
            judge_rows(dataset, unit, checked, due, self._calendar.between(unit.start, unit.end))
            return checked

        return rows

    def _stored_rows(self, dataset: Dataset) -> int:
        with self._database.connect() as connection:
            row = connection.execute(f"SELECT count(*) FROM {dataset.name}").fetchone()
        return int(row[0]) if row else 0

    def _fetch(
        self, plan: Plan, todo: Sequence[Unit], judge: Callable[[Unit, pl.DataFrame], Checked]
    ) -> Iterator[list[_Fetched]]:
        """Groups of fetched units, as they come: what came while the last group was written makes the next one."""
        workers = self._router.concurrency(plan.dataset, plan.grain)
        waiting = iter(todo)

        def one(unit: Unit) -> _Fetched:
            try:
                return _Fetched(unit, self._router.fetch(plan.dataset, unit, lambda frame: judge(unit, frame)), None)
            except Unanswered as error:
                return _Fetched(unit, None, error)

        with ThreadPoolExecutor(workers, thread_name_prefix=plan.dataset.name) as pool:
            under_way: set[Future[_Fetched]] = set()
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

    def _store(self, connection: psycopg.Connection, plan: Plan, group: Sequence[_Fetched], force: bool) -> dict[Unit, Item]:
        """Writes a group in the caller's transaction: a unit's good rows, its refused rows, or its failure."""
        new = self._all_new(connection, plan, group)
        return {each.unit: self._store_one(connection, plan, each, force, new=new) for each in group}

    def _all_new(self, connection: psycopg.Connection, plan: Plan, group: Sequence[_Fetched]) -> bool:
        """Writes the rows of several sessions in one go where all of them are new, as they are in a backfill.

        The index is then filled in its order, which is half the work. False, with nothing written, for any other group:
        its units are written one by one, for the sake of true counts for each.
        """
        answers = [each.answer for each in group if each.answer is not None]
        sources = {answer.source for answer in answers}
        if plan.grain is not Grain.SESSION or len(answers) < 2 or len(sources) > 1:
            return False
        rows = pl.concat([answer.checked.good for answer in answers])
        with connection.transaction() as attempt:
            if upsert(connection, plan.dataset, rows, source=sources.pop()).inserted == rows.height:
                return True
            raise psycopg.Rollback(attempt)
        return False

    def _store_one(self, connection: psycopg.Connection, plan: Plan, fetched: _Fetched, force: bool, *, new: bool) -> Item:
        if fetched.answer is None:
            assert fetched.error is not None
            return _failed(fetched.unit, fetched.error)
        answer, dataset = fetched.answer, plan.dataset
        rows = answer.checked.good
        if new:
            written = Upserted(inserted=rows.height)
        else:
            # A list is whole: what it no longer holds is gone (not where rows were refused, which may be those).
            whole_list = plan.grain is Grain.SNAPSHOT and answer.checked.bad.is_empty()
            write = replace_rows if whole_list else upsert
            priority = self._router.priority
            written = write(connection, dataset, rows, source=answer.source, priority=priority, force=force)
        store_rejected(connection, dataset, answer.checked.bad, source=answer.source, unit=str(fetched.unit))
        return item_of(
            fetched.unit,
            source=answer.source,
            rows=rows.height,
            inserted=written.inserted,
            updated=written.updated,
            unchanged=written.unchanged,
            rejected=answer.checked.bad.height,
            attempts=answer.attempts,
            calls=answer.calls,
            seconds=answer.seconds,
        )


def _failed(unit: Unit, error: Unanswered) -> Item:
    last = error.failures[-1] if error.failures else None
    return item_of(
        unit,
        source=last.source if last else None,
        status="failed",
        attempts=error.attempts,
        calls=error.calls,
        error_class=last.failure.value if last else None,
        error=str(error),
    )
