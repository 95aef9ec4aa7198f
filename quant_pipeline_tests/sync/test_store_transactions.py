"""Rows, refused rows and their record land together or not at all; and of two units each has its own counts and owner."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import psycopg
import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import DAILY_KLINE, STOCK_LIST, WEEKLY_KLINE
from quant_pipeline.market.validation import REASON, Checked
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.failures import FailureClass, SourceError, Unanswered
from quant_pipeline.sources.router import Answer
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.ledger import Item, ItemStatus, Ledger, record
from quant_pipeline.sync.store import Fetched, Store
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.errors import DatabaseError
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.sync.conftest import Bench
from quant_pipeline_tests.sync.stored import CALENDAR, CODES, LATEST, bars, sessions

FIRST, SECOND, THIRD = sessions(3)
BARS = {day: bars(CODES[:10], [day]) for day in (FIRST, SECOND, THIRD)}
DEARER = {day: frame.with_columns(close=pl.col("close") + 0.01) for day, frame in BARS.items()}
TABLES = ("daily_kline", "rejected_rows", "sync_items")
BROKEN = """
CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'broken on purpose' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER broken BEFORE INSERT ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION broken()
"""


@pytest.fixture
def ledgered(warehouse: Database) -> Database:
    """With a run that items may be recorded of."""
    presence = Presence(warehouse.connect())
    Ledger(warehouse, presence).begin("run-1", "test", {})
    presence.close()
    return warehouse


def answer(good: pl.DataFrame, source: str = "tushare", refused: Sequence[str] = ()) -> Answer:
    bad = pl.DataFrame({"ts_code": list(refused), REASON: ["no code"] * len(refused)}, schema=["ts_code", REASON])
    return Answer(source, Checked(good, bad), calls=1, attempts=1, seconds=0.0)


def came(
    day: dt.date, rows: dict[dt.date, pl.DataFrame] = BARS, source: str = "tushare", refused: Sequence[str] = ()
) -> Fetched:
    return Fetched(Unit.session(day), answer(rows[day], source, refused), None)


def write(
    database: Database,
    group: Sequence[Fetched],
    dataset: Dataset = DAILY_KLINE,
    between: Callable[[psycopg.Connection], None] = lambda _: None,
) -> dict[Unit, Item]:
    """As the engine does: one transaction for the group's rows and their record. `between`: what happens between the two."""
    with database.connect() as connection, connection.transaction():
        items = Store(connection, dataset, CALENDAR, ("tushare", "baostock"), force=False).write(group)
        between(connection)
        record(connection, "run-1", dataset, items.values())
    return items


def counts(items: dict[Unit, Item]) -> list[tuple[int, int, int, int]]:
    return [(item.inserted, item.updated, item.unchanged, item.rejected) for item in items.values()]


