"""The commands `run` and `sync`: what is missing, the launch, the report."""

from __future__ import annotations

import datetime as dt
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import dagster as dg
from rich.console import Console

from quant_pipeline.console import progress, report, tasks
from quant_pipeline.console.aftermath import clear_up, conclude
from quant_pipeline.console.launch import Launched, launch, side_by_side
from quant_pipeline.console.notes import show_note
from quant_pipeline.console.nothing_to_do import OVERVIEW, refuse_when_busy
from quant_pipeline.console.past_session import past_session, without_the_newest
from quant_pipeline.console.planning import Planner, planner
from quant_pipeline.console.render import show_total
from quant_pipeline.console.turns import turn_after
from quant_pipeline.console.windows import Window, session_of, taken_instead
from quant_pipeline.jobs import operations_report
from quant_pipeline.language import say
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset, Partition
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.overview.stored import latest_stored
from quant_pipeline.partitions import range_tags
from quant_pipeline.resources.dagster_private.names import ADHOC_JOB
from quant_pipeline.resources.instance import prepare_environment
from quant_pipeline.resources.options import NAMED_TAG
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.retelling import retold
from quant_pipeline.selections import DAILY_SYNC, SCREENS
from quant_pipeline.settings import Settings
from quant_pipeline.sources.router import one_command
from quant_pipeline.switches import screens_on
from quant_pipeline.sync.insight.history import PLANNED_TAG
from quant_pipeline.sync.ledger import COMMAND_ID_VARIABLE
from quant_pipeline.sync.plan import Plan, PlanError
from quant_pipeline.sync.slot import held
from quant_pipeline.sync.syncer import Request
from quant_pipeline.warehouse.database import Database


@dataclass(frozen=True)
class Order:
    """What `sync` was asked for."""

    datasets: Sequence[Dataset]
    windows: Mapping[str, Window]
    """Data set -> its sessions: what is ready before the open has one more than what is there in the evening."""
    symbols: Sequence[str] = ()
    sources: Sequence[str] = ()
    force: bool = False
    retry_failed: bool = False
    repair: bool = False
    named: bool = False
    """Whether the data sets were named: then one that no source in use serves is a failure, else it is skipped."""

    @property
    def last_session(self) -> dt.date:
        return max(window.end for window in self.windows.values())

    @property
    def request(self) -> Request:
        """As the syncer's, without sessions and codes, which each data set has of its own."""
        return Request(sources=self.sources, force=self.force, failed=self.retry_failed, repair=self.repair)

    @property
    def options(self) -> dict[str, Any]:
        """As the options of a run."""
        return {
            "force": self.force,
            "sources": list(self.sources),
            "symbols": list(self.symbols),
            "retry_failed": self.retry_failed,
            "repair": self.repair,
        }


class NothingServed(RuntimeError):
    """No source in use gives what is asked for; the text says why of each."""


def run(
    settings: Settings,
    console: Console,
    warehouse: WarehouseResource,
    calendar: Calendar,
    *,
    date: dt.date | None,
    began: float,
) -> report.Report:
    """The main job: syncs what is missing up to the session, checks it, screens it, notifies.

    `began`: when the command did, by the monotonic clock.
    """
    with one_command():
        return _run(settings, console, warehouse, calendar, date=date, began=began)


def _run(
    settings: Settings,
    console: Console,
    warehouse: WarehouseResource,
    calendar: Calendar,
    *,
    date: dt.date | None,
    began: float,
) -> report.Report:
    database = warehouse.database
    session = session_of(calendar, date)
    for note in taken_instead(calendar, date):
        show_note(console, note)
    prepare_environment()
    with dg.DagsterInstance.get() as instance:
        clear_up(instance, warehouse, console)
        unmade = _unmade(instance, session, [*SCREENS, OVERVIEW])
    refuse_when_busy(database)
    command_id = _new_id()
    # From before the plan to the last run: of two commands that begin at once, the later one is refused as a whole.
    with held(database, command_id, queue=False, trigger="quant-pipeline run"):
        launched, skipped = _all_of_run(warehouse, calendar, session, console, unmade, command_id)
    conclude(warehouse, launched)
    launched = [without_the_newest(calendar, session, each) for each in launched]
    return _report(settings, database, session, launched, began, command_id=command_id, screened=True, skipped=skipped)


