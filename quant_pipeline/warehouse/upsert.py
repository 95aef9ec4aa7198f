"""Bulk writes: COPY into a temporary table, then one idempotent merge with true counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, LiteralString

import polars as pl
import psycopg
from psycopg import sql

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.warehouse.table_changes import EVERY_YEAR, noting

_COPY_ROWS = 100_000
COMPUTED = "computed"
"""The source of rows that are computed here."""


@dataclass(frozen=True)
class Upserted:
    """True counts of one write; those of a frame's rows add up to its height. `deleted`: by `replace_rows` only."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    kept: int = 0
    """Rows that a better source owns, with other values than those that came."""
    deleted: int = 0


class UpsertError(ValueError):
    """The frame cannot be written; the text names the data set and what is wrong with it."""


def upsert(
    connection: psycopg.Connection[Any],
    dataset: Dataset,
    frame: pl.DataFrame,
    *,
    source: str,
    priority: Sequence[str] = (),
    force: bool = False,
) -> Upserted:
    """Writes the frame (all columns of the spec, one row per key) as rows of `source`, in the caller's transaction.

    A row that stands already is not touched. A changed row's former values go whole into row_revisions. A row of a
    source that comes before `source` in `priority` (best first; unlisted sources come last) is kept, unless `force`.
    In a list, a column without any value is one that `source` does not tell: it stays as it was in rows that stand already.
    NaN is stored as null. UpsertError for a missing column, a type that is not the spec's, or a repeated key.
    """
    (written,) = upsert_each(connection, dataset, [(frame, source)], priority=priority, force=force)
    return written


def upsert_each(
    connection: psycopg.Connection[Any],
    dataset: Dataset,
    frames: Sequence[tuple[pl.DataFrame, str]],
    *,
    priority: Sequence[str] = (),
    force: bool = False,
) -> list[Upserted]:
    """Writes several frames, each with its source, as `upsert` does one after the other; the counts of each.

    Those whose sessions are all new, as they are in a backfill, are copied right into the table and at once: the index is
    then filled in its order, which is a quarter of the work.
    """
    prepared = [_prepared(dataset, frame) for frame, _ in frames]
    sources = [source for _, source in frames]
    written = []
    with _whole(connection), connection.cursor() as cursor, noting(cursor, dataset) as years:
        new = _copied_straight(connection, cursor, dataset, prepared, sources)
        for place, (rows, source) in enumerate(zip(prepared, sources, strict=True)):
            if place in new or rows.is_empty():
                years.update(_years(dataset, rows))
                written.append(Upserted(inserted=rows.height))
            else:
                statements = _Statements(dataset, _untold(dataset, rows))
                written.append(_merged(cursor, statements, rows, source, [] if force else _better(source, priority), years))
    return written


def _better(source: str, priority: Sequence[str]) -> list[str]:
    """The sources that come before it; all of them, when it is not listed."""
    return list(priority[: priority.index(source)] if source in priority else priority)


def _years(dataset: Dataset, rows: pl.DataFrame) -> set[int]:
    """The years of the rows; of a list's, EVERY_YEAR."""
    if not dataset.dated:
        return set() if rows.is_empty() else {EVERY_YEAR}
    return set(rows["trade_date"].dt.year().unique())


def _merged(
    cursor: psycopg.Cursor[Any],
    statements: _Statements,
    rows: pl.DataFrame,
    source: str,
    better: list[str],
    years: set[int],
) -> Upserted:
    """Merges the rows by way of the temporary table, which still holds them afterwards. `years`: gets those of new rows."""
    values = {"source": source, "better": better}
    cursor.execute(statements.incoming)
    _copy(cursor, statements.copy, rows)
    new = dict(cursor.execute(statements.insert, values).fetchall())
    years.update(new)
    inserted = sum(new.values())
    updated = kept = 0
    if inserted < rows.height:
        updated, kept = cursor.execute(statements.update, values).fetchone() or (0, 0)
    return Upserted(inserted, updated, rows.height - inserted - updated - kept, kept)


def replace_rows(
    connection: psycopg.Connection[Any],
    dataset: Dataset,
    frame: pl.DataFrame,
    *,
    where: Mapping[str, Any] | None = None,
    source: str = COMPUTED,
    priority: Sequence[str] = (),
    force: bool = False,
) -> Upserted:
    """Like `upsert`, and deletes those rows of `source` that the frame no longer holds: all, or those of `where` only
    (e.g. one screen and session).

    Deleted rows go into row_revisions as well. UpsertError when the frame has rows outside of `where`.
    """
    where = where or {}
    outside = frame.filter(pl.any_horizontal(False, *(pl.col(name).ne_missing(pl.lit(value)) for name, value in where.items())))
    if not outside.is_empty():
        raise UpsertError(f"{dataset.name}: {outside.height} rows are not of {dict(where)}")
    rows = _prepared(dataset, frame)
    statements = _Statements(dataset, _untold(dataset, rows))
    with _whole(connection), connection.cursor() as cursor, noting(cursor, dataset) as years:
        written = _merged(cursor, statements, rows, source, [] if force else _better(source, priority), years)
        values = {"source": source, **{f"where_{name}": value for name, value in where.items()}}
        row = cursor.execute(statements.delete(where), values).fetchone()
    return replace(written, deleted=row[0] if row else 0)


