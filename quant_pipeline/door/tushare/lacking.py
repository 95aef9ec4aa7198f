"""What a question asks for and the database does not hold: it is told, and how to get it. An answer is never silently short."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from quant_pipeline.door.tushare.errors import Refusal, not_held
from quant_pipeline.door.tushare.parameters import Question
from quant_pipeline.door.tushare.reading import OF_PERIODS, Rows, labels_between
from quant_pipeline.market import clock
from quant_pipeline.market.calendar import Calendar, CalendarError
from quant_pipeline.market.datasets import DIVIDENDS, THS_HOT, THS_MEMBERS
from quant_pipeline.sync.held import (
    Lack,
    first_owed,
    groups_never_synced,
    lacking,
    never_synced,
    silent,
    stored_since,
    unlisted,
)
from quant_pipeline.sync.periods import span_of
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import Days

_NAMED = 5
_SYMBOLS = 20
"""Codes that the command names; for more it fetches the market."""
ONLY_CARRIED_OUT = (
    "只含已实施的分红送股，预案与股东大会通过的阶段未存。Only dividends that were carried out are kept, not what is planned."
)
_EX_DATE_AROUND = {"ex_date": (0, 0), "record_date": (-14, 30), "imp_ann_date": (0, 120), "ann_date": (0, 400)}
"""Dividends are stored by ex-date: between how many days after each of the other dates it lies."""


class NotHeld(Exception):
    """Rows that were asked for are not here; a sync can bring them."""

    def __init__(self, lack: Lack) -> None:
        super().__init__(lack.dataset.name)
        self.lack = lack


def demand_held(database: Database, calendar: Calendar, question: Question, rows: Rows) -> str:
    """What is to be known about the rows, in words (mostly nothing). NotHeld where some that were asked for are not stored,
    Refusal where nobody can bring them: their codes are in no list."""
    lack, note = _judged(database, calendar, question, rows)
    if lack is not None:
        raise NotHeld(lack)
    if rows.frame.is_empty():
        for dataset in question.api.datasets:
            if never_synced(database, dataset):
                raise NotHeld(Lack(dataset, (), None))
    return "".join(filter(None, (ONLY_CARRIED_OUT if question.api.dataset is DIVIDENDS else "", note)))


def told(question: Question, lack: Lack, why: str = "") -> Refusal:
    """What lacks, and the command that brings it. `why`: why it was not fetched at once, where that was tried."""
    labels = lack.labels
    days = ""
    if labels:
        days = f"{labels[0]:%Y%m%d}" if len(labels) == 1 else f"{labels[0]:%Y%m%d} 至 {labels[-1]:%Y%m%d} 之间 {len(labels)} 期"
    which = " ".join(filter(None, (_listed(lack.codes or ()), days)))
    return not_held(
        f"本地数据库尚未同步 {question.api.name}（{lack.dataset.name} {lack.dataset.zh}）{which}。"
        f"同步命令: {command_of(lack)}；或只请求已有的数据。"
        f"Not synced yet: run the command, or ask for what is stored.{f' {why}' if why else ''}"
    )


def command_of(lack: Lack) -> str:
    """The command that brings what lacks."""
    command, codes = f"quant-pipeline sync --datasets {lack.dataset.name}", lack.codes or ()
    if lack.labels:
        symbols = f" --symbols {','.join(codes)}" if 0 < len(codes) <= _SYMBOLS else ""
        return f"{command}{symbols} --start {lack.labels[0]} --end {lack.labels[-1]}"
    return f"{command} --days-back 30" if lack.dataset.dated else command


def _judged(database: Database, calendar: Calendar, question: Question, rows: Rows) -> tuple[Lack | None, str]:
    """What lacks, or else what is to be known about the rows' beginning."""
    dataset = question.api.dataset
    if dataset is THS_MEMBERS:
        boards = question.codes if rows.frame.is_empty() else None
        lost = groups_never_synced(database, dataset, boards) if boards else []
        return (Lack(dataset, (), tuple(lost)) if lost else None), ""
    if not dataset.dated:
        return None, ""
    codes = _codes(database, question, rows)
    first, last = _asked(question)
    if first is None and (dataset is not THS_HOT or last is not None):
        return _since_ever(database, calendar, question, rows, codes, last)
    first = first or rows.first  # of the hot lists the latest one was asked for
    labels = _labels(calendar, question, (first, last)) if first else ()
    return (lacking(database, dataset, calendar, labels, codes) if labels else None), ""


