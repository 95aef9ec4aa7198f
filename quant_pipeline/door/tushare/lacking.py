"""What a question asks for and the database does not hold: it is told, and how to get it. An answer is never silently short."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from quant_pipeline.door.tushare.errors import Refusal, not_held
from quant_pipeline.door.tushare.parameters import Question
from quant_pipeline.door.tushare.reading import OF_PERIODS, Rows, labels_between
from quant_pipeline.market import clock
from quant_pipeline.market.calendar import Calendar, CalendarError
from quant_pipeline.market.datasets import DIVIDENDS, THS_MEMBERS
from quant_pipeline.sync.held import Lack, groups_never_synced, lacking, never_synced, unlisted
from quant_pipeline.sync.periods import span_of
from quant_pipeline.warehouse.database import Database

_NAMED = 5
_SYMBOLS = 20
"""Codes that the command names; for more it fetches the market."""
ONLY_CARRIED_OUT = (
    "只含已实施的分红送股，预案与股东大会通过的阶段未存。Only dividends that were carried out are kept, not what is planned."
)


class NotHeld(Exception):
    """Rows that were asked for are not here; a sync can bring them."""

    def __init__(self, lack: Lack) -> None:
        super().__init__(lack.dataset.name)
        self.lack = lack


def demand_held(database: Database, calendar: Calendar, question: Question, rows: Rows) -> str:
    """What is to be known about the rows, in words (mostly nothing). NotHeld where some that were asked for are not stored,
    Refusal where nobody can bring them: their codes are in no list."""
    if (lack := _lack(database, calendar, question, rows)) is not None:
        raise NotHeld(lack)
    if rows.frame.is_empty():
        for dataset in question.api.datasets:
            if never_synced(database, dataset):
                raise NotHeld(Lack(dataset, (), None))
    return ONLY_CARRIED_OUT if question.api.dataset is DIVIDENDS else ""


def told(question: Question, lack: Lack, why: str = "") -> Refusal:
    """What lacks, and the command that brings it. `why`: why it was not fetched at once, where that was tried."""
    dataset, labels, codes = lack.dataset, lack.labels, lack.codes or ()
    command = f"quant-pipeline sync --datasets {dataset.name}"
    days = ""
    if labels:
        days = f"{labels[0]:%Y%m%d}" if len(labels) == 1 else f"{labels[0]:%Y%m%d} 至 {labels[-1]:%Y%m%d} 之间 {len(labels)} 期"
        symbols = f" --symbols {','.join(codes)}" if 0 < len(codes) <= _SYMBOLS else ""
        command += f"{symbols} --start {labels[0]} --end {labels[-1]}"
    elif dataset.dated:
        command += " --days-back 30"
    which = " ".join(filter(None, (_listed(codes), days)))
    return not_held(
        f"本地数据库尚未同步 {question.api.name}（{dataset.name} {dataset.zh}）{which}。"
        f"同步命令: {command}；或只请求已有的数据。"
        f"Not synced yet: run the command, or ask for what is stored.{f' {why}' if why else ''}"
    )


def _lack(database: Database, calendar: Calendar, question: Question, rows: Rows) -> Lack | None:
    dataset = question.api.dataset
    if dataset is THS_MEMBERS:
        boards = question.codes if rows.frame.is_empty() else None
        lost = groups_never_synced(database, dataset, boards) if boards else []
        return Lack(dataset, (), tuple(lost)) if lost else None
    if not dataset.dated:
        return None
    codes = _codes(database, question, rows)
    labels = _labels(calendar, question, rows)
    return lacking(database, dataset, calendar, labels, codes) if labels else None


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


def _labels(calendar: Calendar, question: Question, rows: Rows) -> Sequence[dt.date]:
    """The sessions (labels) whose rows should be here: of the range asked for; without its beginning, of the rows that came.

    Today's session is owed only where it is asked for by its date: a range that ends with today is asked for at all hours.
    """
    api, dataset = question.api, question.api.dataset
    by_day = "trade_date" in question.among
    first, last = question.span
    if dataset is DIVIDENDS:
        ex_date = question.among.get("ex_date", (None,))[0]
        first = last = ex_date if isinstance(ex_date, dt.date) else None
        if first is None:
            return ()
    first = first or rows.first
    if first is None:
        return ()
    try:
        newest = calendar.latest(ready=dataset.ready)
        if not by_day and newest == clock.today():
            newest = calendar.shift(newest, -1)
        span = (max(first, calendar.first), min(last or newest, newest))
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
