"""Exports: the stored rows in the form of another tool, an asset for each that is registered."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl

from quant_pipeline import settings
from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.describe import in_both
from quant_pipeline.assets.events import NOTHING
from quant_pipeline.assets.failures import Failed
from quant_pipeline.assets.labels import labelled
from quant_pipeline.assets.launchpad import fields_of
from quant_pipeline.assets.metadata import origin, table
from quant_pipeline.exports.contract import Export, ExportError, Origin, Progress, Written
from quant_pipeline.exports.registry import by_themselves, registered
from quant_pipeline.language import speaking
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.retelling import for_readers

GROUP = "exports"
_LISTED = 50
_STEPS = 10
"""Lines in a run's log that tell how far it has come."""


def export_asset(kind: type[Export], *, by_itself: bool) -> dg.AssetsDefinition:
    """The asset of an export. It runs when it is asked to, and `by_itself` also when the lake is new."""

    @dg.asset(
        name=f"export_{kind.name}",
        deps=["lake"],
        group_name=GROUP,
        description=_description(kind),
        kinds=set(kind.kinds),
        owners=["team:market-data"],
        automation_condition=_when_the_lake_is_new() if by_itself else None,
        dagster_type=NOTHING,
        hooks={tell_failure},
        config_schema=dict(fields_of(kind.Parameters)),
    )
    def export(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
        current = settings.load()
        with speaking("en"):  # a failure is kept in English: `Failed` says it to its readers
            try:
                asked = kind.Parameters(**context.op_execution_context.op_config)
                written = kind(asked).run(Origin(current, warehouse.database, warehouse.calendar()), _logged(context))
            except ExportError as error:
                raise Failed(str(error)) from None
        return dg.MaterializeResult(metadata=shown(written))

    return export


def _logged(context: dg.AssetExecutionContext) -> Callable[[Progress], None]:
    """Tells how far it has come, a tenth at a time."""
    told = [-1]

    def line(at: Progress) -> None:
        step = at.done * _STEPS // at.total if at.total else 0
        if step > told[0]:
            told[0] = step
            context.log.info("%d/%d: %s", at.done, at.total, at.at)

    return line


def shown(written: Written) -> dict[str, Any]:
    """What a materialization of an export says, whoever ran it."""
    facts: dict[str, Any] = {
        "path": dg.MetadataValue.path(written.place),
        **origin(),
        "parts_written": len(written.parts),
        "unchanged": written.unchanged,
        "removed": written.removed,
        "rows": written.rows,
        "megabytes": round(written.bytes / 1e6, 1),
    }
    if not written.changed:
        facts["note"] = "nothing changed, nothing was written 没有变动，未写入"
    if written.notes:
        facts["notes"] = "; ".join(for_readers(note) for note in written.notes)
    if written.parts:
        facts["parts"] = table(pl.DataFrame({"写入 written": list(written.parts[:_LISTED])}))
    return labelled(facts)


def _description(kind: type[Export]) -> str:
    return (
        f"{in_both(kind.zh, kind.doc)}\n\n"
        # As code: Markdown takes the stars of a path away.
        f"读取 Read it: `{kind.reading.format(place='…')}`\n\n命令行 Command: `quant-pipeline export {kind.name}`"
    )


def _when_the_lake_is_new() -> dg.AutomationCondition[Any]:
    new = dg.AutomationCondition.any_deps_updated().since_last_handled()
    quiet = ~dg.AutomationCondition.any_deps_in_progress() & ~dg.AutomationCondition.in_progress()
    return (new & quiet).with_label("when_the_lake_is_new")


_BY_THEMSELVES = by_themselves()
EXPORTS = [export_asset(kind, by_itself=name in _BY_THEMSELVES) for name, kind in registered().items()]
"""An asset per registered export, plug-ins included."""
