"""`qp.bars` and `qp.panel`: K-lines of codes, adjusted, by day, week or month; one figure of many codes side by side."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, cast, overload

import polars as pl

from quant_pipeline.charts.kline import Shown, table_of, tables_of
from quant_pipeline.charts.lookup import fetching
from quant_pipeline.charts.periods import Frequency, gathered, labelled, with_true_changes
from quant_pipeline.language import say
from quant_pipeline.market.adjustment import Adjustment
from quant_pipeline.market.adjustment import adjust as adjusted_by
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.columns import ColumnType
from quant_pipeline.market.dataset import Dataset, Partition
from quant_pipeline.market.datasets import DATASETS
from quant_pipeline.market.listings import Kind, Listing
from quant_pipeline.market.search import Named, near
from quant_pipeline.notebook.asked import (
    Codes,
    Day,
    choice,
    columns_of,
    dataset_of,
    frame_kind,
    keys,
    listed,
    nothing_within,
    span,
)
from quant_pipeline.notebook.beginnings import warn_of_late_beginnings
from quant_pipeline.notebook.errors import NothingStored, QueryError, in_sentences
from quant_pipeline.notebook.frames import given
from quant_pipeline.notebook.opened import Opened, current
from quant_pipeline.warehouse.lake import Snapshot
from quant_pipeline.warehouse.reads import read_sql

if TYPE_CHECKING:
    import pandas as pd

_PRICES = ("open", "high", "low", "close", "pre_close")
_COLUMNS = ("ts_code", "trade_date", *_PRICES, "change", "pct_chg", "vol", "amount")
FIELDS = _COLUMNS[2:]
"""The figures of a bar: prices and change in 元 (an index: points), pct_chg in %, vol in 手, amount in 千元."""
_ADJUSTED: dict[str, Adjustment] = {"qfq": "qfq", "hfq": "hfq"}
_SHOWN = ("qfq", "hfq", "raw")
_NAMED = 5


@overload
def bars(
    codes: Codes | None = ..., *, start: Day | None = ..., end: Day | None = ..., adjust: Shown = ...,
    freq: Literal["D", "W", "M"] = ..., as_: Literal["pandas"] = ...,
) -> pd.DataFrame: ...  # fmt: skip
@overload
def bars(
    codes: Codes | None = ..., *, start: Day | None = ..., end: Day | None = ..., adjust: Shown = ...,
    freq: Literal["D", "W", "M"] = ..., as_: Literal["polars"],
) -> pl.DataFrame: ...  # fmt: skip
@in_sentences
def bars(
    codes: Codes | None = None,
    *,
    start: Day | None = None,
    end: Day | None = None,
    adjust: Shown = "qfq",
    freq: Literal["D", "W", "M"] = "D",
    as_: Literal["pandas", "polars"] = "pandas",
) -> pd.DataFrame | pl.DataFrame:
    """K-lines: open, high, low, close, pre_close, change [元; an index: points], pct_chg [%], vol [手], amount [千元].

    `codes`: shares, ETFs, indexes and convertible bonds in any usual spelling or by name (600000, sh600000, 浦发银行,
    沪深300), one or several; None: every share · `start`, `end`: both included; None: all that is stored · `adjust`: qfq
    前复权 (ends at the latest price), hfq 后复权, raw 不复权; indexes and bonds have no factors, and stay as they are ·
    `freq`: D, W, M; weeks and months are made of adjusted days, bear their last session, and end with `end`.

    pandas: of one code, the index is trade_date (datetime64); of several, it is (ts_code, trade_date). polars: both are
    columns. A halted code has no bar. Bars before a code's first factor are left out, with a warning: they cannot be adjusted.
    LateBeginning, a warning with the command that brings them: what lies after `start` and before the first row is not synced.
    QueryError: an unknown code (with the likely ones), an empty range, days that are not stored.
    """
    frame_kind(as_)
    choice("adjust", adjust, _SHOWN)
    frequency = Frequency(choice("freq", freq, [each.value for each in Frequency]))
    first, last = span(start, end)
    opened = current()
    chosen = None if codes is None else listed(opened.database, codes)
    rows = klines(opened, chosen, first, last, adjust, frequency)
    single = chosen is not None and isinstance(codes, str)
    index = ["trade_date"] if single else ["ts_code", "trade_date"]
    return given(rows, as_, index=index)


@overload
def panel(
    field: str = ..., codes: Codes | None = ..., *, start: Day | None = ..., end: Day | None = ..., adjust: Shown = ...,
    freq: Literal["D", "W", "M"] = ..., as_: Literal["pandas"] = ...,
) -> pd.DataFrame: ...  # fmt: skip
@overload
def panel(
    field: str = ..., codes: Codes | None = ..., *, start: Day | None = ..., end: Day | None = ..., adjust: Shown = ...,
    freq: Literal["D", "W", "M"] = ..., as_: Literal["polars"],
) -> pl.DataFrame: ...  # fmt: skip
@in_sentences
def panel(
    field: str = "close",
    codes: Codes | None = None,
    *,
    start: Day | None = None,
    end: Day | None = None,
    adjust: Shown = "qfq",
    freq: Literal["D", "W", "M"] = "D",
    as_: Literal["pandas", "polars"] = "pandas",
) -> pd.DataFrame | pl.DataFrame:
    """One figure as a wide frame, a row per session and a column per code, for vectorbt, alphalens and the like.

    `field`: a figure of a bar (open, high, low, close, pre_close, change, pct_chg, vol, amount), adjusted as `bars` does; or
    of another data set by session: pe_ttm, or daily_basic.close where several have it · the rest as `bars`.

    pandas: the index is trade_date (datetime64, every session from the first to the last row; NaN where a code has no row),
    the columns are codes, in the order in which they are written. polars: trade_date is the first column.
    """
    frame_kind(as_)
    choice("adjust", adjust, _SHOWN)
    frequency = Frequency(choice("freq", freq, [each.value for each in Frequency]))
    first, last = span(start, end)
    opened = current()
    if field in FIELDS:
        chosen = None if codes is None else listed(opened.database, codes)
        rows = klines(opened, chosen, first, last, adjust, frequency)
        order = None if chosen is None else [each.code for each in chosen]
    else:
        dataset, field = _of_data_set(field)
        if frequency is not Frequency.DAY:
            raise QueryError(say("{field} is a figure of sessions: leave freq out", field=f"{dataset.name}.{field}"))
        order = None if codes is None else keys(opened.database, dataset, codes)
        with opened.rows() as stored:
            rows = stored.read(dataset, start=first, end=last, codes=order, columns=["ts_code", "trade_date", field])
        if rows.is_empty() and (nothing := nothing_within(opened.database, dataset, first, last)) is not None:
            raise nothing
        warn_of_late_beginnings(opened, [(dataset, order)], rows, first, stacklevel=3)
    return given(_wide(opened, rows, field, frequency, order), as_, index=["trade_date"])


def klines(
    opened: Opened,
    codes: Sequence[Listing] | None,
    start: dt.date | None,
    end: dt.date | None,
    adjust: Shown,
    frequency: Frequency,
) -> pl.DataFrame:
    """The bars of these listings (None: of every share): ts_code, trade_date and FIELDS, sorted by these two.

    NothingStored where there is none, and none was to be expected: a halt is no reason.
    """
    kinds = [Kind.STOCK] if codes is None else list(dict.fromkeys(each.kind for each in codes))
    found = []
    calendar = None if frequency is Frequency.DAY else opened.calendar()
    with opened.rows() as stored:
        for kind in kinds:
            of_kind = None if codes is None else [each.code for each in codes if each.kind is kind]
            found.append(_of_kind(stored, calendar, kind, of_kind, start, end, adjust, frequency))
    rows = pl.concat(found).sort("ts_code", "trade_date")
    _told_of_the_lacking(opened, codes, rows, start, end)
    read = [(table_of(kind), None if codes is None else [each.code for each in codes if each.kind is kind]) for kind in kinds]
    warn_of_late_beginnings(opened, read, rows, start, stacklevel=4)
    return rows


def _of_kind(
    stored: Snapshot,
    calendar: Calendar | None,
    kind: Kind,
    codes: Sequence[str] | None,
    start: dt.date | None,
    end: dt.date | None,
    adjust: Shown,
    frequency: Frequency,
) -> pl.DataFrame:
    dataset, factored = tables_of(kind)
    since = None if start is None else _first_of_period(start, frequency)
    raw = stored.read(dataset, start=since, end=end, codes=codes, columns=_COLUMNS)
    if kind is Kind.CONVERTIBLE_BOND:
        raw = raw.with_columns(pl.col("amount") * 10)  # 万元 there
    if raw.is_empty():
        return raw
    of_factors = factored is not None and (adjust != "raw" or frequency is not Frequency.DAY)
    factors = _factors(stored, cast(Dataset, factored), codes, raw) if of_factors else None
    shown = adjusted_by(raw, factors, _ADJUSTED[adjust]) if factors is not None and adjust in _ADJUSTED else raw
    whole = shown.filter(pl.col("close").is_not_null())
    if whole.height < shown.height:
        _warn_of_lacking_factors(shown.filter(pl.col("close").is_null()), cast(Dataset, factored))
    if calendar is None or whole.is_empty():
        return whole.select(_COLUMNS)
    labels = labelled(_sessions(stored, calendar, dataset, whole, end), frequency)
    periods = gathered(whole, labels, by=["ts_code"])
    if adjust == "raw" and factors is not None:
        periods = with_true_changes(periods, adjusted_by(raw, factors, "hfq"), labels, by=["ts_code"])
    return periods.select(_COLUMNS) if start is None else periods.filter(pl.col("trade_date") >= start).select(_COLUMNS)


def _first_of_period(day: dt.date, frequency: Frequency) -> dt.date:
    """A week that begins before `start` is whole, or it would be another week's bar."""
    if frequency is Frequency.WEEK:
        return day - dt.timedelta(days=day.weekday())
    return day.replace(day=1) if frequency is Frequency.MONTH else day


