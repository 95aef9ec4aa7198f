"""Shares whose code changed (000022.SZ is 001872.SZ today): found in the lists, recorded once, followed in every table.

The history of a company is read under the code that it has now, and no list has it twice. What was known under the old code
goes into row_revisions, in the transaction of the list that showed the change.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl
import psycopg
from psycopg import sql

from quant_pipeline.language import told
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import BSE_MAPPING, DATASETS, NAME_HISTORY, STOCK_LIST, WATCHLISTS
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql
from quant_pipeline.warehouse.table_changes import noting

SHOWN_BY = (STOCK_LIST, NAME_HISTORY, BSE_MAPPING)
"""The lists in which a change shows."""
OLD_AND_NEW = """
SELECT old_code, new_code FROM code_changes
UNION SELECT o_code, n_code FROM bse_mapping WHERE o_code NOT IN (SELECT old_code FROM code_changes)
"""
"""Every known change: those that were recorded, and the published ones of a database that has not recorded them yet."""
_SINCE = {STOCK_LIST.name: "list_date", NAME_HISTORY.name: "start_date"}
"""The day that a name begins with: what makes two codes one company, together with the name."""
_FOLLOWED = tuple(
    dataset
    for dataset in DATASETS.values()
    if dataset is WATCHLISTS
    or (
        dataset.sourced
        and "ts_code" in dataset.key
        and (STOCK_LIST.name in dataset.universe or dataset in (STOCK_LIST, NAME_HISTORY))
    )
)
_RECORD = """
INSERT INTO code_changes (old_code, new_code, name, changed_on, known_from) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (old_code) DO NOTHING
"""
_LAST_BAR = "SELECT max(trade_date) FROM daily_kline WHERE ts_code = %s"
_MOVE = """
WITH gone AS (
    DELETE FROM {table} t USING unnest(%(old)s::text[], %(new)s::text[]) AS change (old_code, new_code)
    WHERE t.ts_code = change.old_code
    RETURNING {columns}, t.source, change.new_code, to_jsonb(t) AS former, jsonb_build_object({key_object}) AS key_object
), revised AS (
    INSERT INTO row_revisions (dataset, key, former, replaced_by)
    SELECT {dataset}, key_object, former, 'new code ' || new_code FROM gone
)
INSERT INTO {table} ({names}, source) SELECT {moved}, source FROM gone ON CONFLICT DO NOTHING
"""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CodeChange:
    """A company's old and new code. `known_from`: the list that showed it; of a published change the day is not told."""

    old: str
    new: str
    name: str | None
    known_from: str


def renamed(database: Database) -> dict[str, str]:
    """What each old code is called now, over however many changes."""
    changes = dict(read_sql(database, OLD_AND_NEW).iter_rows())
    return {old: _newest(old, changes) for old in changes}


def under_new_codes(codes: dict[str, str], dataset: Dataset, frame: pl.DataFrame) -> pl.DataFrame:
    """A raw answer's rows under the codes of now. Of a list of companies those of an old code whose new one came as well
    are left out: no list has one twice."""
    if not codes or "ts_code" not in frame.columns or frame.schema["ts_code"] != pl.String:
        return frame
    if dataset in (STOCK_LIST, NAME_HISTORY):
        came = set(frame["ts_code"])
        twice = [old for old, new in codes.items() if old in came and new in came]
        frame = frame.filter(~pl.col("ts_code").is_in(twice).fill_null(False))
    frame = frame.with_columns(pl.col("ts_code").replace(codes))
    if dataset is STOCK_LIST and "symbol" in frame.columns:
        new = pl.col("ts_code").is_in(list(codes.values()))
        frame = frame.with_columns(symbol=pl.when(new).then(pl.col("ts_code").str.head(6)).otherwise("symbol"))
    return frame


