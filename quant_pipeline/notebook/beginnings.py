"""Warns where a frame begins later than it was asked to, because what lies before was never synced: it would be taken for all
that there is."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Sequence

import polars as pl

from quant_pipeline.language import say
from quant_pipeline.market.calendar import Calendar, CalendarError
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import FACTORS, SOURCED
from quant_pipeline.notebook.errors import LateBeginning
from quant_pipeline.notebook.opened import Opened
from quant_pipeline.sync.held import lacking
from quant_pipeline.sync.periods import closed_labels
from quant_pipeline.sync.roster import Roster

_APART = 20
"""Codes that are looked at each from its own listing on; of more, those that were listed when the frame was to begin."""
_NAMED = 5


def warn_of_late_beginnings(
    opened: Opened,
    asked: Sequence[tuple[Dataset, Sequence[str] | None]],
    rows: pl.DataFrame,
    start: dt.date | None,
    *,
    stacklevel: int,
) -> None:
    """Of each data set that was read of these codes (None: of the market), in one warning. `rows`: trade_date and, where codes
    were asked for, ts_code. A code that was listed later than `start` begins with its listing, and one that was halted then
    lacks nothing. `stacklevel`: as `warnings.warn` takes it."""
    if start is None or rows.is_empty():
        return
    found = []
    for dataset, codes in asked:
        if dataset.name not in SOURCED or not dataset.dated:
            continue
        try:
            if codes is None:
                words = _of_market(opened, dataset, rows, start)
            else:
                words = _of_codes(opened, dataset, codes, rows, start)
        except CalendarError:
            continue  # of days that the calendar does not know nothing can be owed
        found += [words] if words else []
    if found:
        warnings.warn("; ".join(found), LateBeginning, stacklevel=stacklevel + 1)


def _of_market(opened: Opened, dataset: Dataset, rows: pl.DataFrame, start: dt.date) -> str | None:
    first: dt.date = rows["trade_date"].min()  # type: ignore[assignment]
    if first <= start:
        return None
    calendar = opened.calendar()
    roster = Roster.load(opened.database, dataset, calendar)
    labels = [label for label in _labels(dataset, calendar, start, first) if not roster.too_early(label)]
    if len(labels) < 2 or lacking(opened.database, dataset, calendar, labels[:1], None) is None:
        return None
    return say(
        "{dataset} is stored from {first} on, what was asked for begins on {start}. Fetch it: {command}",
        dataset=dataset.name,
        first=first,
        start=labels[0],
        command=_command(dataset, (), labels),
    )


def _of_codes(opened: Opened, dataset: Dataset, codes: Sequence[str], rows: pl.DataFrame, start: dt.date) -> str | None:
    firsts = dict(rows.group_by("ts_code").agg(pl.col("trade_date").min()).iter_rows())
    late = {code: firsts[code] for code in codes if code in firsts and firsts[code] > start}
    if not late:
        return None
    calendar = opened.calendar()
    listed = Roster.load(opened.database, dataset, calendar).listed
    lives = dict(listed.filter(pl.col("ts_code").is_in(list(late))).select("ts_code", "list_date").iter_rows())
    if len(late) > _APART:
        lives = {code: day for code, day in lives.items() if day <= start}
    due: dict[dt.date, list[str]] = {}
    for code, day in lives.items():
        labels = _labels(dataset, calendar, max(start, day), late[code])
        if len(labels) > 1:
            due.setdefault(labels[0], []).append(code)
    lost = {
        code: label
        for label, of_label in due.items()
        if (lack := lacking(opened.database, dataset, calendar, [label], of_label)) is not None
        for code in lack.codes or ()
    }
    if not lost:
        return None
    return say(
        "{dataset} of {codes} is stored from {first} on, what was asked for begins on {start}. Fetch it: {command}",
        dataset=dataset.name,
        codes=", ".join(list(lost)[:_NAMED]) + (" …" if len(lost) > _NAMED else ""),
        first=min(late[code] for code in lost),
        start=min(lost.values()),
        command=_command(
            dataset,
            list(lost) if len(lost) <= _APART else (),
            _labels(dataset, calendar, min(lost.values()), max(late[code] for code in lost)),
        ),
    )


def _labels(dataset: Dataset, calendar: Calendar, start: dt.date, first: dt.date) -> Sequence[dt.date]:
    """From what was asked for to the first row."""
    return closed_labels(dataset, calendar, max(start, calendar.first, dataset.first or calendar.first), first)


def _command(dataset: Dataset, codes: Sequence[str], labels: Sequence[dt.date]) -> str:
    """What brings the labels but the last, which is there; of bars also what adjusts them."""
    names = [dataset.name, *(name for name, bars in FACTORS.items() if bars is dataset)]
    symbols = f" --symbols {','.join(codes)}" if codes else ""
    return f"quant-pipeline sync --datasets {','.join(names)}{symbols} --start {labels[0]} --end {labels[-2]}"
