"""What earlier runs left behind before a command begins, and what there is to tell when it ends."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from rich.console import Console
from rich.markup import escape

from quant_pipeline.assets.alerts import shown_job, tell_of_failure, tell_of_recovery
from quant_pipeline.console.launch import Launched
from quant_pipeline.console.words import SHORT
from quant_pipeline.resources.dead_runs import end_dead_runs
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.postman import POSTMAN
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sync.ledger import COMMAND_ID_TAG

_PATIENCE = 5.0
"""Seconds that a command waits for its messages, to say what became of them; they are sent even so."""


def clear_up(instance: dg.DagsterInstance, warehouse: WarehouseResource, console: Console) -> None:
    """Ends the runs whose process died, and tells of them.

    Works without a daemon. Where one runs, its sensor tells of the same run under the same key: once.
    """
    notifier = NotifierResource(warehouse=warehouse)
    for dead in end_dead_runs(instance, warehouse.database):
        number = dead.tags.get(COMMAND_ID_TAG, dead.run_id)[:SHORT]  # as `history` has it
        console.print(f"[yellow]![/] {escape(shown_job(dead.job))} ({number}): {escape(dead.told)}", highlight=False)
        run = instance.get_run_by_id(dead.run_id)
        if run is not None and not dead.cancelled:
            tell_of_failure(notifier, run, cause=dead.cause)


def conclude(warehouse: WarehouseResource, launched: Sequence[Launched]) -> None:
    """Tells what is well again after these runs, looks at the rules of the alerts, and lets the messages go.

    Works without a daemon, as `clear_up` does.
    """
    if not launched:
        return
    notifier = NotifierResource(warehouse=warehouse)
    with dg.DagsterInstance.get() as instance:
        for each in launched:
            run = instance.get_run_by_id(each.run_id) if each.success else None
            if run is not None:
                tell_of_recovery(notifier, run)
    notifier.evaluate()
    POSTMAN.finish(_PATIENCE)
