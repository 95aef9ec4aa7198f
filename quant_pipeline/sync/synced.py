"""What was synced before and need not be again: as the ledger says, as long as the lists say no more than they did then."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import polars as pl

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Coverage, Dataset
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.acceptance import labels_of_unit
from quant_pipeline.sync.ledger import Item, ItemStatus, Ledger, item_of
from quant_pipeline.sync.roster import Roster
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read


def synced_before(
    database: Database, calendar: Calendar, ledger: Ledger, dataset: Dataset, units: Sequence[Unit]
) -> dict[Unit, Item]:
    """Those of the units that were, by whichever run, with their last result.

    A session that has no row, because nobody owed one when it was recorded, is not among them once somebody does: a list that
    was short then is longer now. A code's range is among them where all of its sessions were synced for the whole market.
    """
    known = ledger.done(dataset, units)
    done = {unit: known[str(unit)] for unit in units if str(unit) in known}
    of_codes = [unit for unit in units if unit.grain is Grain.CODE and unit not in done]
    if of_codes:
        done |= _with_the_market(database, calendar, ledger, dataset, of_codes)
    empty = [unit for unit, item in done.items() if unit.grain is Grain.SESSION and not item.rows and not item.missing]
    if not empty or dataset.coverage is Coverage.ANY:
        return done
    owed = Roster.load(database, dataset, calendar).rows_on([unit.start for unit in empty])
    late = {unit for unit, codes in zip(empty, owed, strict=True) if codes}
    return {unit: item for unit, item in done.items() if unit not in late}


def _with_the_market(
    database: Database, calendar: Calendar, ledger: Ledger, dataset: Dataset, units: Sequence[Unit]
) -> dict[Unit, Item]:
    """Those of the codes' ranges whose every session (week, month) was synced for the whole market, with what it brought.

    The code's own rows have to be there: a session may be done though a few codes lack, or were not listed when it was.
    Where no row may be a whole answer, the sessions have to have come whole.
    """
    spans = {(unit.start, unit.end) for unit in units}
    labels = {span: labels_of_unit(dataset, calendar, Unit(Grain.SESSION, *span)) for span in spans}
    every = sorted({label for of_span in labels.values() for label in of_span})
    if not every:
        return {}
    before = synced_before(database, calendar, ledger, dataset, [Unit.session(label) for label in every])
    sessions = {unit.start: item for unit, item in before.items()}
    held = {span for span, of_span in labels.items() if of_span and all(label in sessions for label in of_span)}
    asked = [unit for unit in units if (unit.start, unit.end) in held]
    if not asked:
        return {}
    codes = sorted({unit.ts_code for unit in asked if unit.ts_code is not None})
    roster = Roster.load(database, dataset, calendar, every[0], every[-1])
    lives = dict(roster.listed.filter(pl.col("ts_code").is_in(codes)).select("ts_code", "list_date").iter_rows())
    rows = read(database, dataset, start=every[0], end=every[-1], codes=codes, columns=["ts_code", "trade_date"])
    by_code: dict[str, list[dt.date]] = {}
    for code, day in rows.iter_rows():
        by_code.setdefault(code, []).append(day)
    found = {}
    for unit in asked:
        code = unit.ts_code or ""
        if code not in lives or (roster.back_to.get(code, dt.date.max) <= unit.end and lives[code] > unit.start):
            continue  # what it may have is not known, or reaches back behind what it owes
        days = [day for day in by_code.get(code, []) if unit.start <= day <= unit.end]
        of_span = labels[unit.start, unit.end]
        if _whole(dataset, sessions, of_span, roster.sessions(code, of_span), days):
            sources = sorted({sessions[label].source or "" for label in of_span} - {""})
            found[unit] = item_of(
                unit,
                source=", ".join(sources) or None,
                rows=len(days),
                finished_at=max((at for label in of_span if (at := sessions[label].finished_at)), default=None),
            )
    return found


def _whole(
    dataset: Dataset,
    sessions: Mapping[dt.date, Item],
    labels: Sequence[dt.date],
    owed: Sequence[dt.date],
    days: Sequence[dt.date],
) -> bool:
    """Whether the sessions brought all of one code that `owed` rows of some of the labels, and has them of these `days`."""
    if dataset.coverage is Coverage.ANY:
        return all(_came_whole(sessions[label]) for label in labels)
    lost = set(owed) - set(days)
    if dataset.coverage is Coverage.MOST:  # a thin market: it may not have traded
        return (bool(days) or not owed) and all(_came_whole(sessions[label]) for label in lost)
    return not lost


def _came_whole(item: Item) -> bool:
    return item.status == ItemStatus.SUCCESS and not item.missing