def stored(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return connection.execute(query).fetchall()


def sizes(database: Database) -> dict[str, int]:
    return {table: stored(database, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


@pytest.mark.parametrize(
    ("table", "when"),
    [
        ("daily_kline", f"new.trade_date = '{SECOND}'"),
        ("rejected_rows", "new.row->>'ts_code' = 'second'"),
        ("sync_items", f"new.trade_date = '{SECOND}'"),
    ],
)
def test_where_the_second_write_fails_nothing_of_the_group_lands(ledgered: Database, table: str, when: str) -> None:
    write(ledgered, [came(THIRD, refused=["third"])])
    before = sizes(ledgered)
    with ledgered.connect() as connection:
        connection.execute(BROKEN.format(table=table, when=when))
    group = [came(FIRST, refused=["first"]), came(SECOND, refused=["second"])]
    with pytest.raises(DatabaseError, match="the disk of the database is full"):
        write(ledgered, group)
    assert sizes(ledgered) == before, "what was committed before stays, and nothing else"
    with ledgered.connect() as connection:
        connection.execute(f"DROP TRIGGER broken ON {table}")
    assert counts(write(ledgered, group)) == [(10, 0, 0, 1)] * 2
    assert sizes(ledgered) == {"daily_kline": 30, "rejected_rows": 3, "sync_items": 3}


def test_a_session_that_is_killed_between_rows_and_record_leaves_neither(ledgered: Database) -> None:
    def kill(connection: psycopg.Connection) -> None:
        with ledgered.connect() as killer:
            killer.execute("SELECT pg_terminate_backend(%s, 10000)", (connection.info.backend_pid,))

    with pytest.raises(DatabaseError, match="stopped or crashed"):
        write(ledgered, [came(FIRST, refused=["x"])], between=kill)
    assert sizes(ledgered) == dict.fromkeys(TABLES, 0)


def test_an_error_of_our_own_between_them_leaves_neither(ledgered: Database) -> None:
    def stumble(connection: psycopg.Connection) -> None:
        raise KeyError(connection.info.dbname)

    with pytest.raises(KeyError):
        write(ledgered, [came(FIRST, refused=["x"]), came(SECOND)], between=stumble)
    assert sizes(ledgered) == dict.fromkeys(TABLES, 0)


def test_the_engine_records_in_the_transaction_of_the_rows(bench: Bench) -> None:
    days = bench.sessions(2)
    bench.reference(days)
    with bench.database.connect() as connection:
        connection.execute(BROKEN.format(table="sync_items", when="new.dataset = 'daily_kline'"))
    with pytest.raises((DatabaseError, psycopg.errors.DiskFull)):
        bench.sync(DAILY_KLINE, days)
    assert stored(bench.database, "SELECT count(*) FROM daily_kline") == [(0,)]


def test_a_list_its_ended_rows_and_the_record_land_together(ledgered: Database) -> None:
    def listing(*codes: str) -> Fetched:
        nothing = {column.name: pl.lit(None, column.type.polars) for column in STOCK_LIST.columns}
        rows = pl.DataFrame({"ts_code": list(codes)}).with_columns(
            **{name: value for name, value in nothing.items() if name != "ts_code"} | {"list_status": pl.lit("L")}
        )
        return Fetched(Unit.snapshot(LATEST), answer(rows.select(STOCK_LIST.column_names)), None)

    listed = "SELECT string_agg(left(ts_code, 6), ' ' ORDER BY ts_code) FROM stock_list"
    write(ledgered, [listing("600000.SH", "600001.SH", "600002.SH")], STOCK_LIST)
    with ledgered.connect() as connection:
        connection.execute(BROKEN.format(table="sync_items", when="true"))
    with pytest.raises(DatabaseError):
        write(ledgered, [listing("600000.SH", "600009.SH")], STOCK_LIST)
    assert stored(ledgered, listed) == [("600000 600001 600002",)]
    assert stored(ledgered, "SELECT count(*) FROM row_revisions") == [(0,)]
    with ledgered.connect() as connection:
        connection.execute("DROP TRIGGER broken ON sync_items")
    write(ledgered, [listing("600000.SH", "600001.SH")], STOCK_LIST)
    write(ledgered, [listing("600000.SH", "600009.SH")], STOCK_LIST)
    assert stored(ledgered, listed) == [("600000 600009",)], "replaced twice, each time what left is gone"
    assert len(stored(ledgered, "SELECT FROM row_revisions WHERE dataset = 'stock_list'")) == 2


def test_of_two_sessions_of_which_one_stands_each_has_its_own_counts(ledgered: Database) -> None:
    write(ledgered, [came(SECOND)])
    assert counts(write(ledgered, [came(FIRST), came(SECOND, DEARER)])) == [(10, 0, 0, 0), (0, 10, 0, 0)]
    assert counts(write(ledgered, [came(SECOND, DEARER), came(THIRD)])) == [(0, 0, 10, 0), (10, 0, 0, 0)]


def test_two_sources_own_each_what_they_brought(ledgered: Database) -> None:
    write(ledgered, [came(FIRST), came(SECOND, source="baostock")])
    again = [came(FIRST, DEARER, "baostock"), came(SECOND, DEARER, "tushare")]
    assert counts(write(ledgered, again)) == [(0, 0, 0, 0), (0, 10, 0, 0)], "the lower one's values are not taken"
    owners = "SELECT DISTINCT trade_date, source FROM daily_kline ORDER BY 1"
    assert stored(ledgered, owners) == [(FIRST, "tushare"), (SECOND, "tushare")]
    assert stored(ledgered, "SELECT DISTINCT former->>'source' FROM row_revisions") == [("baostock",)]


def test_of_two_refused_rows_each_source_keeps_those_that_it_sent(ledgered: Database) -> None:
    write(ledgered, [came(FIRST, refused=["a", "b"]), came(SECOND, source="baostock", refused=["b"])])
    write(ledgered, [came(FIRST, refused=["b", "c"])])
    kept = "SELECT source, string_agg(row->>'ts_code', '' ORDER BY row->>'ts_code') FROM rejected_rows GROUP BY 1 ORDER BY 1"
    assert stored(ledgered, kept) == [("baostock", "b"), ("tushare", "abc")]


def test_a_unit_that_failed_beside_one_that_came_bears_its_last_failure(ledgered: Database) -> None:
    said = [
        SourceError(FailureClass.RETRYABLE, "tushare", "daily", "HTTP 502"),
        SourceError(FailureClass.EMPTY, "baostock", "bars", "no rows"),
    ]
    failed = Fetched(Unit.session(SECOND), None, Unanswered("daily_kline", said, calls=4, attempts=3))
    items = write(ledgered, [came(FIRST), failed])
    assert counts(items) == [(10, 0, 0, 0), (0, 0, 0, 0)]
    item = items[Unit.session(SECOND)]
    assert (item.status, item.source, item.error_class, item.calls, item.attempts) == (
        ItemStatus.FAILED, "baostock", FailureClass.EMPTY.value, 4, 3,
    )  # fmt: skip
    recorded = "SELECT trade_date, status, inserted FROM sync_items ORDER BY trade_date"
    assert stored(ledgered, recorded) == [(FIRST, "success", 10), (SECOND, "failed", 0)]


def test_only_the_running_label_of_the_same_week_and_code_goes(ledgered: Database) -> None:
    """Two weeks and two codes: the second of each keeps its row."""
    friday = LATEST
    monday, before = xshg().window(friday, 5)[0], xshg().window(friday, 6)[0]
    one, two = CODES[:2]
    for day in (before, monday):
        write(ledgered, [Fetched(Unit.session(day), answer(bars([one, two], [day])), None)], WEEKLY_KLINE)
    closed = answer(bars([one], [friday]))
    write(ledgered, [Fetched(Unit.code(one, friday, friday), closed, None)], WEEKLY_KLINE)
    left = stored(ledgered, "SELECT ts_code, trade_date FROM weekly_kline ORDER BY 1, 2")
    assert left == [(one, before), (one, friday), (two, before), (two, monday)]
    again = write(ledgered, [Fetched(Unit.code(one, friday, friday), closed, None)], WEEKLY_KLINE)
    assert counts(again) == [(0, 0, 1, 0)], "a closed week's own row is no running one"


def test_what_fills_a_gap_is_no_overwrite(ledgered: Database) -> None:
    write(ledgered, [came(FIRST)])
    others = bars([*CODES[:10], "600999.SH"], [FIRST]).with_columns(close=pl.col("close") + 0.01)
    with ledgered.connect() as connection:
        store = Store(connection, DAILY_KLINE, CALENDAR, ("tushare", "baostock"), force=True)
        item = store.fill(Unit.session(FIRST), answer(others, "baostock"), others)
    assert (item.rows, item.inserted, item.updated) == (11, 1, 0)
    owners = "SELECT source, count(*) FROM daily_kline GROUP BY 1 ORDER BY 1"
    assert stored(ledgered, owners) == [("baostock", 1), ("tushare", 10)]
