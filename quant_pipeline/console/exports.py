"""What the commands of the exports do and show: facts for --json, a few lines and a moving one for a person."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from quant_pipeline.console.insight import Output
from quant_pipeline.console.words import duration
from quant_pipeline.exports.contract import Export, Origin, Written
from quant_pipeline.exports.contract import Progress as Done
from quant_pipeline.language import say, say_many
from quant_pipeline.resources import opened
from quant_pipeline.retelling import retold
from quant_pipeline.settings import Settings

_PARTS_SHOWN = 8


def exported(settings: Settings, export: Export, console: Console) -> Output:
    """Writes what changed, and says what that was. ExportError, in words, where it cannot."""
    began = time.monotonic()
    database = opened.database(settings)
    origin = Origin(settings, database, opened.calendar(database))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(export.name, total=None)

        def told(at: Done) -> None:
            bar.update(task, description=f"{export.name} {at.at}", completed=at.done, total=at.total)

        written = export.run(origin, told)
    return _output(export, written, time.monotonic() - began)


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
