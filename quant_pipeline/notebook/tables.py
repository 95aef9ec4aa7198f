"""`qp.read` and `qp.sql`: the rows of a data set, and any SELECT."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from quant_pipeline.language import say
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.search import Named, near
from quant_pipeline.notebook.asked import Codes, Day, columns_of, dataset_of, frame_kind, keys, nothing_within, span
from quant_pipeline.notebook.beginnings import warn_of_late_beginnings
from quant_pipeline.notebook.errors import QueryError, in_sentences
from quant_pipeline.notebook.frames import given
from quant_pipeline.notebook.opened import current
from quant_pipeline.warehouse import arrow, reads
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.errors import refused_query

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_UNKNOWN = re.compile(r'(?P<kind>relation|column) "?(?P<name>[^" ]+)"? does not exist')
_TABLES = "SELECT relname AS name FROM pg_class WHERE relkind IN ('r', 'p', 'v') AND relnamespace = 'public'::regnamespace"
_COLUMNS = "SELECT DISTINCT attname AS name FROM pg_attribute WHERE attnum > 0 AND attrelid IN (SELECT oid FROM tables)"
_NAMES = {
    "relation": _TABLES,
    "column": f"WITH tables AS ({_TABLES.replace('relname AS name', 'oid')}) {_COLUMNS}",
}


@overload
def read(
    dataset: str, *, codes: Codes | None = ..., start: Day | None = ..., end: Day | None = ...,
    columns: Iterable[str] | None = ..., as_: Literal["pandas"] = ...,
) -> pd.DataFrame: ...  # fmt: skip
@overload
def read(
    dataset: str, *, codes: Codes | None = ..., start: Day | None = ..., end: Day | None = ...,
    columns: Iterable[str] | None = ..., as_: Literal["polars"],
) -> pl.DataFrame: ...  # fmt: skip
@in_sentences
def read(
    dataset: str,
    *,
    codes: Codes | None = None,
    start: Day | None = None,
    end: Day | None = None,
    columns: Iterable[str] | None = None,
    as_: Literal["pandas", "polars"] = "pandas",
) -> pd.DataFrame | pl.DataFrame:
    """The rows of a data set as they are stored (prices raw), sorted by its key; docs/datasets.md has columns and units.

    `codes`: in any usual spelling or by name, as `bars`; of THS's boards, theirs (885001.TI, 人工智能) · `start`, `end`:
    sessions, both included · `columns`: default all of the data set's; `source` and `updated_at` can be asked for.

    pandas: no index but the rows' numbers; days are datetime64. QueryError: an unknown data set, column or code (with the
    likely ones), an empty range, and where nothing at all is stored of what was asked for. LateBeginning, a warning, as `bars`.
    """
    frame_kind(as_)
    spec = dataset_of(dataset)
    wanted = columns_of(spec, columns)
    first, last = span(start, end)
    if not spec.dated and (first, last) != (None, None):
        raise QueryError(say("{dataset} is a list, and has no sessions: leave start and end out", dataset=spec.name))
    opened = current()
    database = opened.database
    chosen = None if codes is None else keys(database, spec, codes)
    with opened.rows() as stored:
        rows = stored.read(spec, start=first, end=last, codes=chosen, columns=[*wanted, *_besides(spec, wanted)])
    if rows.is_empty() and (nothing := nothing_within(database, spec, first, last)) is not None:
        raise nothing
    warn_of_late_beginnings(opened, [(spec, chosen)], rows, first, stacklevel=3)
    return given(rows.select(wanted), as_)


@overload
def sql(query: str, parameters: Mapping[str, Any] | None = ..., *, as_: Literal["pandas"] = ...) -> pd.DataFrame: ...
@overload
def sql(query: str, parameters: Mapping[str, Any] | None = ..., *, as_: Literal["polars"]) -> pl.DataFrame: ...
@in_sentences
def sql(
    query: str, parameters: Mapping[str, Any] | None = None, *, as_: Literal["pandas", "polars"] = "pandas"
) -> pd.DataFrame | pl.DataFrame:
    """Any SELECT over the platform's tables and views (daily_kline_qfq, weekly_kline_hfq, …). Rows are only read.

    `parameters`: stand in the query as %(name)s (days, texts, numbers, lists); a % is then written %%.
    pandas: no index but the rows' numbers; days are datetime64. QueryError: in PostgreSQL's words what is wrong.
    """
    frame_kind(as_)
    database = current().database
    try:
        rows = reads.read_sql(database, query, parameters, read_only=True)
    except arrow.Error as error:
        if (text := refused_query(error)) is None:
            raise
        raise QueryError(say("PostgreSQL refuses the query: {text}", text=text) + _perhaps(database, text)) from None
    except KeyError as error:
        raise QueryError(say("the query has %({name})s, and parameters has no {name}", name=error.args[0])) from None
    return given(rows, as_)


def _besides(dataset: Dataset, wanted: Sequence[str]) -> list[str]:
    """The columns that tell whose rows begin when, where they are not wanted themselves."""
    return [name for name in ("ts_code", "trade_date") if dataset.dated and name in dataset.column_names and name not in wanted]


def _perhaps(database: Database, text: str) -> str:
    """The tables or columns that were perhaps meant by one that the server does not know."""
    unknown = _UNKNOWN.search(text)
    if unknown is None:
        return ""
    names = reads.read_sql(database, _NAMES[unknown["kind"]])["name"].sort()
    alike = near(unknown["name"].rpartition(".")[2], [Named(name, "") for name in names])
    return ". " + say("Did you mean {near}?", near=", ".join(each.code for each in alike)) if alike else ""
