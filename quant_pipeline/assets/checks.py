"""The asset checks of a data set, made from its spec: they look at the sessions of the run that they belong to."""

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.alerts.rules import CHECK_FAILED
from quant_pipeline.assets.describe import in_both
from quant_pipeline.assets.labels import labelled
from quant_pipeline.assets.metadata import origin, table
from quant_pipeline.language import told
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.notify.messages import Message, check_noticed, checks_failed
from quant_pipeline.partitions import sessions_of
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.options import options_of
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.retelling import for_readers
from quant_pipeline.sync.checks import Check, Scope, Verdict, checks_of
from quant_pipeline.sync.ledger import units_of
from quant_pipeline.sync.periods import labels_of
from quant_pipeline.sync.progress import tell_step
from quant_pipeline.sync.symbols import codes_of
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

_NAMED = 50


def dataset_checks(dataset: Dataset) -> dg.AssetChecksDefinition:
    """All checks of the data set, in one step. Run alone (no partition), they look at the last 20 sessions.

    Dagster skips this step where the data set's own has failed: that one then judges what it stored itself (`judge_stored`).
    """

    @dg.multi_asset_check(
        name=f"{dataset.name}_checks",
        specs=[
            dg.AssetCheckSpec(check.name, asset=dataset.name, description=in_both(check.zh, check.doc))
            for check in checks_of(dataset)
        ],
        can_subset=True,
    )
    def checked(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource, notifier: NotifierResource
    ) -> Iterator[dg.AssetCheckResult]:
        tell_step(told("checks of {dataset}", dataset=dataset.name))
        chosen = {key.name for key in context.selected_asset_check_keys}
        for check, verdict, scope in _judged(context.run, dataset, warehouse, notifier, chosen):
            yield dg.AssetCheckResult(asset_key=dataset.name, check_name=check.name, **_facts(check, verdict, scope))

    return checked


def judge_stored(
    context: dg.AssetExecutionContext, dataset: Dataset, warehouse: WarehouseResource, notifier: NotifierResource
) -> None:
    """Judges what a run stored of the data set, before its step fails for what it could not; nothing where no row is stored."""
    empty = f"SELECT NOT EXISTS (SELECT FROM {dataset.name})"
    if read_sql(warehouse.database, empty).item():
        return
    for check, verdict, scope in _judged(context.run, dataset, warehouse, notifier):
        facts = _facts(check, verdict, scope)
        context.log_event(dg.AssetCheckEvaluation(asset_key=context.asset_key, check_name=check.name, **facts))


def _judged(
    run: dg.DagsterRun,
    dataset: Dataset,
    warehouse: WarehouseResource,
    notifier: NotifierResource,
    chosen: Collection[str] | None = None,
) -> Iterator[tuple[Check, Verdict, Scope]]:
    """The checks' verdicts (default: of all checks) over what the run was asked for and stored; failed errors are told."""
    scope = _scope(run, dataset, warehouse)
    if scope is None:
        return
    failed: list[tuple[str, str]] = []
    for check in checks_of(dataset):
        if (chosen is not None and check.name not in chosen) or (scope.codes and not check.of_codes):
            continue
        verdict = _verdict(check, scope)
        if not verdict.passed and not check.warns:
            failed.append((f"{check.zh} {check.name}", verdict.text))
        for key, text in verdict.news.items():
            notifier.tell(key, _news(run.run_id, dataset, check, text))
        yield check, verdict, scope
    if failed:
        cause = "; ".join(f"{check}: {text}" for check, text in failed)
        key, message = f"checks-failed:{run.run_id}:{dataset.name}", _message(run.run_id, scope, failed)
        link = f"{settings.load().ui_url}/runs/{run.run_id}"
        notifier.alert(CHECK_FAILED, _subject(scope), cause, key=key, message=message, link=link)
    elif chosen is None or {check.name for check in checks_of(dataset)}.issubset(chosen):
        notifier.over(CHECK_FAILED, _judged_again_by(scope))


def _verdict(check: Check, scope: Scope) -> Verdict:
    """A check that cannot be made has not passed, and hides no other, nor why a step failed."""
    try:
        return check.judge(scope)
    except Exception as error:
        return Verdict(False, told("the check could not be made: {error}", error=error))


