"""The runs of one call of a command as one row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from quant_pipeline.sync.insight.history import Page
from quant_pipeline.warehouse.rows import Row

_SUMMED = (
    "units_planned",
    "units_skipped",
    "units_asked",
    "units_done_of_asked",
    "units_done",
    "units_failed",
    "rows_inserted",
    "rows_updated",
    "rows_unchanged",
    "rows_rejected",
    "calls",
)
_FIRST_OF = ("running", "died", "interrupted")
"""One part that stands so, and the command does."""


def parts_of(page: Page[list[Row]]) -> list[dict[str, Any]]:
    """The page's rows, a run each: by_source is read, `parts` names the run itself."""
    return [row | {"by_source": json.loads(row["by_source"]), "parts": [row["run"]]} for row in page.rows]


def commands_of(page: Page[list[Row]]) -> list[dict[str, Any]]:
    """The runs of each call of a command as one row: its sums, from the start of the first to the end of the last."""
    calls: dict[str, list[Mapping[str, Any]]] = {}
    for row in parts_of(page):
        calls.setdefault(row["command"], []).append(row)
    return [_command(sorted(of_call, key=lambda row: row["started_at"])) for of_call in calls.values()]


def _command(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first, last = runs[0], runs[-1]
    if len(runs) == 1:
        return _of_all_planned({**first, "run": first["command"]})
    ends = [run["finished_at"] for run in runs]
    whole = {
        **first,
        "run": first["command"],
        "parts": [run["run"] for run in runs],
        "status": _status_of([run["status"] for run in runs]),
        "finished_at": None if None in ends else max(ends),
        "seconds": (last["started_at"] - first["started_at"]).total_seconds() + last["seconds"],
        **{name: sum(run[name] for run in runs) for name in _SUMMED},
        "by_source": _merged([run["by_source"] for run in runs]),
        "error": "; ".join(dict.fromkeys(run["error"] for run in runs if run["error"])) or None,
    }
    return _of_all_planned(whole)


def _of_all_planned(row: dict[str, Any]) -> dict[str, Any]:
    """Of a command that did not come to its end, what it never came to counts as asked for too."""
    if row["status"] in _FIRST_OF:
        row["units_asked"] = max(row["units_asked"], row["units_of_command"] or 0)
    return row


def _status_of(statuses: Sequence[str]) -> str:
    for each in _FIRST_OF:
        if each in statuses:
            return each
    return statuses[0] if len(set(statuses)) == 1 else "success_with_errors"


def _merged(counts: Iterable[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """Source -> its counts, summed over the runs."""
    sums: dict[str, dict[str, float]] = {}
    for of_run in counts:
        for source, figures in of_run.items():
            known = sums.setdefault(source, {})
            for name, figure in figures.items():
                known[name] = round(known.get(name, 0) + figure, 2)
    return sums