def _since_ever(
    database: Database, calendar: Calendar, question: Question, rows: Rows, codes: Sequence[str] | None, last: dt.date | None
) -> tuple[Lack | None, str]:
    """Of a call without a beginning, which asks for all that there ever was: what is stored is given, with a note that says
    since when it is; nothing is never given for something that is not stored, nor something with a hole in it."""
    dataset = question.api.dataset
    ever = _labels(calendar, question, (calendar.first, last))
    if not ever:
        return None, ""
    never = silent(database, dataset, set(codes or ()) - rows.codes, ever[-1])
    for place in range(0, len(never), _SYMBOLS):
        if (lack := lacking(database, dataset, calendar, ever, never[place : place + _SYMBOLS])) is not None:
            return lack, ""
    # A page of the newest rows is enough for who asked for no more: what lies before it was not asked for.
    since = rows.first if rows.more else stored_since(database, dataset, codes, ever[-1])
    if since is None:
        if codes is None:
            return Lack(dataset, tuple(ever), None), ""
        return lacking(database, dataset, calendar, ever, codes), ""
    labels = _labels(calendar, question, (since, last))
    if labels and (lack := lacking(database, dataset, calendar, labels, codes)) is not None:
        return lack, ""
    owed = first_owed(database, dataset, calendar, codes)
    before = tuple(label for label in ever if owed <= label < since)
    if rows.more or not before:
        return None, ""
    more = command_of(Lack(dataset, before, None if codes is None else tuple(codes)))
    return None, (
        f"本地只存有 {since:%Y%m%d} 起的 {question.api.name}，更早的尚未同步，同步命令: {more}。"
        f"Stored since {since:%Y%m%d} only; the command brings what lies before."
    )


def _asked(question: Question) -> Days:
    """The sessions asked for, as far as the call bounds them."""
    if question.api.dataset is not DIVIDENDS:
        return question.span
    for name, (earliest, latest) in _EX_DATE_AROUND.items():
        if isinstance(day := question.among.get(name, (None,))[0], dt.date):
            return day + dt.timedelta(days=earliest), day + dt.timedelta(days=latest)
    return None, None


def _codes(database: Database, question: Question, rows: Rows) -> Sequence[str] | None:
    """The codes asked for. Refusal where one of them, that has no row, is in no list."""
    codes = question.codes
    if codes is None:
        return None
    silent = set(codes) - rows.codes
    if silent and (lost := unlisted(database, question.api.dataset, silent)):
        lists = "、".join(question.api.dataset.universe)
        raise not_held(
            f"{question.api.name} 没有代码 {_listed(lost)}：不在 {lists} 中。股票 600000.SH 用 daily，"
            "指数用 index_daily，ETF 用 fund_daily，可转债用 cb_daily；新代码请先同步列表。No list names these codes."
        )
    return codes


def _labels(calendar: Calendar, question: Question, days: Days) -> Sequence[dt.date]:
    """The sessions (labels) of these days whose rows should be here.

    Today's session is owed only where it is asked for by its date: a range that ends with today is asked for at all hours.
    """
    api, dataset = question.api, question.api.dataset
    by_day = "trade_date" in question.among
    first, last = days
    try:
        newest = calendar.latest(ready=dataset.ready)
        if not by_day and newest == clock.today():
            newest = calendar.shift(newest, -1)
        span = (max(first or calendar.first, calendar.first), min(last or newest, newest))
        if api.made_of_days is not None:
            ends = labels_between(OF_PERIODS[api.made_of_days], calendar, span)
            return [day for label in ends for day in span_of(OF_PERIODS[api.made_of_days], calendar, label)]
        if span[0] > span[1]:
            return ()
        return labels_between(dataset, calendar, span) if dataset.periodic else calendar.between(*span)
    except CalendarError:
        return ()  # of days that the calendar does not know nothing can be owed


def _listed(codes: Sequence[str]) -> str:
    return "、".join(codes[:_NAMED]) + (f" 等 {len(codes)} 个" if len(codes) > _NAMED else "")