def _all_of_run(
    warehouse: WarehouseResource,
    calendar: Calendar,
    session: dt.date,
    console: Console,
    unmade: set[str],
    command_id: str,
) -> tuple[list[Launched], list[str]]:
    """What `run` launched, and what it left out. `unmade`: screens and overview that the session has none of yet."""
    todo, plans, problems, skipped = _todo(warehouse, calendar, session, console)
    beside = {name for lane in _names(_lanes(todo, tasks.Stage.BESIDE)) for name in lane}
    with progress.shown(console, plans, _uncounted(problems), beside, _names(_lanes(todo, tasks.Stage.LAST))):
        launched = _in_stages(todo, _units(plans), command_id)
        if not any(task.whole for task in todo) and unmade.intersection(SCREENS):
            tags = range_tags(Partition.SESSION, session, session)
            launched.append(launch(DAILY_SYNC, tags, selection=SCREENS, trigger="run", command_id=command_id))
        # At last, when all that the day is made of is there; without its bars there is no day.
        if (launched or OVERVIEW in unmade) and latest_stored(warehouse.database, session) == session:
            tags = range_tags(Partition.SESSION, session, session)
            launched.append(launch(DAILY_SYNC, tags, selection=[OVERVIEW], trigger="run", command_id=command_id))
        if launched:
            launch(operations_report.name, {}, trigger="run", command_id=command_id)  # its pages tell of this run too
    return launched, skipped


def _todo(
    warehouse: WarehouseResource, calendar: Calendar, session: dt.date, console: Console
) -> tuple[list[tasks.Task], list[Plan], list[PlanError], list[str]]:
    """What `run` has to do, its plan, what cannot be planned yet, and what is left out because no source in use has it."""
    todo = tasks.missing_tasks(warehouse.database, calendar, session)
    if not todo:
        return [], [], [], []
    with planner(warehouse) as planning:
        datasets = [dataset for task in todo for dataset in task.datasets]
        _tell_unusable(planning, console, datasets)
        unserved = planning.unserved(datasets, Request())
        if unserved:
            todo = tasks.missing_tasks(warehouse.database, calendar, session, without=unserved)
        plans: list[Plan] = []
        problems: list[PlanError] = []
        for task in todo:
            more, unplanned = planning.plans(task.datasets, {each.name: task.window for each in task.datasets}, Request())
            plans, problems = plans + more, problems + unplanned
    if planning.unusable and DAILY_KLINE.name in unserved:  # what is derived of bars may still look served
        raise NothingServed(unserved[DAILY_KLINE.name])
    if todo:
        for note in past_session(calendar, session, todo):
            show_note(console, note)
        show_total(plans, problems, console)
    return todo, plans, problems, [say("{why}. Skipped", why=retold(why)) for why in unserved.values()]


def screen(
    settings: Settings,
    console: Console,
    warehouse: WarehouseResource,
    calendar: Calendar,
    name: str,
    *,
    date: dt.date | None,
    began: float,
) -> report.Report:
    """Materializes one screen of the session, whether or not `run` runs it: over what is stored, nothing is synced.

    ValueError where the session has no bars.
    """
    session = session_of(calendar, date)
    for note in taken_instead(calendar, date):
        show_note(console, note)
    if latest_stored(warehouse.database, session) != session:
        raise ValueError(say("no bars of {session} are stored to screen: quant-pipeline run --date {session}", session=session))
    command_id, tags = _new_id(), range_tags(Partition.SESSION, session, session)
    launched = launch(ADHOC_JOB, tags, selection=[f"screen_{name}"], trigger="screen", command_id=command_id)
    return _report(settings, warehouse.database, session, [launched], began, command_id=command_id, screened=True, screen=name)


def sync(settings: Settings, console: Console, *, order: Order, began: float) -> report.Report:
    """Syncs what is ordered, without screens; `force` fetches again and queues behind another sync."""
    with one_command():
        return _sync(settings, console, order=order, began=began)


def _sync(settings: Settings, console: Console, *, order: Order, began: float) -> report.Report:
    warehouse = WarehouseResource()
    database = warehouse.database
    prepare_environment()
    with dg.DagsterInstance.get() as instance:
        clear_up(instance, warehouse, console)
    if not order.force:
        refuse_when_busy(database)
    command_id = _new_id()
    with held(database, command_id, queue=order.force, trigger="quant-pipeline sync"):
        launched = _all_of_sync(warehouse, console, order, command_id)
    conclude(warehouse, launched)
    launched = [without_the_newest(warehouse.calendar(), order.last_session, each) for each in launched]
    return _report(settings, database, order.last_session, launched, began, command_id=command_id, screened=False)


