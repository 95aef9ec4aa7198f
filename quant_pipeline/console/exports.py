"""What the commands of the exports do and show: facts for --json, a few lines and a moving one for a person."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from quant_pipeline.console.insight import Output
from quant_pipeline.console.words import duration
from quant_pipeline.exports.contract import Export, Origin, Written
from quant_pipeline.exports.contract import Progress as Done
from quant_pipeline.language import marked, say, say_many, told
from quant_pipeline.resources import opened
from quant_pipeline.resources.instance import prepare_environment
from quant_pipeline.retelling import retold
from quant_pipeline.settings import Settings
from quant_pipeline.sources.failures import in_words

_PARTS_SHOWN = 8
_UNREPORTED = marked("the export is written; the UI's page of its asset does not show this run: {why}")
_logger = logging.getLogger(__name__)


def exported(settings: Settings, export: Export, console: Console) -> Output:
    """Writes what changed, and says what that was. ExportError, in words, where it cannot."""
    began = time.monotonic()
    database = opened.database(settings)
    origin = Origin(settings, database, opened.calendar(database))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(export.name, total=None)

        def moved(at: Done) -> None:
            bar.update(task, description=f"{export.name} {at.at}", completed=at.done, total=at.total)

        written = export.run(origin, moved)
    seconds = time.monotonic() - began
    if (unreported := _unreported(export, written)) is not None:
        written = replace(written, notes=[*written.notes, unreported])
    return _output(export, written, seconds)


def _unreported(export: Export, written: Written) -> str | None:
    """Reports the run as a materialization of the export's asset, as the UI's own. Why it could not be; None: it was.

    What was written stands in any case: no export fails for its report.
    """
    from quant_pipeline.loading import uncollected

    try:
        with uncollected():
            import dagster as dg

            from quant_pipeline.assets.exports import shown
        prepare_environment()
        with dg.DagsterInstance.get() as instance:
            instance.report_runless_asset_event(dg.AssetMaterialization(f"export_{export.name}", metadata=shown(written)))
    except Exception as error:
        _logger.debug("the export's run could not be reported", exc_info=True)
        return told(_UNREPORTED, why=in_words(error))
    return None


def _output(export: Export, written: Written, seconds: float) -> Output:
    facts: dict[str, Any] = {
        "export": export.name,
        "place": written.place,
        "reading": export.reading.format(place=written.place),
        "changed": written.changed,
        "written": list(written.parts),
        "unchanged": written.unchanged,
        "removed": written.removed,
        "rows": written.rows,
        "bytes": written.bytes,
        "seconds": round(seconds, 1),
        "notes": list(written.notes),
    }
    shown = [Text(line) for line in _lines(written, seconds)]
    shown.append(Text(say("Read it: {line}", line=export.reading.format(place=written.place)), "cyan"))
    return Output(facts, [*shown, *(Text(f"! {retold(note)}") for note in written.notes)], as_written=True)


def _lines(written: Written, seconds: float) -> list[str]:
    if not written.changed:
        return [say("Nothing changed, nothing was written: {place}", place=written.place)]
    parts = ", ".join(written.parts[:_PARTS_SHOWN]) + (" …" if len(written.parts) > _PARTS_SHOWN else "")
    counted = say_many("{count} part written", "{count:,} parts written", len(written.parts))
    figures = say(
        "{written} ({rows} rows, {size} MB), {unchanged} unchanged, {removed} removed, in {took}",
        written=counted,
        rows=f"{written.rows:,}",
        size=f"{written.bytes / 1e6:.1f}",
        unchanged=f"{written.unchanged:,}",
        removed=f"{written.removed:,}",
        took=duration(seconds),
    )
    return [figures, *([parts] if parts else []), written.place]
