"""What may be written for a day, a code, a data set, a kind of frame, and what a slip is told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from quant_pipeline.charts.lookup import by_code
from quant_pipeline.language import say
from quant_pipeline.market.calendar import CalendarError
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import DATASETS
from quant_pipeline.market.listings import Listing
from quant_pipeline.market.search import AnyNamed, Named, meant_by, near
from quant_pipeline.notebook.errors import NothingStored, QueryError
from quant_pipeline.resources import opened
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.listings import listings
from quant_pipeline.warehouse.reads import read, read_sql

Day = str | dt.date
"""2026-11-20, 20261120, a date, a datetime or a Timestamp."""
Codes = str | Iterable[str]
"""A code in any usual spelling or a name (600000, sh600000, 浦发银行, 沪深300), or several."""
Frame = Literal["pandas", "polars"]

_LISTED = 5
_LISTS = ("stock_list", "index_list", "etf_list", "convertible_bonds")
_BOARDS = ("ths_concepts", "ths_industries")


def span(start: Day | None, end: Day | None) -> tuple[dt.date | None, dt.date | None]:
    """The days, both included. QueryError for one that is no day, and for a range without any."""
    first, last = day_of(start), day_of(end)
    if first is not None and last is not None and first > last:
        raise QueryError(say("the range is empty: start {first} is after end {last}; exchange them", first=first, last=last))
    return first, last


def day_of(written: Day | None) -> dt.date | None:
    """QueryError for what is no day."""
    if written is None:
        return None
    if isinstance(written, dt.datetime):
        return written.date()
    if isinstance(written, dt.date):
        return written
    try:
        return dt.date.fromisoformat(written)
    except (ValueError, TypeError):
        raise QueryError(say("{day!r} is no day: write 2026-11-20", day=written)) from None


def choice(name: str, written: str, choices: Sequence[str]) -> str:
    """One of the choices. QueryError names them."""
    if written in choices:
        return written
    raise QueryError(say("{name}={written!r} is not known: write {choices}", name=name, written=written, choices=_or(choices)))


def frame_kind(as_: str) -> str:
    """QueryError for what is no kind of frame."""
    return choice("as_", as_, get_args(Frame))


def dataset_of(name: str) -> Dataset:
    """The data set of that name. QueryError for an unknown one, with those that were perhaps meant."""
    if name in DATASETS:
        return DATASETS[name]
    known = [Named(dataset.name, dataset.zh) for dataset in DATASETS.values()]
    chosen = meant_by(name, known)
    if chosen is not None and chosen.name == name:  # 日线行情
        return DATASETS[chosen.code]
    raise QueryError(
        say("there is no data set {name!r}.", name=name)
        + _perhaps(near(name, known))
        + " "
        + say("All: {names}", names=", ".join(DATASETS))
    )


def columns_of(dataset: Dataset, columns: Iterable[str] | None) -> list[str]:
    """The columns that are asked for; None: all. QueryError for an unknown one, with those that were perhaps meant."""
    if columns is None:
        return list(dataset.column_names)
    wanted = [columns] if isinstance(columns, str) else list(columns)
    known = [
        *(Named(column.name, column.zh) for column in dataset.columns),
        Named("source", "来源"),
        Named("updated_at", "更新时间"),
    ]
    for name in wanted:
        if name not in {each.code for each in known}:
            raise QueryError(
                say("{dataset} has no column {name!r}.", dataset=dataset.name, name=name)
                + _perhaps(near(name, known))
                + " "
                + say("All: {names}", names=", ".join(each.code for each in known))
            )
    return wanted


def listed(database: Database, codes: Codes) -> list[Listing]:
    """The shares, indexes, funds and bonds that are meant, in the order in which they are written, none twice.

    A bare 000001 is the share; the index is 000001.SH or 上证指数. QueryError for what is unknown or could be several.
    """
    everything = listings(database)
    found: dict[str, Listing] = {}
    for text in _texts(codes):
        hits = by_code(database, text, everything)
        one = hits[0] if hits else meant_by(text, everything)
        if one is None:
            if not everything:
                raise NothingStored(say("{text}: no list of codes is synced yet; run `quant-pipeline run` first", text=text))
            raise _unknown(text, everything)
        found[one.code] = one
    return list(found.values())


def keys(database: Database, dataset: Dataset, codes: Codes) -> list[str]:
    """What stands in the data set's `ts_code` for these codes and names: a share's, an index's, a THS board's (885001.TI,
    人工智能). QueryError as `listed`, and for a data set that has no codes."""
    if "ts_code" not in dataset.column_names:
        raise QueryError(say("{dataset} has no column ts_code: leave codes out", dataset=dataset.name))
    own = dataset.universe or (dataset.name,)
    if not set(own) & set(_BOARDS):
        return [each.code for each in listed(database, codes)]
    boards = [
        Named(code, name or "")
        for board in own
        if board in _BOARDS
        for code, name in read(database, DATASETS[board], columns=["ts_code", "name"]).iter_rows()
    ]
    found = []
    for text in _texts(codes):
        one = next((each for each in boards if each.code == text.strip().upper()), None) or meant_by(text, boards)
        if one is None:
            raise _unknown(text, boards)
        found.append(one.code)
    return list(dict.fromkeys(found))


def nothing_within(database: Database, dataset: Dataset, start: dt.date | None, end: dt.date | None) -> NothingStored | None:
    """What to say where the data set holds nothing at all, or nothing from `start` to `end`; None where it does."""
    if not dataset.dated:
        if read_sql(database, f"SELECT EXISTS (SELECT FROM {dataset.name}) AS some").item():
            return None
        return NothingStored(_never_synced(dataset))
    first, last = read_sql(database, f"SELECT min(trade_date) AS first, max(trade_date) AS last FROM {dataset.name}").row(0)
    if first is None:
        return NothingStored(_never_synced(dataset))
    if (start is None or start <= last) and (end is None or end >= first):
        return None
    words = say(
        "{dataset} holds {first} to {last}, nothing of what was asked for.", dataset=dataset.name, first=first, last=last
    )
    if dataset.sourced:
        words += " " + _how_to_have_it(database, dataset, start or end or first, end)
    return NothingStored(words)


def _how_to_have_it(database: Database, dataset: Dataset, start: dt.date, end: dt.date | None) -> str:
    """The command that brings the sessions of these days, or why there is nothing to be brought."""
    try:
        calendar = opened.calendar(database)
        latest = calendar.latest(ready=dataset.ready)
        if start > latest and not (end is not None and end <= calendar.last and calendar.on_or_before(end) <= latest):
            return say("{start} lies after the latest complete session, {latest}", start=start, latest=latest)
        last = min(end or latest, calendar.last)
        if not (sessions := calendar.between(start, last)):
            before = calendar.on_or_before(last)
            return say(
                "There is no session from {start} to {last}; the one before is {before}", start=start, last=last, before=before
            )
    except CalendarError as error:
        return str(error)
    return say(
        "Fetch it: {command}",
        command=f"quant-pipeline sync --datasets {dataset.name} --start {sessions[0]} --end {min(sessions[-1], latest)}",
    )


def _never_synced(dataset: Dataset) -> str:
    if not dataset.sourced:
        return say("{dataset} holds nothing yet: `quant-pipeline run` fills it", dataset=dataset.name)
    command = f"quant-pipeline sync --datasets {dataset.name}" + (" --days-back 250" if dataset.dated else "")
    return say("{dataset} holds nothing yet. Fetch it: {command}", dataset=dataset.name, command=command)


def _texts(codes: Codes) -> list[str]:
    texts = [codes] if isinstance(codes, str) or not isinstance(codes, Iterable) else list(codes)
    if not texts:
        raise QueryError(say("no code is asked for: write one, or leave codes out for all"))
    for each in texts:
        if not isinstance(each, str):
            raise QueryError(
                say("{code!r} is no code: write it as a text, '600000' (a number loses its leading zeros)", code=each)
            )
    return texts


def _unknown(text: str, among: Sequence[AnyNamed]) -> QueryError:
    return QueryError(say("there is no code or name {text!r}.", text=text) + _perhaps(near(text, among, limit=_LISTED)))


def _perhaps(alike: Sequence[Named]) -> str:
    if not alike:
        return ""
    return " " + say("Did you mean {near}?", near=", ".join(f"{each.code} {each.name}".strip() for each in alike))


def _or(choices: Sequence[str]) -> str:
    return ", ".join(repr(each) for each in choices)