def _copied_straight(
    connection: psycopg.Connection[Any],
    cursor: psycopg.Cursor[Any],
    dataset: Dataset,
    frames: Sequence[pl.DataFrame],
    sources: Sequence[str],
) -> frozenset[int]:
    """Copies the frames whose sessions have no row yet right into the table; the places of those frames.

    None, with nothing written, when two of them have a key in common, or another writer brings rows in this moment.
    """
    if not dataset.dated:
        return frozenset()
    statements = _Statements(dataset, ())
    new = [
        place
        for place, rows in enumerate(frames)
        if not rows.is_empty() and not _taken(cursor, statements, rows["trade_date"].unique().to_list())
    ]
    if not new:
        return frozenset()
    rows = pl.concat([frames[place].with_columns(source=pl.lit(sources[place])) for place in new])
    try:
        with connection.transaction():
            _copy(cursor, statements.copy_straight, rows if len(new) == 1 else rows.sort(dataset.stored_order))
    except psycopg.errors.UniqueViolation:
        return frozenset()
    return frozenset(new)


def _taken(cursor: psycopg.Cursor[Any], statements: _Statements, sessions: list[dt.date]) -> bool:
    """Whether any of the sessions has a row."""
    (taken,) = cursor.execute(statements.taken, {"sessions": sessions}).fetchone() or (True,)
    return bool(taken)


def _copy(cursor: psycopg.Cursor[Any], statement: sql.Composed, rows: pl.DataFrame) -> None:
    with cursor.copy(statement) as copy:
        for part in rows.iter_slices(_COPY_ROWS):
            copy.write(_csv(part))


def _whole(connection: psycopg.Connection[Any]) -> AbstractContextManager[object]:
    """A transaction for a connection in autocommit. Any other is in its caller's, or begins it now."""
    return connection.transaction() if connection.autocommit else nullcontext()


def _prepared(dataset: Dataset, frame: pl.DataFrame) -> pl.DataFrame:
    """The spec's columns in its order and types, NaN as null, sorted as the table is (its index is then filled in order)."""
    if missing := [name for name in dataset.column_names if name not in frame.columns]:
        raise UpsertError(f"{dataset.name}: the frame lacks {', '.join(missing)}")
    wrong = [
        f"{column.name} is {frame.schema[column.name]} and not {column.type.polars}"
        for column in dataset.columns
        if frame.schema[column.name] not in (column.type.polars, pl.Null())
    ]
    if wrong:
        raise UpsertError(f"{dataset.name}: {'; '.join(wrong)}")
    columns = [pl.col(column.name).cast(column.type.polars) for column in dataset.columns]
    rows = frame.select(columns).with_columns(pl.selectors.float().fill_nan(None)).sort(dataset.stored_order)
    key = pl.struct(dataset.key)
    twice = rows.filter(key == key.shift())
    if not twice.is_empty():
        raise UpsertError(f"{dataset.name}: {twice.height} keys stand twice, the first is {twice.select(dataset.key).row(0)}")
    return rows


def _untold(dataset: Dataset, rows: pl.DataFrame) -> list[str]:
    """The columns that a list's rows have no value for; a bar is of one source as a whole."""
    return [] if dataset.dated else [column.name for column in rows if column.null_count() == rows.height]


def _csv(rows: pl.DataFrame) -> bytes:
    text = BytesIO()
    # "necessary" quotes the empty text too: unquoted nothing is null.
    rows.write_csv(text, include_header=False, quote_style="necessary", null_value="")
    return text.getvalue()


