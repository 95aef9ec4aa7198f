"""The rows that answer a question, as Tushare writes them: its codes, its labels, its order, days as texts."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from quant_pipeline.charts.periods import Frequency, gathered
from quant_pipeline.door.tushare.errors import Refusal, not_held, wrong_parameter
from quant_pipeline.door.tushare.parameters import Question
from quant_pipeline.market import clock
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset, Partition
from quant_pipeline.market.datasets import MONTHLY_KLINE, WEEKLY_KLINE
from quant_pipeline.sources.tushare_members import INDEX_SPELLINGS
from quant_pipeline.sync.periods import closed_labels
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import Days
from quant_pipeline.warehouse.selecting import Selection, select

MOST_ROWS = 1_000_000
"""Of one answer: more would fill the memory of both sides."""
_PATIENCE = 25.0
"""Seconds for a statement: the client gives an answer 30."""
OF_PERIODS = {Frequency.WEEK: WEEKLY_KLINE, Frequency.MONTH: MONTHLY_KLINE}
"""The data sets whose labels weeks and months have."""
_EXCHANGES = ("SSE", "SZSE", "BSE")


@dataclass(frozen=True)
class Rows:
    """An answer's rows, with the columns that were asked for; whether there are more behind them; which codes have one, and
    the first session of which there is one."""

    frame: pl.DataFrame
    more: bool
    codes: frozenset[str] = frozenset()
    first: dt.date | None = None


def rows_of(database: Database, calendar: Calendar, question: Question) -> Rows:
    """The rows. Refusal where they cannot be had in this form, TimeoutError where the database takes too long."""
    read = _READERS.get(question.api.name, _table)
    return _cut(read(database, calendar, question), question)


def labels_between(dataset: Dataset, calendar: Calendar, days: Days) -> tuple[dt.date, ...]:
    """The labels of the closed weeks (months) in the range: of those that go on Tushare has no row yet."""
    first, last = days
    return tuple(
        label
        for label in _closed(dataset, calendar, clock.today())
        if (first is None or first <= label) and (last is None or label <= last)
    )


@lru_cache(maxsize=8)
def _closed(dataset: Dataset, calendar: Calendar, today: dt.date) -> tuple[dt.date, ...]:
    return closed_labels(dataset, calendar, calendar.first, min(today, calendar.last))


# --- the tables as they stand ------------------------------------------------------------------------------------------


def _table(database: Database, calendar: Calendar, question: Question) -> pl.DataFrame:
    del calendar
    return _selected(database, question, limit=_enough(question), offset=question.offset)


def _periods(database: Database, calendar: Calendar, question: Question) -> pl.DataFrame:
    """Weekly bars tell pct_chg as a fraction, monthly ones in %."""
    labels = labels_between(question.api.dataset, calendar, question.span)
    among = {**question.among, "trade_date": labels}
    asked = dataclasses.replace(question, among=among, between={})
    rows = _selected(database, asked, limit=_enough(question), offset=question.offset)
    if question.api.dataset.partition is Partition.WEEK and "pct_chg" in rows.columns:
        return rows.with_columns((pl.col("pct_chg") / 100).round(8))
    return rows


def _calendar(database: Database, calendar: Calendar, question: Question) -> pl.DataFrame:
    """All of the exchange's markets keep the same sessions: those of Shanghai are stored."""
    del calendar
    (exchange,) = question.among["exchange"] if len(question.among["exchange"]) == 1 else (None,)
    if exchange not in _EXCHANGES:
        raise not_held(
            f"本地只有沪深北交易所的交易日历：exchange 请用 {' '.join(_EXCHANGES)} 之一。Only these calendars are kept."
        )
    asked = dataclasses.replace(question, among={**question.among, "exchange": ("SSE",)})
    rows = _selected(database, asked, limit=_enough(question), offset=question.offset)
    return rows.with_columns(pl.lit(exchange).alias("exchange")) if "exchange" in rows.columns else rows


def _funds(database: Database, calendar: Calendar, question: Question) -> pl.DataFrame:
    del calendar
    among = dict(question.among)
    if among.pop("market") != ("E",):
        raise not_held("本地只有场内 ETF：fund_basic 请用 market='E'。Only exchange-traded funds are kept.")
    asked = dataclasses.replace(question, among=among)
    return _selected(database, asked, limit=_enough(question), offset=question.offset)


def _boards(database: Database, calendar: Calendar, question: Question) -> pl.DataFrame:
    """Concepts and industries are one table of Tushare's."""
    del calendar
    parts = [_selected(database, question, dataset=dataset) for dataset in question.api.datasets]
    return pl.concat(parts).sort("ts_code").slice(question.offset, _enough(question))