def _factors(stored: Snapshot, factored: Dataset, codes: Sequence[str] | None, raw: pl.DataFrame) -> pl.DataFrame:
    """From the bars' first session to today, for qfq refers to the latest; up to the delisting of a delisted code, so that its
    last traded price is its qfq price, as in the SQL views. A code that has none by its first bar has all of its older ones."""
    since = raw["trade_date"].min()
    factors = stored.read(factored, start=cast(dt.date, since), codes=codes)
    first_bar = raw.group_by("ts_code").agg(bar=pl.min("trade_date"))
    first_factor = factors.group_by("ts_code").agg(factor=pl.min("trade_date"))
    late = first_bar.join(first_factor, on="ts_code", how="left").filter(
        pl.col("factor").is_null() | (pl.col("factor") > pl.col("bar"))
    )["ts_code"]
    if len(late):
        older = stored.read(factored, end=cast(dt.date, since) - dt.timedelta(days=1), codes=late.to_list())
        factors = pl.concat([older, factors])
    lists = [DATASETS[name] for name in factored.universe]
    lives = [stored.read(each, columns=["ts_code", "delist_date"]) for each in lists]
    alive = pl.col("delist_date").is_null() | (pl.col("trade_date") <= pl.col("delist_date"))
    return factors.join(pl.concat(lives), on="ts_code", how="left").filter(alive).drop("delist_date")