class _Statements:
    """The statements of one data set. `incoming`: its temporary table, made once per connection, emptied by commits.

    `untold`: columns whose stored values stay.
    """

    def __init__(self, dataset: Dataset, untold: Collection[str]) -> None:
        names = {
            "table": sql.Identifier(dataset.name),
            "incoming": sql.Identifier(f"incoming_{dataset.name}"),
            "columns": _list(dataset.column_names),
            "key": _list(dataset.key),
            "same_key": _each(dataset.key, "t.{0} = i.{0}", " AND "),
            "stored": _each((*dataset.column_names, "source"), "t.{0}"),
            "came": _list(dataset.column_names, of=lambda name: "t" if name in untold else "i"),
            "assignments": _each(
                [name for name in dataset.column_names if name not in dataset.key], "{0} = excluded.{0},", " "
            ),
            "dataset": sql.Literal(dataset.name),
            "year": sql.SQL("extract(year FROM trade_date)::integer") if dataset.dated else sql.Literal(EVERY_YEAR),
            "key_object": sql.SQL(", ").join(
                sql.SQL("{}, t.{}").format(sql.Literal(name), sql.Identifier(name)) for name in dataset.key
            ),
        }
        self.incoming = sql.SQL(_INCOMING).format(**names)
        self.copy = sql.SQL("COPY pg_temp.{incoming} ({columns}) FROM STDIN (FORMAT csv)").format(**names)
        self.taken = sql.SQL(_TAKEN).format(**names)
        self.copy_straight = sql.SQL("COPY {table} ({columns}, source) FROM STDIN (FORMAT csv)").format(**names)
        self.insert = sql.SQL(_INSERT).format(**names)
        self.update = sql.SQL(_UPDATE).format(**names)
        self._names = names

    def delete(self, where: Iterable[str]) -> sql.Composed:
        """Deletes the source's rows of `where` whose key is not among the incoming rows."""
        names = {"source": "source", **{name: f"where_{name}" for name in where}}
        scope = sql.SQL(" AND ").join(
            sql.SQL("t.{} = {}").format(sql.Identifier(name), sql.Placeholder(value)) for name, value in names.items()
        )
        return sql.SQL(_DELETE).format(scope=scope, **self._names)


_INCOMING = """
CREATE TEMPORARY TABLE IF NOT EXISTS {incoming} ON COMMIT DELETE ROWS AS SELECT {columns} FROM {table} WITH NO DATA;
TRUNCATE pg_temp.{incoming}
"""
# Day by day, so that the key's index is used: for all days at once a planner that expects a match reads the whole table.
_TAKEN = """
SELECT EXISTS (
    SELECT FROM unnest(%(sessions)s::date[]) AS day
    CROSS JOIN LATERAL (SELECT FROM {table} WHERE trade_date = day LIMIT 1) AS row
)
"""
# Rows that are new go in with one look at the index; a backfill's rows are all of them, and it ends here.
_INSERT = """
WITH written AS (
    INSERT INTO {table} ({columns}, source) SELECT {columns}, %(source)s FROM pg_temp.{incoming}
    ON CONFLICT DO NOTHING RETURNING {year} AS year
)
SELECT year, count(*) FROM written GROUP BY year
"""
# The changed rows are locked before they are written down, so that another writer's change cannot come in between.
# LATERAL with LIMIT looks each row up by the key's index, whatever the planner thinks of the tables: a hash or merge join
# would read the whole table for every batch.
_UPDATE = """
WITH changed AS MATERIALIZED (
    SELECT t.*
    FROM pg_temp.{incoming} i CROSS JOIN LATERAL (
        SELECT {came}, to_jsonb(t) AS former, t.source = ANY(%(better)s) AS kept
        FROM {table} t
        WHERE {same_key} AND ({stored}) IS DISTINCT FROM ({came}, %(source)s)
        LIMIT 1 FOR UPDATE
    ) t
), revised AS (
    INSERT INTO row_revisions (dataset, key, former, replaced_by)
    SELECT {dataset}, jsonb_build_object({key_object}), former, %(source)s FROM changed t WHERE NOT kept
), updated AS (
    INSERT INTO {table} ({columns}, source) SELECT {columns}, %(source)s FROM changed WHERE NOT kept
    ON CONFLICT ({key}) DO UPDATE SET {assignments} source = excluded.source, updated_at = now()
    RETURNING 1
)
SELECT (SELECT count(*) FROM updated), (SELECT count(*) FROM changed WHERE kept)
"""
# EXCEPT sorts or hashes, whatever the planner thinks of the tables: in a new one it takes a board's rows for a handful, and
# looked for each of 5,000 members among 5,000 (half a second a board).
_DELETE = """
WITH stale AS MATERIALIZED (
    SELECT {key} FROM {table} t WHERE {scope} EXCEPT SELECT {key} FROM pg_temp.{incoming}
), gone AS (
    DELETE FROM {table} t USING stale i WHERE {scope} AND {same_key}
    RETURNING to_jsonb(t) AS former, jsonb_build_object({key_object}) AS key_object
), revised AS (
    INSERT INTO row_revisions (dataset, key, former, replaced_by)
    SELECT {dataset}, key_object, former, %(source)s FROM gone
)
SELECT count(*) FROM gone
"""


def _list(names: Iterable[str], *, of: Callable[[str], str] | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(of(name), name) if of else sql.Identifier(name) for name in names)


def _each(names: Iterable[str], pattern: LiteralString, between: LiteralString = ", ") -> sql.Composed:
    return sql.SQL(between).join(sql.SQL(pattern).format(sql.Identifier(name)) for name in names)