def _weights(database: Database, calendar: Calendar, question: Question) -> pl.DataFrame:
    """An index by whichever of its codes; a snapshot that stands for two of our months is told once."""
    del calendar
    asked = question.among["index_code"]
    if len(asked) != 1:
        raise wrong_parameter("index_code 一次只能有一个。One index at a time.")
    ours = next((index for index, spellings in INDEX_SPELLINGS.items() if asked[0] in (index, *spellings)), None)
    if ours is None:
        kept = ", ".join(INDEX_SPELLINGS)
        raise not_held(f"本地没有指数 {asked[0]} 的成分，只有 {kept}。The members of this index are not kept.")
    known = dataclasses.replace(question, among={**question.among, "index_code": (ours,)})
    rows = _selected(database, known, distinct=True, limit=_enough(question), offset=question.offset)
    return rows.with_columns(pl.lit(asked[0]).alias("index_code")) if "index_code" in rows.columns else rows


def _hot(database: Database, calendar: Calendar, question: Question) -> pl.DataFrame:
    """The lists of one session, the latest where none is named: the last one, or with is_new=N all of them."""
    del calendar
    among = dict(question.among)
    among["data_type"], newest = among.pop("market"), among.pop("is_new") != ("N",)
    asked = dataclasses.replace(question, among=among)
    if "trade_date" not in among and not question.between:
        latest = _selected(database, dataclasses.replace(asked, columns=("trade_date",), offset=0), limit=1)
        asked = dataclasses.replace(asked, among={**among, "trade_date": tuple(latest["trade_date"])})
    rows = _selected(database, asked)
    if newest:
        rows = rows.filter(pl.col("rank_time") == pl.col("rank_time").max().over("trade_date"))
    return rows.slice(question.offset, _enough(question))


# --- what is made of daily bars ----------------------------------------------------------------------------------------


def _index_periods(database: Database, calendar: Calendar, question: Question) -> pl.DataFrame:
    """Weeks and months of indexes, made of their daily bars; pct_chg is a fraction, as Tushare's is."""
    frequency = question.api.made_of_days
    assert frequency is not None
    labels = labels_between(OF_PERIODS[frequency], calendar, question.span)
    sessions = {session: label for label in labels for session in _sessions(calendar, frequency, label)}
    spans = pl.DataFrame(list(sessions.items()), schema={"trade_date": pl.Date, "label": pl.Date}, orient="row")
    among = {name: values for name, values in question.among.items() if name != "trade_date"}
    columns = ("ts_code", "trade_date", "open", "high", "low", "close", "pre_close", "vol", "amount")
    days = (min(sessions, default=None), max(sessions, default=None))
    asked = dataclasses.replace(question, columns=columns, among=among, between={"trade_date": days})
    made = gathered(_selected(database, asked), spans, by=["ts_code"])
    told = made.with_columns(
        pl.col("change", "vol", "amount").round(4), pct_chg=(pl.col("close") / pl.col("pre_close") - 1).round(6)
    )
    return told.sort("trade_date", "ts_code", descending=[True, False]).slice(question.offset, _enough(question))


def _sessions(calendar: Calendar, frequency: Frequency, label: dt.date) -> tuple[dt.date, ...]:
    first = label - dt.timedelta(days=label.weekday()) if frequency is Frequency.WEEK else label.replace(day=1)
    return calendar.between(first, label)


Reader = Callable[[Database, Calendar, Question], pl.DataFrame]
_READERS: Mapping[str, Reader] = {
    "trade_cal": _calendar,
    "fund_basic": _funds,
    "ths_index": _boards,
    "index_weight": _weights,
    "ths_hot": _hot,
    "weekly": _periods,
    "monthly": _periods,
    "index_weekly": _index_periods,
    "index_monthly": _index_periods,
}
"""Where the rows are not just those of the table."""


def _selected(
    database: Database,
    question: Question,
    *,
    dataset: Dataset | None = None,
    distinct: bool = False,
    limit: int = MOST_ROWS + 1,
    offset: int = 0,
) -> pl.DataFrame:
    """The table's rows, with the columns that they are ordered by."""
    api = question.api
    names = dict.fromkeys((*question.columns, *api.order))
    selection = Selection(
        dataset or api.dataset,
        {name: api.column(name) for name in names},
        {api.column(name): values for name, values in question.among.items()},
        {api.column(name): days for name, days in question.between.items()},
        api.order,
        distinct,
        limit,
        offset,
    )
    return select(database, selection, timeout=_PATIENCE)


def _enough(question: Question) -> int:
    """One row more than is given, to see whether there are more."""
    return min(question.limit or MOST_ROWS, MOST_ROWS) + 1


def _cut(rows: pl.DataFrame, question: Question) -> Rows:
    most = _enough(question) - 1
    more = rows.height > most
    if more and question.limit is None:
        raise Refusal(
            -2001,
            f"参数校验失败，一次最多返回 {MOST_ROWS:,} 行：请缩小日期范围，或用 limit 与 offset 分页。"
            "More rows than one answer can hold: ask for fewer days, or page with limit and offset.",
        )
    days = pl.selectors.date().dt.strftime("%Y%m%d")
    codes = frozenset(rows["ts_code"].unique()) if "ts_code" in rows.columns else frozenset[str]()
    first = rows["trade_date"].min() if "trade_date" in rows.columns else None
    assert first is None or isinstance(first, dt.date)
    return Rows(rows.head(most).select(question.columns).with_columns(days), more, codes, first)
