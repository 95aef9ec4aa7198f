"""A finding as a line for a person, and as facts for --json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from quant_pipeline.console.doctor.findings import Finding, State
from quant_pipeline.language import marked, say

_MARKS: Final = {
    State.OK: (marked("OK"), "green"),
    State.WARNING: (marked("warning"), "yellow"),
    State.FAILED: (marked("failed"), "red"),
    State.SKIPPED: (marked("skipped"), "dim"),
}
_NAMES: Final = {
    "versions": marked("versions"),
    "database": marked("database"),
    "tables": marked("tables"),
    "disk": marked("disk"),
    "clock": marked("clock"),
    "zone": marked("time zone"),
    "calendar": marked("calendar"),
    "sources": marked("sources"),
    "messages": marked("messages"),
    "vault": marked("vault"),
    "ths account": marked("THS login"),
    "daemon": marked("daemon"),
    "schedules": marked("schedules"),
    "strategies": marked("strategies"),
    "channels": marked("channels"),
}


def line_of(finding: Finding) -> Table:
    """State, matter and words side by side; what to do under the words."""
    mark, style = _MARKS[finding.state]
    matter = _NAMES.get(finding.matter)  # a source's is its name
    words = Text(finding.words)
    if finding.advice:
        words.append(f"\n→ {finding.advice}", style)
    line = Table.grid(padding=(0, 1))
    line.add_column(width=8, no_wrap=True)
    line.add_column(width=10, no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(Text(say(mark), style), Text(finding.matter if matter is None else say(matter), "bold"), words)
    return line


def facts_of(finding: Finding) -> dict[str, Any]:
    return asdict(finding)
