"""The asset checks of a data set, made from its spec: they look at the sessions of the run that they belong to."""

import datetime as dt
from collections.abc import Iterator

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.assets.metadata import origin, table
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.notify.messages import Message, check_noticed, checks_failed
from quant_pipeline.partitions import sessions_of
from quant_pipeline.resources.pushplus import PushPlusResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sync.checks import Check, Scope, Verdict, checks_of
from quant_pipeline.sync.periods import labels_of


def dataset_checks(dataset: Dataset) -> dg.AssetChecksDefinition:
    """All checks of the data set, in one step. Run alone (no partition), they look at the last 20 sessions."""
    checks = {check.name: check for check in checks_of(dataset)}

    @dg.multi_asset_check(
        name=f"{dataset.name}_checks",
        specs=[
            dg.AssetCheckSpec(check.name, asset=dataset.name, description=f"{check.zh} · {check.doc}")
            for check in checks.values()
        ],
        can_subset=True,
    )
    def checked(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource, pushplus: PushPlusResource
    ) -> Iterator[dg.AssetCheckResult]:
        calendar = warehouse.calendar()
        scope = Scope(warehouse.database, dataset, _labels(context, dataset, calendar), calendar)
        chosen = {key.name for key in context.selected_asset_check_keys}
        failed: list[tuple[str, str]] = []
        for check in (check for name, check in checks.items() if name in chosen):
            verdict = check.judge(scope)
            if not verdict.passed and not check.warns:
                failed.append((f"{check.zh} {check.name}", verdict.text))
            for key, text in verdict.news.items():
                pushplus.tell(key, _news(context, dataset, check, text))
            yield _result(dataset, check, verdict, scope)
        if failed:
            pushplus.tell(f"checks-failed:{context.run.run_id}:{dataset.name}", _message(context, scope, failed))

    return checked


def _message(context: dg.AssetCheckExecutionContext, scope: Scope, failed: list[tuple[str, str]]) -> Message:
    current = settings.load()
    return checks_failed(
        dataset=scope.dataset.name,
        sessions=_span(scope),
        failed=failed,
        run_id=context.run.run_id,
        ui_url=current.ui_url,
        sandbox=current.sandboxed,
    )


def _news(context: dg.AssetCheckExecutionContext, dataset: Dataset, check: Check, text: str) -> Message:
    current = settings.load()
    return check_noticed(
        dataset=dataset.name,
        check=f"{check.zh} {check.name}",
        text=text,
        run_id=context.run.run_id,
        ui_url=current.ui_url,
        sandbox=current.sandboxed,
    )


def _span(scope: Scope) -> str:
    return f"{scope.sessions[0]} .. {scope.sessions[-1]}" if scope.sessions else "all"


def _labels(context: dg.AssetCheckExecutionContext, dataset: Dataset, calendar: Calendar) -> list[dt.date]:
    """The sessions (the labels of weeks and months) that the run is about; without any, those of the last 20 sessions."""
    if not dataset.dated:
        return []  # a list is checked past the calendar's end too: it may be what mends it
    latest = calendar.latest(ready=dataset.ready)
    asked = sessions_of(context.run.tags, calendar, dataset.partition) or calendar.window(latest, 20)
    return list(labels_of(dataset, calendar, [session for session in asked if session <= latest]))


def _result(dataset: Dataset, check: Check, verdict: Verdict, scope: Scope) -> dg.AssetCheckResult:
    metadata = origin() | {"sessions": _span(scope), "looked_at": verdict.looked_at, "offending": verdict.offending.height}
    if not verdict.offending.is_empty():
        metadata["rows"] = table(verdict.offending)
    return dg.AssetCheckResult(
        asset_key=dataset.name,
        check_name=check.name,
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.WARN if check.warns else dg.AssetCheckSeverity.ERROR,
        description=verdict.text,
        metadata=metadata,
    )
