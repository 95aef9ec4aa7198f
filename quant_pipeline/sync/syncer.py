"""The syncer: turns what is asked for (sessions, codes, a mode) into plans, and has the engine carry them out."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from quant_pipeline.language import marked, told
from quant_pipeline.market import clock
from quant_pipeline.market.calendar import FIRST_SESSION, Calendar, CalendarError
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, NAME_HISTORY, SPECIAL_TREATMENT, SUSPENSIONS, TRADE_CALENDAR
from quant_pipeline.sources.base import Source
from quant_pipeline.sources.derived import DerivedSource
from quant_pipeline.sources.ranking import Ranking
from quant_pipeline.sources.router import Router
from quant_pipeline.sources.units import Grain, Unit, is_running
from quant_pipeline.sync import repair
from quant_pipeline.sync.acceptance import labels_of_unit
from quant_pipeline.sync.engine import Engine, OnCommitted, Outcome
from quant_pipeline.sync.ledger import UNKNOWN_CODE, Item, ItemStatus, Ledger, item_of, record
from quant_pipeline.sync.periods import labels_of, span_of
from quant_pipeline.sync.plan import Plan, PlanError, plan_list, plan_rows, plan_units, unserved
from quant_pipeline.sync.reconcile import Heard, reconcile
from quant_pipeline.sync.references import lists_of, needs_halts, needs_marks
from quant_pipeline.sync.roster import Roster, groups
from quant_pipeline.sync.synced import synced_before
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

_logger = logging.getLogger(__name__)
_WITHOUT = marked("{dataset} could not be synced: answers are judged without it")


@dataclass(frozen=True)
class Request:
    """What is asked for. `sessions`: of lists ignored · `codes`: only these · `sources`: only these, in their ranking.

    `force`: also what was synced before · `failed`: only units whose last attempt failed · `repair`: only what is short,
    breaks a check, or was restated by its source.
    """

    sessions: Sequence[dt.date] = ()
    codes: Sequence[str] = ()
    sources: Sequence[str] = ()
    force: bool = False
    failed: bool = False
    repair: bool = False

    @property
    def again(self) -> bool:
        """Whether what was synced before is fetched again."""
        return self.force or self.repair or self.failed


class Syncer:
    """Plans and syncs data sets, for one run of the ledger."""

    def __init__(
        self,
        database: Database,
        calendar: Calendar,
        sources: Sequence[Source],
        ranking: Ranking,
        ledger: Ledger,
        run: str,
    ) -> None:
        self._database = database
        self._calendar = calendar
        self._sources = tuple(sources)
        self._ranking = ranking
        self._ledger = ledger
        self._run = run
        self._planned: dict[str, set[Unit]] = {}

    def as_of(self, dataset: Dataset) -> dt.date:
        """The session as of which a list is asked for: the latest one.

        Past the calendar's end only the calendar itself can still be asked for (it brings the new year).
        """
        try:
            return self._calendar.latest()
        except CalendarError:
            if dataset is not TRADE_CALENDAR:
                raise
            return clock.today()

    def unserved(self, dataset: Dataset, request: Request) -> str | None:
        """Why no source in use can give the data set (what those lack that could), in words; None where one can."""
        router = self._router(request)
        return None if any(router.serving(dataset, grain) for grain in Grain) else unserved(dataset, router)

    def awaited(self, dataset: Dataset, request: Request) -> tuple[dt.date, ...]:
        """The sessions asked for that go on, and that no source in use can have yet, though one will after the close.

        They are no failure: they are left out of plan and sync, and come with the evening's. What is tried again or repaired
        was had before.
        """
        if not dataset.dated or request.failed or request.repair:
            return ()
        router = self._router(request)
        servers = router.serving(dataset, Grain.SESSION)
        going_on = [session for session in request.sessions if session > self._calendar.latest()] if servers else []
        units = {session: Unit.session(session) for session in going_on}
        return tuple(day for day, unit in units.items() if not any(router.can_have(each, dataset, unit) for each in servers))

    def plan(self, dataset: Dataset, request: Request) -> list[Plan]:
        """What will be fetched, references first, without what was synced before, or planned before by this syncer.

        PlanError when it cannot be planned.
        """
        request = self._without_awaited(dataset, request)
        router = self._router(request)
        done = {*self._done(dataset, request), *self._too_early(dataset, request)}
        plans = self._plans(dataset, router, request, done)
        if not request.again:
            plans = [self._lacking(each) for each in plans]
        references = self._references(dataset, router, plans, request) if any(plan.units for plan in plans) else []
        new = [self._not_planned(each) for each in references] + plans
        for each in new:
            self._planned.setdefault(each.dataset.name, set()).update(each.units)
        return [each for each in new if each.units or each.dataset is dataset]

    def sync(self, dataset: Dataset, request: Request, *, on_committed: OnCommitted | None = None) -> Outcome:
        """Carries the request out.

        What an answer is judged against (the lists, the sessions' suspensions) is synced first where it is not there: without
        it a cut answer could not be told from a whole one.
        """
        request = self._without_awaited(dataset, request)
        router = self._router(request)
        engine = Engine(self._database, router, self._calendar, self._ledger, self._run)
        done = self._done(dataset, request)
        if self._anything_to_do(dataset, request, done):
            self._sync_lists(router, engine, dataset)
        early = [unit for unit in self._too_early(dataset, request) if unit not in done]
        outcome = Outcome(before=done)
        self._ledger.plan(self._run, len(done), len(done))
        self._record_too_early(dataset, early, outcome, on_committed)
        plans = self._plans(dataset, router, request, {*done, *early})
        if any(plan.units for plan in plans):
            self._sync_days(router, engine, dataset, plans, request)
        self._refuse_unknown(dataset, request, outcome)
        for planned in plans:
            _logger.info("Plan: %s", planned, extra={"plan": planned})
            outcome.add(engine.sync(planned, again=request.again, force=request.force, on_committed=on_committed))
        if request.repair and dataset is ADJ_FACTOR:
            for planned in self._plans_for(dataset, router, repair.restated(self._database, request.sessions)):
                outcome.add(engine.sync(planned, again=True, on_committed=on_committed))
        return outcome

    def reconcile(self, dataset: Dataset, sessions: Sequence[dt.date], rotation: int) -> list[Heard]:
        """Compares the data set's stored rows with what second sources say: see `reconcile`."""
        router = self._router(Request())
        return reconcile(self._database, self._calendar, router, self._run, dataset, sessions, rotation)

    def _without_awaited(self, dataset: Dataset, request: Request) -> Request:
        awaited = self.awaited(dataset, request)
        return replace(request, sessions=[day for day in request.sessions if day not in awaited]) if awaited else request

    def _done(self, dataset: Dataset, request: Request) -> dict[Unit, Item]:
        """The sessions (weeks, months) asked for whose rows of all codes were synced before, and need not be again."""
        if request.again or request.codes or not dataset.dated:
            return {}
        units = [Unit.session(label) for label in labels_of(dataset, self._calendar, request.sessions)]
        return self._synced_before(dataset, units)

    def _too_early(self, dataset: Dataset, request: Request) -> list[Unit]:
        """The sessions (weeks, months) asked for of which there can be no row: they are owed by nobody, and asked of nobody."""
        if not dataset.dated or request.codes or request.repair:
            return []
        if request.failed:
            units = [unit for unit in self._failed_units(dataset, request) if unit.grain is Grain.SESSION]
        else:
            units = [Unit.session(label) for label in labels_of(dataset, self._calendar, request.sessions)]
        if not units:
            return []
        roster = Roster.load(self._database, dataset, self._calendar)
        return [unit for unit in units if roster.too_early(unit.start)]

    def _record_too_early(
        self, dataset: Dataset, early: Sequence[Unit], outcome: Outcome, on_committed: OnCommitted | None
    ) -> None:
        """Records them as synced, with no row and no call: nobody waits for them any more."""
        if not early:
            return
        text = told(
            "{dataset}: before its first day there is nothing to fetch: {span}",
            dataset=dataset.name,
            span=str(early[0]) if len(early) == 1 else f"{early[0]} .. {early[-1]} ({len(early)})",
        )
        _logger.info(text)
        items = {unit: item_of(unit) for unit in early}
        with self._database.connect() as connection:
            record(connection, self._run, dataset, items.values())
        self._ledger.plan(self._run, len(early), 0)
        outcome.synced |= items
        for unit, item in items.items():
            if on_committed is not None:
                on_committed(unit, item)

    def _plans(self, dataset: Dataset, router: Router, request: Request, done: Collection[Unit]) -> list[Plan]:
        if request.failed:
            failed = [unit for unit in self._failed_units(dataset, request) if unit not in done]
            return self._plans_for(dataset, router, failed)
        if not dataset.dated:
            asked = self._groups(dataset, request)
            return [plan_list(dataset, router, as_of=self.as_of(dataset), rows=self._stored(dataset), groups=asked)]
        labels = labels_of(dataset, self._calendar, request.sessions)
        if request.repair:
            by_session = bool(router.serving(dataset, Grain.SESSION))
            wrong = repair.units(self._database, dataset, self._calendar, labels, by_session=by_session)
            return self._plans_for(dataset, router, wrong)
        roster = Roster.load(self._database, dataset, self._calendar)
        codes = [code for code in request.codes if code not in roster.unknown(request.codes)]
        if request.codes and not codes:
            return []
        left = [label for label in labels if Unit.session(label) not in done]
        return [plan_rows(dataset, router, roster, left, codes=codes)]

    def _groups(self, dataset: Dataset, request: Request) -> Sequence[str]:
        """The concepts and industries whose members are asked for."""
        if not dataset.universe:
            return ()
        known = groups(self._database, dataset)
        if not known:
            lists = ", ".join(dataset.universe)
            text = told("{dataset}: no board is known yet, sync {lists} first", dataset=dataset.name, lists=lists)
            raise PlanError(text, dataset=dataset.name)
        return [code for code in request.codes if code in known] if request.codes else known

    def _refuse_unknown(self, dataset: Dataset, request: Request, outcome: Outcome) -> None:
        """Records codes that no list names as failed: they are asked of nobody, who could take it for a ban or an empty day."""
        if not request.codes or request.failed or request.repair:
            return
        roster = Roster.load(self._database, dataset, self._calendar)
        labels = labels_of(dataset, self._calendar, request.sessions) or (self.as_of(dataset),)
        lists = ", ".join(dataset.universe)
        for code in roster.unknown(request.codes):
            unit = Unit.code(code, labels[0], labels[-1]) if dataset.dated else Unit.members(code, labels[-1])
            text = told(
                "{dataset} {unit}: {code} is in no list ({lists}): check the code, or sync the list with --force",
                dataset=dataset.name,
                unit=unit,
                code=code,
                lists=lists,
            )
            item = item_of(unit, status=ItemStatus.FAILED, error_class=UNKNOWN_CODE, error=text)
            with self._database.connect() as connection:
                record(connection, self._run, dataset, [item])
            self._ledger.plan(self._run, 1, 0)
            outcome.failed[unit] = item

    def _anything_to_do(self, dataset: Dataset, request: Request, done: Collection[Unit]) -> bool:
        """Whether the data set may have to be fetched at all: where not, nothing is asked for it either."""
        if request.failed:
            return bool(self._failed_units(dataset, request))
        if not dataset.dated:
            return True
        return any(Unit.session(label) not in done for label in labels_of(dataset, self._calendar, request.sessions))

    def _failed_units(self, dataset: Dataset, request: Request) -> list[Unit]:
        """The units that failed at their last attempt, within the sessions asked for; of a list as of now."""
        failed = self._ledger.failed(dataset)
        if not dataset.dated:
            now = self.as_of(dataset)
            return [replace(unit, start=now, end=now) for unit in failed]
        first, last = (request.sessions[0], request.sessions[-1]) if request.sessions else (dt.date.min, dt.date.max)
        return [unit for unit in failed if first <= unit.end and unit.start <= last]

    def _plans_for(self, dataset: Dataset, router: Router, units: Sequence[Unit]) -> list[Plan]:
        """The plans for given units: one per grain."""
        by_grain: dict[Grain, dict[Unit, None]] = {}
        for unit in units:
            by_grain.setdefault(unit.grain, {})[unit] = None
        return [plan_units(dataset, router, grain, list(of_grain)) for grain, of_grain in by_grain.items()]

    def _stored(self, dataset: Dataset) -> int:
        """About how many rows a list will have: as many as it had; of a calendar also where none is stored yet."""
        rows: int = read_sql(self._database, f"SELECT count(*) AS n FROM {dataset.name}").item()
        if dataset is TRADE_CALENDAR:
            return max(rows, (dt.date(self.as_of(dataset).year + 1, 12, 31) - FIRST_SESSION).days)
        return rows

    def _lacking(self, planned: Plan) -> Plan:
        """The plan without its units that were done before."""
        known = self._synced_before(planned.dataset, planned.units)
        return planned.of([unit for unit in planned.units if unit not in known])

    def _synced_before(self, dataset: Dataset, units: Sequence[Unit]) -> dict[Unit, Item]:
        return synced_before(self._database, self._calendar, self._ledger, dataset, units)

    def _not_planned(self, planned: Plan) -> Plan:
        """The plan without its units that this syncer has planned before."""
        known = self._planned.get(planned.dataset.name, set())
        return planned.of([unit for unit in planned.units if unit not in known])

    def _references(self, dataset: Dataset, router: Router, plans: Sequence[Plan], request: Request) -> list[Plan]:
        """The plans of what is lacking of the references; those that cannot be planned are left out."""
        found = []
        for reference in lists_of(dataset):
            with contextlib.suppress(PlanError):
                found += [self._lacking(each) for each in self._plans(reference, router, Request(), {})]
        named = any(plan.dataset is NAME_HISTORY and plan.units for plan in found)
        return [
            *found,
            *self._halts(dataset, router, plans, request),
            *([] if named else self._marks(dataset, router, plans)),
            *self._running_bars(dataset, router, plans, request),
        ]

    def _halts(self, dataset: Dataset, router: Router, plans: Sequence[Plan], request: Request) -> list[Plan]:
        """The plan for the suspensions of what is planned: of its sessions, or only those of the codes that are asked for."""
        if not needs_halts(dataset):
            return []
        units = [unit for plan in plans for unit in plan.units]
        labels = {label for unit in units for label in labels_of_unit(dataset, self._calendar, unit)}
        days = sorted({day for label in labels for day in span_of(dataset, self._calendar, label)})
        named = bool(request.codes) or request.failed or request.repair
        codes = sorted({unit.ts_code for unit in units if unit.ts_code is not None}) if named else []
        wanted = Request(sessions=days, codes=codes if all(unit.ts_code is not None for unit in units) else ())
        try:
            plans = self._plans(SUSPENSIONS, router, wanted, self._done(SUSPENSIONS, replace(wanted, codes=())))
        except PlanError:
            return []
        return [self._lacking(each) for each in plans]

    def _marks(self, dataset: Dataset, router: Router, plans: Sequence[Plan]) -> list[Plan]:
        """The plan for who was ST, of the sessions whose rows may have to be counted, where no names say it."""
        units = [unit for plan in plans for unit in plan.units if needs_marks(dataset, unit.start)]
        counts = any(source.name == DerivedSource.name for source in router.serving(dataset, Grain.SESSION))
        if not units or not counts or self._stored(NAME_HISTORY):
            return []
        days = sorted({unit.start for unit in units if unit.grain is Grain.SESSION})
        wanted = Request(sessions=days)
        try:
            plans = self._plans(SPECIAL_TREATMENT, router, wanted, self._done(SPECIAL_TREATMENT, wanted))
            return [self._lacking(each) for each in plans]
        except PlanError:
            return []

    def _running_bars(self, dataset: Dataset, router: Router, plans: Sequence[Plan], request: Request) -> list[Plan]:
        """The plan for the daily bars that the running week or month is made of, as far as they are lacking."""
        running = [unit for plan in plans for unit in plan.units if is_running(dataset, unit.end, self._calendar)]
        derives = (source.name == DerivedSource.name for source in router.serving(dataset, Grain.SESSION))
        if not running or not any(derives):
            return []
        days = sorted({day for unit in running for day in span_of(dataset, self._calendar, unit.end)})
        codes = sorted({unit.ts_code for unit in running if unit.ts_code is not None}) if request.codes else []
        wanted = Request(sessions=days, codes=codes)
        try:
            plans = self._plans(DAILY_KLINE, router, wanted, self._done(DAILY_KLINE, replace(wanted, codes=())))
        except PlanError:
            return []
        return [self._lacking(each) for each in plans]

    def _sync_lists(self, router: Router, engine: Engine, dataset: Dataset) -> None:
        """Without them (no permission, say) the sync goes on, and judges more leniently."""
        for reference in lists_of(dataset):
            try:
                lacking = [self._lacking(each) for each in self._plans(reference, router, Request(), {})]
                failed = any(plan.units and engine.sync(plan).failed for plan in lacking)
            except PlanError:
                failed = True
            if failed:
                _logger.warning(told(_WITHOUT, dataset=reference.name))

    def _sync_days(self, router: Router, engine: Engine, dataset: Dataset, plans: Sequence[Plan], request: Request) -> None:
        halts = self._halts(dataset, router, plans, request)
        if needs_halts(dataset) and (not halts or any(plan.units and engine.sync(plan).failed for plan in halts)):
            _logger.warning(told(_WITHOUT, dataset=SUSPENSIONS.name))
        for planned in (*self._marks(dataset, router, plans), *self._running_bars(dataset, router, plans, request)):
            if planned.units:
                engine.sync(planned)  # what fails here is named by the row that cannot be made

    def _router(self, request: Request) -> Router:
        if not request.sources:
            return Router(self._sources, self._ranking)
        known = {source.name: source for source in self._sources}
        unknown = [name for name in request.sources if name not in known]
        if unknown:
            in_use = ", ".join(known) or "-"
            text = told("unknown or switched-off source: {names} (in use: {known})", names=", ".join(unknown), known=in_use)
            raise PlanError(text)
        return Router([known[name] for name in request.sources], self._ranking, owners=self._sources)