def _scope(run: dg.DagsterRun, dataset: Dataset, warehouse: WarehouseResource) -> Scope | None:
    """What the run was asked for, as far as it is stored; None where nothing of it is.

    A plain sync is asked for sessions: those that failed are left out, their failure is told already, and so is one that goes
    on and has no row yet. One of some codes is
    asked for these alone, and one of what failed or wants repair for what it tried again. Run without any session, the checks
    look at the last 20.
    """
    database = warehouse.database
    calendar = warehouse.calendar()
    if not dataset.dated:
        return Scope(database, dataset, [], calendar)  # a list is checked past the calendar's end too: it may be what mends it
    latest = calendar.latest(ready=dataset.ready)
    asked = sessions_of(run.tags, calendar, dataset.partition) or calendar.window(latest, 20)
    labels = labels_of(dataset, calendar, [session for session in asked if session <= latest])
    with database.connect() as connection:
        units = units_of(connection, run.run_id, dataset)
    config = options_of(run.run_config)
    codes: Sequence[str] = sorted({unit.ts_code for unit in units if unit.ts_code is not None})
    if config.get("retry_failed") or config.get("repair"):
        stored = [unit for unit, was_stored in units.items() if was_stored]
        sessions = {unit.end for unit in stored if unit.ts_code is None}
        if not sessions:
            sessions = {day for day in labels if any(unit.start <= day <= unit.end for unit in stored)}
        else:
            codes = []
        tried = sorted(sessions)
        return Scope(database, dataset, tried, calendar, codes) if tried else None
    lost = {unit.end for unit, was_stored in units.items() if not was_stored and unit.ts_code is None}
    kept = [label for label in labels if label not in lost and not _awaited(database, dataset, calendar, label)]
    if labels and not kept:
        return None
    return Scope(database, dataset, kept, calendar, codes_of(dataset, config.get("symbols") or ()))


def _awaited(database: Database, dataset: Dataset, calendar: Calendar, label: dt.date) -> bool:
    """Whether the session goes on, and has no row yet: what the sources in use have after the close only."""
    if label <= calendar.latest():
        return False
    query = f"SELECT NOT EXISTS (SELECT FROM {dataset.name} WHERE trade_date = %(session)s)"
    return bool(read_sql(database, query, {"session": label}).item())


def _message(run_id: str, scope: Scope, failed: list[tuple[str, str]]) -> Message:
    current = settings.load()
    return checks_failed(
        dataset=scope.dataset.name,
        sessions=_span(scope),
        failed=failed,
        run_id=run_id,
        ui_url=current.ui_url,
        sandbox=current.sandboxed,
    )


def _news(run_id: str, dataset: Dataset, check: Check, text: str) -> Message:
    current = settings.load()
    return check_noticed(
        dataset=dataset.name,
        check=f"{check.zh} {check.name}",
        text=text,
        run_id=run_id,
        ui_url=current.ui_url,
        sandbox=current.sandboxed,
    )


def _subject(scope: Scope) -> str:
    """The data set and its sessions; of one that was judged for some codes, also these."""
    return " ".join([scope.dataset.name, *([_span(scope)] if scope.sessions else []), *scope.codes])


def _judged_again_by(scope: Scope) -> Callable[[str], bool]:
    """Whether all of what an alert is about (`_subject`) was judged again: its sessions lie within these, so do its codes."""

    def again(subject: str) -> bool:
        name, *rest = subject.split(" ")
        if name != scope.dataset.name or not scope.sessions or not rest:
            return name == scope.dataset.name
        first, _, last, *codes = rest
        within = f"{scope.sessions[0]}" <= first and last <= f"{scope.sessions[-1]}"
        return within and (not scope.codes or (bool(codes) and set(codes) <= set(scope.codes)))

    return again


def _span(scope: Scope) -> str:
    return f"{scope.sessions[0]} .. {scope.sessions[-1]}" if scope.sessions else "all"


def _facts(check: Check, verdict: Verdict, scope: Scope) -> dict[str, Any]:
    """The verdict as Dagster shows it."""
    metadata = origin() | {"sessions": _span(scope), "looked_at": verdict.looked_at, "offending": verdict.offending.height}
    if scope.codes:
        metadata["codes"] = ", ".join(scope.codes[:_NAMED])
    if not verdict.offending.is_empty():
        metadata["rows"] = table(verdict.offending)
    return {
        "passed": verdict.passed,
        "severity": dg.AssetCheckSeverity.WARN if check.warns else dg.AssetCheckSeverity.ERROR,
        "description": for_readers(verdict.text),
        "metadata": labelled(metadata),
    }
