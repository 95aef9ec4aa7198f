"""The judgement of an answer before it is taken: codes renamed, bars completed, rows validated, coverage measured."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, BSE_MAPPING, DAILY_KLINE, STOCK_LIST, TRADE_CALENDAR
from quant_pipeline.market.validation import Checked, validate
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.base import Source
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.anchoring import anchored
from quant_pipeline.sync.calendar_acceptance import demand_believable
from quant_pipeline.sync.completion import with_pre_close
from quant_pipeline.sync.coverage import Due, judge_list, judge_rows
from quant_pipeline.sync.periods import labels_of
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read, read_sql

Judgement = Callable[[Unit, pl.DataFrame, Source], Checked]
"""Judges a source's answer to a unit; raises Incomplete or SpecError for one that cannot be taken."""


def judge_of_list(database: Database, dataset: Dataset, calendar: Calendar) -> Judgement:
    """The judgement of lists and boards: by the stored rows that the source can have, which do not shrink overnight."""
    sessions = frozenset(calendar.sessions)

    def judge(unit: Unit, frame: pl.DataFrame, source: Source) -> Checked:
        checked = validate(dataset, frame, expected_session=None, sessions=sessions)
        if dataset is TRADE_CALENDAR:
            demand_believable(database, checked.good, xshg(), clock.today())
        else:
            judge_list(dataset, checked.good, _stored_rows(database, dataset, unit, source))
        return checked

    return judge


def judge_of_rows(database: Database, dataset: Dataset, calendar: Calendar, due: Due, labels: Sequence[dt.date]) -> Judgement:
    """The judgement of rows by session (week, month): by what is due in each."""
    sessions = frozenset(calendar.sessions)
    renamed = _renamed(database) if STOCK_LIST.name in dataset.universe else {}
    known = sorted(labels)

    def judge(unit: Unit, frame: pl.DataFrame, source: Source) -> Checked:
        expected = unit.start if unit.grain is Grain.SESSION else None
        if renamed and "ts_code" in frame.columns:
            frame = frame.with_columns(pl.col("ts_code").replace(renamed))
        if dataset is ADJ_FACTOR and unit.grain is Grain.CODE:
            frame = anchored(database, unit, frame)
        if dataset is DAILY_KLINE and unit.grain is Grain.CODE and "pre_close" in frame.columns:
            frame = with_pre_close(database, unit, frame)
        checked = validate(dataset, frame, expected_session=expected, sessions=sessions)
        spanned = [label for label in known if unit.start <= label <= unit.end]
        judge_rows(dataset, unit, checked, due, spanned or labels_of(dataset, calendar, [unit.end]), source)
        return checked

    return judge


def _renamed(database: Database) -> dict[str, str]:
    """Old BSE codes and what they are called now, as far as the list was synced."""
    return dict(read(database, BSE_MAPPING, columns=["o_code", "n_code"]).iter_rows())


def _stored_rows(database: Database, dataset: Dataset, unit: Unit, source: Source) -> int:
    of_board = "WHERE ts_code = %(board)s" if unit.grain is Grain.MEMBERS else ""
    rows = read_sql(database, f"SELECT * FROM {dataset.name} {of_board}", {"board": unit.ts_code})
    only = source.servings[dataset.name].only
    return rows.height if only is None else rows.filter(only).height