def _sessions(
    stored: Snapshot, calendar: Calendar, dataset: Dataset, rows: pl.DataFrame, end: dt.date | None
) -> Sequence[dt.date]:
    """From the first bar to the newest session of the table (at most `end`): a running week bears the newest session."""
    newest: dt.date = stored.sql(f"SELECT max(trade_date) AS newest FROM {dataset.name}").item()
    last = newest if end is None else min(newest, end)
    known = set(rows["trade_date"])
    first = min(known)
    return sorted(known | set(calendar.between(first, max(last, max(known)))))


def _of_data_set(field: str) -> tuple[Dataset, str]:
    """Whose figure it is. QueryError for an unknown one, and for one that several data sets have."""
    by_session = {
        name: dataset
        for name, dataset in DATASETS.items()
        if dataset.partition is Partition.SESSION and set(dataset.key) == {"ts_code", "trade_date"}
    }
    name, dot, column = field.rpartition(".")
    if dot:
        dataset = dataset_of(name)
        if name not in by_session:
            raise QueryError(
                say("{name} has no row per code and session; a panel takes: {names}", name=name, names=", ".join(by_session))
            )
        columns_of(dataset, [column])
        return dataset, column
    figures = {
        f"{dataset.name}.{each.name}": (dataset, each)
        for dataset in by_session.values()
        for each in dataset.columns
        if each.type in (ColumnType.FLOAT, ColumnType.INT)
    }
    having = [where for where, (_, each) in figures.items() if each.name == field]
    if len(having) == 1:
        return figures[having[0]][0], field
    if having:
        raise QueryError(say("several data sets have {field}: write {names}", field=field, names=", ".join(having)))
    known = [*(Named(each, each) for each in FIELDS), *(Named(where, each.name) for where, (_, each) in figures.items())]
    alike = ", ".join(each.code for each in near(field, known))
    words = say("no bar and no data set by session has a figure {field!r}.", field=field)
    raise QueryError(words + (" " + say("Did you mean {near}?", near=alike) if alike else ""))


