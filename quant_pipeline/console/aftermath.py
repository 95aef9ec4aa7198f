"""What earlier runs left behind: those whose process died are ended, and told of, before a command begins."""

from __future__ import annotations

import dagster as dg
from rich.console import Console
from rich.markup import escape

from quant_pipeline import settings
from quant_pipeline.assets.alerts import failure_key, shown_job, units_page
from quant_pipeline.notify.messages import run_failed
from quant_pipeline.resources.dead_runs import end_dead_runs
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.warehouse import WarehouseResource


def clear_up(instance: dg.DagsterInstance, warehouse: WarehouseResource, console: Console) -> None:
    """Works without a daemon. Where one runs, its sensor tells of the same run under the same key: once."""
    ended = end_dead_runs(instance, warehouse.database)
    current, notifier = settings.load(), NotifierResource(warehouse=warehouse)
    for run in ended:
        console.print(f"[yellow]![/] {escape(shown_job(run.job))} ({run.run_id[:8]}): {escape(run.told)}", highlight=False)
        if run.cancelled:
            continue
        message = run_failed(
            job=shown_job(run.job),
            step="",
            run_id=run.run_id,
            cause=run.cause,
            ui_url=current.ui_url,
            units_url=units_page(run.run_id, run.tags, current.pages_url),
            sandbox=current.sandboxed,
        )
        notifier.tell(failure_key(run.run_id, run.tags), message)