def shown_in(connection: psycopg.Connection, dataset: Dataset, rows: pl.DataFrame, source: str) -> list[CodeChange]:
    """The changes that a whole answer of one of the lists shows, compared with what is stored of its source."""
    if dataset is BSE_MAPPING:
        published = rows.select("o_code", "n_code", "name").iter_rows()
        return [CodeChange(old, new, name, BSE_MAPPING.name) for old, new, name in published]
    since = _SINCE[dataset.name]
    company = "fullname" if dataset is STOCK_LIST else "name"
    statement = sql.SQL("SELECT ts_code, name, {}, {} FROM {} WHERE source = %s").format(
        sql.Identifier(since), sql.Identifier(company), sql.Identifier(dataset.name)
    )
    schema = {"ts_code": pl.String, "name": pl.String, "since": pl.Date, "company": pl.String}
    stored = pl.DataFrame(connection.execute(statement, (source,)).fetchall(), schema=schema, orient="row")
    live = rows.filter(pl.col("list_status") != "D") if dataset is STOCK_LIST else rows
    came = live.select("ts_code", "name", pl.col(since).alias("since"), pl.col(company).alias("company"))
    return list(detected(stored, came, dataset.name))


def detected(stored: pl.DataFrame, came: pl.DataFrame, known_from: str) -> Iterator[CodeChange]:
    """The changes between a list as it stood and as it came (ts_code, name, company, since; whole lists, without ended
    companies).

    A code that is there no more and one that was not there before are one company where both had one name since the same
    day, the short one or the company's whole one (a share may get a new code and a new short name on one day), and no third
    code did.
    """
    gone = stored.join(came, on="ts_code", how="anti")
    new = came.join(stored, on="ts_code", how="anti")
    alike = [
        gone.drop_nulls(key).join(new, on=[key, "since"], suffix="_new").select("ts_code", "ts_code_new")
        for key in ("name", "company")
    ]
    pairs = pl.concat(alike).join(new.select(ts_code_new="ts_code", name="name"), on="ts_code_new")
    pairs = pairs.unique(["ts_code", "ts_code_new"], keep="first", maintain_order=True).sort("ts_code", "ts_code_new")
    alone = ~(pl.col("ts_code").is_duplicated() | pl.col("ts_code_new").is_duplicated())
    yield from (CodeChange(old, new, name, known_from) for old, new, name in pairs.filter(alone).iter_rows())


def follow(connection: psycopg.Connection, changes: Sequence[CodeChange], calendar: Calendar, seen: dt.date) -> None:
    """Records the changes and moves all rows of the old codes under the new ones, in the caller's transaction.

    Where the new code has a row of its own already, that one stays. `seen`: the day of a change before which the old code
    has no bar.
    """
    if not changes:
        return
    for change in changes:
        day = None if change.known_from == BSE_MAPPING.name else _changed_on(connection, change, calendar, seen)
        recorded = connection.execute(_RECORD, (change.old, change.new, change.name, day, change.known_from)).rowcount
        if recorded and day is not None:
            _logger.warning(
                told(
                    "{old} {name} is {new} now: its history is read under the new code",
                    old=change.old,
                    name=change.name,
                    new=change.new,
                )
            )
    codes = {"old": [change.old for change in changes], "new": [change.new for change in changes]}
    for dataset in _FOLLOWED:
        # The years of what is put under the new codes are those of what is taken from under the old ones.
        with connection.cursor() as cursor, noting(cursor, dataset):
            cursor.execute(_moving(dataset), codes)


def _changed_on(connection: psycopg.Connection, change: CodeChange, calendar: Calendar, seen: dt.date) -> dt.date:
    """The session after the old code's last bar."""
    row = connection.execute(_LAST_BAR, (change.old,)).fetchone()
    last = row[0] if row else None
    return calendar.shift(last, 1) if last is not None and calendar.is_session(last) and last < calendar.sessions[-1] else seen


def _moving(dataset: Dataset) -> sql.Composed:
    names = dataset.column_names
    comma = sql.SQL(", ")
    return sql.SQL(_MOVE).format(
        table=sql.Identifier(dataset.name),
        dataset=sql.Literal(dataset.name),
        columns=comma.join(sql.Identifier("t", name) for name in names),
        names=comma.join(map(sql.Identifier, names)),
        moved=comma.join(sql.Identifier("new_code" if name == "ts_code" else name) for name in names),
        key_object=comma.join(sql.SQL("{}, t.{}").format(sql.Literal(name), sql.Identifier(name)) for name in dataset.key),
    )


def _newest(code: str, changes: dict[str, str]) -> str:
    seen = {code}
    while (following := changes.get(code)) is not None and following not in seen:
        seen.add(following)
        code = following
    return code