def _wide(opened: Opened, rows: pl.DataFrame, field: str, frequency: Frequency, order: Sequence[str] | None) -> pl.DataFrame:
    codes = sorted(rows["ts_code"].unique()) if order is None else list(order)
    wide = rows.pivot("ts_code", index="trade_date", values=field) if rows.height else rows.select("trade_date")
    lacking = [pl.lit(None, pl.Float64).alias(code) for code in codes if code not in wide.columns]
    if rows.height:
        known = set(wide["trade_date"])
        sessions = sorted(known | set(opened.calendar().between(min(known), max(known))))
        days = labelled(sessions, frequency).select(trade_date="label").unique()
        wide = days.join(wide, on="trade_date", how="left").sort("trade_date")
    return wide.with_columns(lacking).select("trade_date", *codes)


def _told_of_the_lacking(
    opened: Opened, codes: Sequence[Listing] | None, rows: pl.DataFrame, start: dt.date | None, end: dt.date | None
) -> None:
    """Raises where no bar was found at all, and warns of the codes that have none: a frame that is short says nothing."""
    having = set(rows["ts_code"].unique())
    without = [] if codes is None else [each for each in codes if each.code not in having]
    kinds = [Kind.STOCK] if codes is None else list(dict.fromkeys(each.kind for each in without))
    for kind in kinds if rows.is_empty() else ():
        if (nothing := nothing_within(opened.database, table_of(kind), start, end)) is not None:
            raise nothing
    if not without:
        return
    stored = {each.code for each in without if _has_bars(opened, each)}
    never = [each for each in without if each.code not in stored]
    if never and rows.is_empty():
        raise NothingStored(
            say("no bars of {code} are stored. Fetch them: {command}", code=_names(never), command=fetching(never[0]))
        )
    warnings.warn(
        say("no bars within these days (halted, not listed, or not synced): {codes}", codes=_names(without)), stacklevel=5
    )


def _has_bars(opened: Opened, listing: Listing) -> bool:
    query = f"SELECT EXISTS (SELECT FROM {table_of(listing.kind).name} WHERE ts_code = %(code)s) AS some"
    return bool(read_sql(opened.database, query, {"code": listing.code}).item())


def _warn_of_lacking_factors(rows: pl.DataFrame, factored: Dataset) -> None:
    codes = rows["ts_code"].unique(maintain_order=True).to_list()
    named = ", ".join(codes[:_NAMED]) + (" …" if len(codes) > _NAMED else "")
    warnings.warn(
        say(
            "{count} bars of {codes} lie before any factor and are left out: sync {dataset}, or ask for adjust='raw'",
            count=rows.height,
            codes=named,
            dataset=factored.name,
        ),
        stacklevel=6,
    )


def _names(listings: Iterable[Listing]) -> str:
    named = [f"{each.code} {each.name}".strip() for each in listings]
    return ", ".join(named[:_NAMED]) + (" …" if len(named) > _NAMED else "")