def _all_of_sync(warehouse: WarehouseResource, console: Console, order: Order, command_id: str) -> list[Launched]:
    """What `sync` launched."""
    with planner(warehouse, order.sources) as planning:
        _tell_unusable(planning, console, order.datasets)
        plans, problems, unserved = _planned(planning, order)
    if planning.unusable:
        _demand_any(order.datasets, unserved | {str(why).partition(":")[0]: str(why) for why in problems if not why.dataset})
    show_total(plans, problems, console, failed=order.retry_failed, repair=order.repair)
    if (order.retry_failed or order.repair) and not problems and not _units(plans):
        return []  # a run would check again what nobody has touched
    with progress.shown(console, plans, _uncounted(problems)):
        return [
            _launched(
                task,
                options=order.options,
                named=order.named,
                planned=_units(plans),
                queue=order.force,
                trigger="sync",
                command_id=command_id,
            )
            for task in tasks.asked_tasks(order.datasets, order.windows)
        ]


def plan(order: Order, console: Console) -> tuple[list[Plan], list[PlanError]]:
    """What `sync` would fetch: the plan of each data set, and what cannot be planned yet, in words.

    Nothing is fetched, and no run is made.
    """
    with one_command(), planner(WarehouseResource(), order.sources) as planning:
        _tell_unusable(planning, console, order.datasets)
        plans, problems, unserved = _planned(planning, order)
    if planning.unusable:
        _demand_any(order.datasets, unserved | {str(why).partition(":")[0]: str(why) for why in problems if not why.dataset})
    return plans, [*problems, *map(PlanError, unserved.values())]


def _uncounted(problems: Sequence[PlanError]) -> list[str]:
    """The data sets that cannot be counted before others are fetched."""
    return list(dict.fromkeys(problem.dataset for problem in problems if problem.dataset))


def _tell_unusable(planning: Planner, console: Console, datasets: Sequence[Dataset]) -> None:
    """The sources that cannot be asked (no token, a wrong one, missing points): once, before anything is planned."""
    for why in [*planning.unusable, *planning.refused_before(datasets)]:
        show_note(console, why)


def _demand_any(datasets: Sequence[Dataset], unserved: Mapping[str, str]) -> None:
    """Raises NothingServed where no source in use gives any of the data sets."""
    if not unserved or not all(dataset.name in unserved for dataset in datasets):
        return
    first, *others = unserved.values()
    if not others:
        raise NothingServed(first)
    whys = dict.fromkeys(why.partition("; ")[2] for why in unserved.values())
    text = say("no source in use gives any of the {count} data sets that are asked for", count=len(unserved))
    raise NothingServed("; ".join(filter(None, [text, *whys])))


def _planned(planning: Planner, order: Order) -> tuple[list[Plan], list[PlanError], dict[str, str]]:
    """The plans, what cannot be planned yet, and what no source in use has: the run leaves that out, unless it was named."""
    unserved = {} if order.named else planning.unserved(order.datasets, order.request)
    served = [dataset for dataset in order.datasets if dataset.name not in unserved]
    return *planning.plans(served, order.windows, order.request, order.symbols), unserved


def _lanes(todo: Sequence[tasks.Task], stage: tasks.Stage) -> list[list[tasks.Task]]:
    """The tasks of the stage in lanes: those of one follow one another, beside those of the others.

    Weeks and months share one, for they ask for the same halts; and with more lanes than two in the last stage the checks and
    screens beside them, which take longest, starve.
    """
    of_stage = [task for task in todo if task.stage is stage]
    by_day = [task for task in of_stage if task.job == DAILY_SYNC]
    others = [task for task in of_stage if task.job != DAILY_SYNC]
    return [lane for lane in (by_day, others) if lane]


def _names(lanes: Sequence[Sequence[tasks.Task]]) -> list[list[str]]:
    """The data sets of each lane."""
    return [[dataset.name for task in lane for dataset in task.datasets] for lane in lanes]


def _units(plans: Sequence[Plan]) -> int:
    return sum(len(plan.units) for plan in plans)


def _in_stages(todo: Sequence[tasks.Task], planned: int, command_id: str) -> list[Launched]:
    """Runs the tasks of `run`: at once what needs nothing of each other, so that the quotas of all are used."""

    def done(lane: Sequence[tasks.Task]) -> list[Launched]:
        return [_launched(task, screens=task.whole, planned=planned, trigger="run", command_id=command_id) for task in lane]

    first, bars, beside, last = (_lanes(todo, stage) for stage in tasks.Stage)
    lists = [launched for lane in first for launched in done(lane)]
    with turn_after({name for lane in _names(bars) for name in lane}) as turn:
        return lists + side_by_side(
            *(partial(turn.at_the_latest_after, partial(done, lane)) for lane in bars),
            *(partial(done, lane) for lane in beside),
            *(partial(turn.after, partial(done, lane)) for lane in last),
        )


def _launched(
    task: tasks.Task,
    *,
    screens: bool = False,
    options: dict[str, Any] | None = None,
    named: bool = False,
    planned: int,
    queue: bool = False,
    trigger: str,
    command_id: str,
) -> Launched:
    """Runs a task. `planned`: the units of all tasks of the command, by which one that is broken off is judged."""
    selection = [*(dataset.name for dataset in task.datasets), *(SCREENS if screens else [])]
    partition = next((dataset.partition for dataset in task.datasets if dataset.dated), Partition.SESSION)
    tags = range_tags(partition, task.window.start, task.window.end) | ({NAMED_TAG: "true"} if named else {})
    tags |= {PLANNED_TAG: str(planned)}
    return launch(
        task.job,
        tags,
        selection=selection,
        options=options,
        queue=queue,
        trigger=trigger,
        command_id=command_id,
    )


def _new_id() -> str:
    """Short enough to be read as a tag of a run, long enough to be a call's own. Who started the command may have chosen it."""
    return os.environ.pop(COMMAND_ID_VARIABLE, "") or uuid.uuid4().hex[:12]


def _report(
    settings: Settings,
    database: Database,
    session: dt.date,
    launched: list[Launched],
    began: float,
    *,
    command_id: str,
    screened: bool,
    screen: str | None = None,
    skipped: Sequence[str] = (),
) -> report.Report:
    run_ids = [each.run_id for each in launched]
    made = report.Report(
        settings.mode.value,
        session,
        run_id=next(iter(run_ids), None),
        run_ids=run_ids,
        command_id=command_id if run_ids else None,
        nothing_to_do=not launched,
        hits=report.hits(database, session, screen) if screened else None,
        stored=not screened or latest_stored(database, session) == session,
        unscreened=report.unscreened(database, session, [screen] if screen else list(screens_on())) if screened else [],
        messages=report.messages(
            database, session if screened else None, command_id, screen or "%", seconds=time.monotonic() - began
        ),
        seconds=time.monotonic() - began,
    )
    synced = report.synced(database, run_ids)
    of_units = {row["dataset"] for row in synced["datasets"] if row["failed"]}
    return replace(
        made,
        status=_worst([_status(database, each) for each in launched]),
        # A step that failed for units which are listed says nothing more.
        errors=[text for each in launched for text in each.failures if text.partition(":")[0] not in of_units],
        skipped=list(dict.fromkeys([*skipped, *(retold(note) for each in launched for note in each.skipped)])),
        checks_passed=sum(each.checks_passed for each in launched),
        checks_failed=[_failed_check(check) for each in launched for check in each.checks_failed],
        **synced,
    )


def _status(database: Database, launched: Launched) -> str:
    status = report.run_status(database, launched.run_id) or "success"
    return status if launched.success or status != "success" else "failed"


def _worst(statuses: list[str]) -> str:
    """One failed run among others leaves a success with errors."""
    if len(set(statuses)) > 1:
        return "success_with_errors"
    return statuses[0] if statuses else "success"


def _failed_check(check: dg.AssetCheckEvaluation) -> dict[str, str]:
    return {
        "asset": check.asset_key.to_user_string(),
        "check": check.check_name,
        "severity": check.severity.value,
        "text": check.description or "",
    }


def _unmade(instance: dg.DagsterInstance, session: dt.date, assets: Sequence[str]) -> set[str]:
    """Those of the assets that the session has none of yet."""
    key = session.isoformat()
    return {name for name in assets if key not in instance.get_materialized_partitions(dg.AssetKey(name))}
