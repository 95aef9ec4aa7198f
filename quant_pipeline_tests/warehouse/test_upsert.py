"""Bulk writes: true counts, nothing written twice, former values kept, the owner rule, and values of every kind."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from psycopg import sql

from quant_pipeline.market.datasets import DAILY_KLINE, NAME_HISTORY, SCREEN_RESULTS, STOCK_LIST
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read, read_sql
from quant_pipeline.warehouse.upsert import (
    COMPUTED,
    Upserted,
    UpsertError,
    _copy,
    _Statements,
    replace_rows,
    upsert,
    upsert_each,
)
from quant_pipeline_tests.warehouse.bars import daily_bars

BARS = daily_bars(50, 4)
SESSION = BARS["trade_date"][0]


@pytest.fixture
def connection(warehouse: Database) -> Iterator[psycopg.Connection[Any]]:
    with warehouse.connect() as open_connection:
        yield open_connection


def written(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """The physical rows: another xmin is another write."""
    query = "SELECT ts_code, trade_date, xmin::text, ctid::text, updated_at FROM daily_kline ORDER BY 1, 2"
    return connection.execute(query).fetchall()


def test_counts_are_true(connection: psycopg.Connection[Any]) -> None:
    assert upsert(connection, DAILY_KLINE, BARS[:150], source="tushare") == Upserted(inserted=150)
    mixed = BARS.with_columns(close=pl.when(pl.col("ts_code") < "600010.SH").then(pl.col("close") + 1).otherwise("close"))
    assert upsert(connection, DAILY_KLINE, mixed, source="tushare") == Upserted(inserted=50, updated=30, unchanged=120)


def test_a_second_run_writes_nothing(connection: psycopg.Connection[Any]) -> None:
    upsert(connection, DAILY_KLINE, BARS, source="tushare")
    connection.commit()
    before = written(connection)
    assert upsert(connection, DAILY_KLINE, BARS.sample(fraction=1, shuffle=True), source="tushare") == Upserted(unchanged=200)
    assert written(connection) == before
    assert connection.execute("SELECT count(*) FROM row_revisions").fetchone() == (0,)


def test_only_changed_rows_are_touched(connection: psycopg.Connection[Any]) -> None:
    upsert(connection, DAILY_KLINE, BARS, source="tushare")
    connection.commit()
    before = {row[:2]: row[2:] for row in written(connection)}
    changed = BARS.with_columns(vol=pl.when(pl.col("ts_code") == "600007.SH").then(1.0).otherwise("vol"))
    upsert(connection, DAILY_KLINE, changed, source="tushare")
    after = {row[:2]: row[2:] for row in written(connection)}
    assert {key[0] for key in after if after[key] != before[key]} == {"600007.SH"}


def test_former_values_are_kept_whole(connection: psycopg.Connection[Any]) -> None:
    upsert(connection, DAILY_KLINE, BARS[:1], source="akshare")
    upsert(connection, DAILY_KLINE, BARS[:1].with_columns(close=pl.lit(1.25)), source="tushare")
    key, former, replaced_by = connection.execute("SELECT key, former, replaced_by FROM row_revisions").fetchone() or ()
    assert key == {"ts_code": "600000.SH", "trade_date": SESSION.isoformat()}
    assert {name: former[name] for name in DAILY_KLINE.column_names} == {
        name: value.isoformat() if isinstance(value, dt.date) else value for name, value in BARS.row(0, named=True).items()
    }
    assert (former["source"], replaced_by) == ("akshare", "tushare")
    assert "updated_at" in former


def test_rows_and_revisions_go_with_the_callers_transaction(connection: psycopg.Connection[Any]) -> None:
    upsert(connection, DAILY_KLINE, BARS, source="tushare")
    connection.commit()
    upsert(connection, DAILY_KLINE, BARS.with_columns(close=pl.lit(1.0)), source="tushare")
    connection.rollback()
    assert upsert(connection, DAILY_KLINE, BARS, source="tushare") == Upserted(unchanged=200)
    assert connection.execute("SELECT count(*) FROM row_revisions").fetchone() == (0,)


def test_a_connection_in_autocommit_writes_all_or_nothing(warehouse: Database) -> None:
    broken = BARS.with_columns(close=pl.when(pl.col("ts_code") == "600049.SH").then(None).otherwise("close"))
    with warehouse.connect(autocommit=True) as connection:
        with pytest.raises(psycopg.errors.NotNullViolation):
            upsert(connection, DAILY_KLINE, broken, source="tushare")
        assert written(connection) == []
        assert upsert(connection, DAILY_KLINE, BARS, source="tushare") == Upserted(inserted=200)
    assert read(warehouse, DAILY_KLINE).height == 200


def test_several_writes_may_share_one_transaction(connection: psycopg.Connection[Any]) -> None:
    for part in BARS.partition_by("trade_date"):
        assert upsert(connection, DAILY_KLINE, part, source="tushare") == Upserted(inserted=50)


def test_a_lower_source_never_overwrites_a_higher_one(connection: psycopg.Connection[Any]) -> None:
    priority = ["tushare", "akshare", "baostock"]
    other = BARS.with_columns(close=pl.col("close") + 1)
    upsert(connection, DAILY_KLINE, BARS[:100], source="akshare", priority=priority)
    assert upsert(connection, DAILY_KLINE, other, source="baostock", priority=priority) == Upserted(inserted=100, kept=100)
    assert upsert(connection, DAILY_KLINE, other, source="derived", priority=priority) == Upserted(kept=200)
    assert upsert(connection, DAILY_KLINE, other, source="tushare", priority=priority) == Upserted(updated=200)
    assert upsert(connection, DAILY_KLINE, BARS, source="akshare", priority=priority) == Upserted(kept=200)
    assert upsert(connection, DAILY_KLINE, BARS, source="akshare", priority=priority, force=True) == Upserted(updated=200)


def test_a_list_keeps_what_another_source_told_and_this_one_does_not(connection: psycopg.Connection[Any]) -> None:
    """AKShare knows a stock's name and no listing date: forced over Tushare's row it must not wipe the date."""
    nothing = {name: pl.lit(None) for name in STOCK_LIST.column_names}
    named = {"ts_code": pl.lit("600000.SH"), "name": pl.lit("浦发"), "list_status": pl.lit("L")}
    told = pl.select(**nothing | named | {"list_date": dt.date(1999, 11, 10)})
    upsert(connection, STOCK_LIST, told, source="tushare")
    renamed = told.with_columns(name=pl.lit("浦发银行"), list_date=pl.lit(None, pl.Date))
    assert upsert(connection, STOCK_LIST, renamed, source="akshare", force=True).updated == 1
    query = "SELECT name, list_date, source FROM stock_list"
    assert connection.execute(query).fetchall() == [("浦发银行", dt.date(1999, 11, 10), "akshare")]
    assert upsert(connection, STOCK_LIST, renamed, source="akshare").unchanged == 1
    other = told.with_columns(ts_code=pl.lit("600004.SH"))
    corrected = pl.concat([other, told.with_columns(list_date=pl.lit(None, pl.Date))])
    upsert(connection, STOCK_LIST, corrected, source="tushare")
    assert connection.execute(query + " WHERE ts_code = '600000.SH'").fetchall() == [("浦发", None, "tushare")], "taken back"


def test_a_bar_is_of_one_source_as_a_whole(connection: psycopg.Connection[Any]) -> None:
    upsert(connection, DAILY_KLINE, BARS, source="tushare")
    without = BARS.with_columns(pre_close=pl.lit(None, pl.Float64))
    assert upsert(connection, DAILY_KLINE, without, source="akshare", force=True).updated == BARS.height
    assert connection.execute("SELECT count(pre_close) FROM daily_kline").fetchone() == (0,)


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (pl.concat([BARS, BARS[:1].with_columns(close=pl.lit(1.0))]), "1 keys stand twice, the first is .*600000.SH"),
        (BARS.drop("vol", "amount"), "lacks vol, amount"),
        (BARS.with_columns(pl.col("trade_date").cast(pl.String)), "trade_date is String and not Date"),
    ],
)
def test_a_frame_that_cannot_be_written_is_refused_whole(
    connection: psycopg.Connection[Any], frame: pl.DataFrame, problem: str
) -> None:
    with pytest.raises(UpsertError, match=problem):
        upsert(connection, DAILY_KLINE, frame, source="tushare")
    assert written(connection) == []


def test_values_of_every_kind_come_back(warehouse: Database) -> None:
    texts = [
        "tab\t",
        "line\nline",
        'quote "',
        "it's",
        "comma,",
        "\\N",
        "\\.",
        "",
        "　平安银行",
        None,
        "NULL",
        "a\\b",
        " x ",
    ]
    names = pl.DataFrame(
        {
            "ts_code": [f"{600000 + number}.SH" for number in range(len(texts))],
            "name": "n",
            "start_date": dt.date(1990, 12, 19),
            "end_date": [None, *[dt.date(9999, 12, 31)] * (len(texts) - 1)],
            "ann_date": None,
            "change_reason": texts,
        },
        schema_overrides={"ann_date": pl.Date},
    )
    floats = [float("inf"), float("-inf"), float("nan"), None, -0.0, 1e-308, 0.1 + 0.2, 1.7976931348623157e308]
    bars = BARS[: len(floats)].with_columns(amount=pl.Series(floats))
    with warehouse.connect() as connection:
        for dataset, frame in ((NAME_HISTORY, names), (DAILY_KLINE, bars)):
            assert upsert(connection, dataset, frame, source="a'b\"c") == Upserted(inserted=frame.height)
            assert upsert(connection, dataset, frame, source="a'b\"c") == Upserted(unchanged=frame.height)
    assert read(warehouse, NAME_HISTORY)["change_reason"].to_list() == texts
    assert read(warehouse, DAILY_KLINE)["amount"].to_list() == [None if value != value else value for value in floats]


def test_a_column_without_any_value_may_have_no_type(connection: psycopg.Connection[Any]) -> None:
    frame = BARS.with_columns(amount=pl.lit(None))
    assert upsert(connection, DAILY_KLINE, frame, source="tushare") == Upserted(inserted=200)


def test_an_empty_frame_is_no_work(connection: psycopg.Connection[Any]) -> None:
    assert upsert(connection, STOCK_LIST, pl.DataFrame(schema=dict.fromkeys(STOCK_LIST.column_names)), source="x") == Upserted()


def test_two_writers_of_the_same_rows_both_count_truly(warehouse: Database) -> None:
    with warehouse.connect() as first, warehouse.connect() as second:
        upsert(first, DAILY_KLINE, BARS[:100], source="tushare")
        first.commit()
        upsert(first, DAILY_KLINE, BARS[:100].with_columns(close=pl.lit(1.0)), source="tushare")
        assert upsert(second, DAILY_KLINE, BARS[100:], source="tushare") == Upserted(inserted=100)
        first.commit()
        assert upsert(second, DAILY_KLINE, BARS[:100], source="tushare") == Upserted(updated=100)
    former = read_sql(warehouse, "SELECT former->>'close' AS close FROM row_revisions ORDER BY id")["close"]
    assert former.to_list()[100:] == ["1"] * 100  # the second writer's revisions hold what the first one wrote


def hits(codes: Sequence[str], screen: str = "dual_ma", score: float = 1.0) -> pl.DataFrame:
    frame = pl.DataFrame({"ts_code": list(codes)}, schema={"ts_code": pl.String})
    return frame.select(
        screen=pl.lit(screen), trade_date=pl.lit(SESSION), ts_code="ts_code", name=pl.lit("甲"), close=pl.lit(1.0),
        pct_chg=pl.lit(0.5), score=pl.lit(score), figures=pl.lit("{}"), parameters=pl.lit("{}"),
        rank=pl.lit(1, pl.Int64), reason=pl.lit("双均线"), industry=pl.lit("银行"), concepts=pl.lit(""), universe=pl.lit("{}"),
    )  # fmt: skip


def test_a_new_session_costs_the_same_however_large_the_table_is(warehouse: Database) -> None:
    """Whether its sessions have rows is asked of the index: the table is not read from end to end, statistics or not."""
    with warehouse.connect() as connection:
        connection.execute("ALTER TABLE daily_kline SET (autovacuum_enabled = off)")
        upsert(connection, DAILY_KLINE, daily_bars(2_000, 20), source="tushare")
        connection.commit()
        upsert(connection, DAILY_KLINE, daily_bars(2_000, 20, skip=20), source="tushare")
        connection.commit()
        connection.execute("SELECT pg_stat_force_next_flush()")
        connection.commit()
        row = connection.execute("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'daily_kline'").fetchone()
    assert row == (0,)


def test_a_screens_session_is_replaced_whole(warehouse: Database) -> None:
    where = {"screen": "dual_ma", "trade_date": SESSION}
    with warehouse.connect() as connection:
        replace_rows(connection, SCREEN_RESULTS, hits(["a"], "other"), where={**where, "screen": "other"})
        assert replace_rows(connection, SCREEN_RESULTS, hits("abc"), where=where) == Upserted(inserted=3)
        again = pl.concat([hits("b"), hits("c", score=2.0), hits("d")])
        expected = Upserted(inserted=1, updated=1, unchanged=1, deleted=1)
        assert replace_rows(connection, SCREEN_RESULTS, again, where=where) == expected
        assert replace_rows(connection, SCREEN_RESULTS, again, where=where) == Upserted(unchanged=3)
        assert replace_rows(connection, SCREEN_RESULTS, hits(""), where=where) == Upserted(deleted=3)
        with pytest.raises(UpsertError, match="1 rows are not of"):
            replace_rows(connection, SCREEN_RESULTS, hits("a", "other"), where=where)
    left = read(warehouse, SCREEN_RESULTS)
    assert left["screen"].to_list() == ["other"]
    revisions = read_sql(warehouse, "SELECT key->>'ts_code' AS ts_code FROM row_revisions ORDER BY id")
    assert sorted(revisions["ts_code"]) == ["a", "b", "c", "c", "d"]


DAYS = BARS.partition_by("trade_date")
DEARER = [day.with_columns(close=pl.col("close") + 1) for day in DAYS]


def test_of_several_sessions_each_has_its_own_true_counts(connection: psycopg.Connection[Any]) -> None:
    upsert(connection, DAILY_KLINE, DAYS[1][:30], source="tushare")
    frames = [(day, "tushare") for day in (DAYS[0], DAYS[1], DAYS[1].clear(), DAYS[2])]
    new, part, nothing = Upserted(inserted=50), Upserted(inserted=20, unchanged=30), Upserted()
    assert upsert_each(connection, DAILY_KLINE, frames) == [new, part, nothing, new]
    assert upsert_each(connection, DAILY_KLINE, frames[:2]) == [Upserted(unchanged=50)] * 2


def test_new_sessions_of_two_sources_bear_each_its_own(connection: psycopg.Connection[Any]) -> None:
    priority = ("tushare", "baostock")
    first = [(DAYS[0], "tushare"), (DAYS[1], "baostock")]
    assert upsert_each(connection, DAILY_KLINE, first, priority=priority) == [Upserted(inserted=50)] * 2
    by_day = "SELECT DISTINCT trade_date, source FROM daily_kline ORDER BY 1"
    days = [day["trade_date"][0] for day in DAYS]
    assert connection.execute(by_day).fetchall() == [(days[0], "tushare"), (days[1], "baostock")]
    swapped = [(DEARER[0], "baostock"), (DEARER[1], "tushare")]
    assert upsert_each(connection, DAILY_KLINE, swapped, priority=priority) == [Upserted(kept=50), Upserted(updated=50)]
    forced = upsert_each(connection, DAILY_KLINE, [(DEARER[0], "baostock")], priority=priority, force=True)
    assert forced == [Upserted(updated=50)]


def test_two_new_answers_for_one_session_are_written_one_after_the_other(connection: psycopg.Connection[Any]) -> None:
    """Their keys meet, so that they cannot be copied together; the better source's rows stand, whichever came first."""
    priority = ("tushare", "baostock")
    both = [(DEARER[0][:40], "baostock"), (DAYS[0][10:], "tushare")]
    expected = [Upserted(inserted=40), Upserted(inserted=10, updated=30)]
    assert upsert_each(connection, DAILY_KLINE, both, priority=priority) == expected
    assert connection.execute("SELECT source, count(*) FROM daily_kline GROUP BY 1 ORDER BY 1").fetchall() == [
        ("baostock", 10),
        ("tushare", 40),
    ]
    both = [(DAYS[1][10:], "tushare"), (DEARER[1][:40], "baostock")]
    expected = [Upserted(inserted=40), Upserted(inserted=10, kept=30)]
    assert upsert_each(connection, DAILY_KLINE, both, priority=priority) == expected


def test_a_second_frame_that_cannot_be_written_leaves_the_first_unwritten_too(warehouse: Database) -> None:
    broken = DAYS[1].with_columns(close=pl.when(pl.col("ts_code") == "600049.SH").then(None).otherwise("close"))
    with warehouse.connect(autocommit=True) as connection:
        with pytest.raises(psycopg.errors.NotNullViolation):
            upsert_each(connection, DAILY_KLINE, [(DAYS[0], "tushare"), (broken, "tushare")])
        assert written(connection) == []


def break_writes(connection: psycopg.Connection[Any], table: str, event: str, when: str = "true") -> None:
    """From now on the server refuses such a write: the disk is full in that moment."""
    connection.execute(
        f"CREATE FUNCTION broken_{table}() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'broken on purpose' USING ERRCODE = 'disk_full'; END $$; "
        f"CREATE TRIGGER broken BEFORE {event} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION broken_{table}()"
    )


def test_no_row_changes_whose_former_values_could_not_be_kept(warehouse: Database) -> None:
    with warehouse.connect(autocommit=True) as connection:
        upsert(connection, DAILY_KLINE, BARS, source="tushare")
        before = written(connection)
        # the second of two revisions
        break_writes(connection, "row_revisions", "INSERT", "new.key->>'ts_code' = '600001.SH'")
        with pytest.raises(psycopg.errors.DiskFull):
            upsert(connection, DAILY_KLINE, DEARER[0][:2], source="tushare")
        assert written(connection) == before
        assert connection.execute("SELECT count(*) FROM row_revisions").fetchone() == (0,)
        assert upsert(connection, DAILY_KLINE, DEARER[0][:1], source="tushare") == Upserted(updated=1)
        assert connection.execute("SELECT count(*) FROM row_revisions").fetchone() == (1,)


def test_a_list_and_the_rows_that_it_ends_go_together(warehouse: Database) -> None:
    where = {"screen": "dual_ma", "trade_date": SESSION}
    codes = "SELECT string_agg(ts_code, '' ORDER BY ts_code) FROM screen_results"
    with warehouse.connect(autocommit=True) as connection:
        replace_rows(connection, SCREEN_RESULTS, hits("abc"), where=where)
        break_writes(connection, "screen_results", "DELETE", "old.ts_code = 'b'")
        with pytest.raises(psycopg.errors.DiskFull):
            replace_rows(connection, SCREEN_RESULTS, hits("cde"), where=where)
        assert connection.execute(codes).fetchone() == ("abc",), "neither is d there, nor a gone"
        assert connection.execute("SELECT count(*) FROM row_revisions").fetchone() == (0,)


def test_a_row_that_could_not_be_written_down_is_not_deleted(warehouse: Database) -> None:
    where = {"screen": "dual_ma", "trade_date": SESSION}
    with warehouse.connect(autocommit=True) as connection:
        replace_rows(connection, SCREEN_RESULTS, hits("abc"), where=where)
        break_writes(connection, "row_revisions", "INSERT", "new.key->>'ts_code' = 'b'")
        with pytest.raises(psycopg.errors.DiskFull):
            replace_rows(connection, SCREEN_RESULTS, hits("c"), where=where)
        assert connection.execute("SELECT count(*) FROM screen_results").fetchone() == (3,)


def test_a_list_that_is_replaced_twice_ends_each_time_what_left_it_then(connection: psycopg.Connection[Any]) -> None:
    where = {"screen": "dual_ma", "trade_date": SESSION}
    replace_rows(connection, SCREEN_RESULTS, hits("abc"), where=where)
    assert replace_rows(connection, SCREEN_RESULTS, hits("bc"), where=where) == Upserted(unchanged=2, deleted=1)
    assert replace_rows(connection, SCREEN_RESULTS, hits("ab"), where=where) == Upserted(inserted=1, unchanged=1, deleted=1)
    gone = connection.execute("SELECT key->>'ts_code' FROM row_revisions ORDER BY id").fetchall()
    assert gone == [("a",), ("c",)]


def test_a_list_of_one_source_ends_no_row_of_another(connection: psycopg.Connection[Any]) -> None:
    where = {"screen": "dual_ma", "trade_date": SESSION}
    replace_rows(connection, SCREEN_RESULTS, hits("ab"), where=where, source="tushare")
    replace_rows(connection, SCREEN_RESULTS, hits("cd"), where=where, source="akshare")
    assert replace_rows(connection, SCREEN_RESULTS, hits("d"), where=where, source="akshare").deleted == 1
    left = "SELECT source, string_agg(ts_code, '' ORDER BY ts_code) FROM screen_results GROUP BY 1 ORDER BY 1"
    assert connection.execute(left).fetchall() == [("akshare", "d"), ("tushare", "ab")]


def test_what_left_a_list_is_found_without_comparing_each_row_with_each(warehouse: Database) -> None:
    """Of a new table the planner knows nothing, and takes thousands of rows for a handful."""
    count = 3_000
    names = [f"{number:06d}.SZ" for number in range(count)]
    where = {"screen": "dual_ma", "trade_date": SESSION}
    with warehouse.connect() as connection, connection.cursor() as cursor:
        connection.execute("ALTER TABLE screen_results SET (autovacuum_enabled = off)")
        replace_rows(connection, SCREEN_RESULTS, hits(names), where=where)
        connection.commit()
        statements = _Statements(SCREEN_RESULTS, ())
        cursor.execute(statements.incoming)
        _copy(cursor, statements.copy, hits(names[1:]).select(SCREEN_RESULTS.column_names))
        asked = {"source": COMPUTED, **{f"where_{name}": value for name, value in where.items()}}
        plan = cursor.execute(sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) ") + statements.delete(where), asked).fetchone()
    assert plan is not None
    assert sum(_compared_in_vain(node) for node in _nodes(plan[0][0]["Plan"])) < count


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _compared_in_vain(node: dict[str, Any]) -> float:
    return float(node.get("Rows Removed by Join Filter", 0)) * float(node["Actual Loops"])


SOURCES = ("tushare", "akshare", "baostock")
write = st.tuples(
    st.sampled_from(SOURCES),
    st.dictionaries(st.sampled_from(["600000.SH", "000001.SZ", "920001.BJ"]), st.sampled_from([1.0, 2.0, None]), min_size=1),
)


def frame_of(values: dict[str, float | None]) -> pl.DataFrame:
    template = BARS[: len(values)]
    return template.with_columns(
        ts_code=pl.Series(list(values)),
        trade_date=pl.lit(SESSION),
        amount=pl.Series(list(values.values()), dtype=pl.Float64),
    ).with_columns(
        pl.lit(1.0).alias(name) for name in ("open", "high", "low", "close", "pre_close", "change", "pct_chg", "vol")
    )


def stored(connection: psycopg.Connection[Any]) -> dict[str, tuple[str, float | None]]:
    return {
        code: (source, amount) for code, source, amount in connection.execute("SELECT ts_code, source, amount FROM daily_kline")
    }


@given(writes=st.lists(write, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_the_last_write_of_the_best_source_wins(warehouse: Database, writes: list[tuple[str, dict[str, float | None]]]) -> None:
    model: dict[str, tuple[str, float | None]] = {}
    revisions = 0
    with warehouse.connect() as connection:
        for source, values in writes:
            counted = {"inserted": 0, "updated": 0, "unchanged": 0, "kept": 0}
            for code, amount in values.items():
                now = model.get(code)
                if now is None:
                    what = "inserted"
                elif now == (source, amount):
                    what = "unchanged"
                else:
                    what = "kept" if SOURCES.index(now[0]) < SOURCES.index(source) else "updated"
                if what in ("inserted", "updated"):
                    model[code] = (source, amount)
                counted[what] += 1
            revisions += counted["updated"]
            assert upsert(connection, DAILY_KLINE, frame_of(values), source=source, priority=SOURCES) == Upserted(**counted)
            assert upsert(connection, DAILY_KLINE, frame_of(values), source=source, priority=SOURCES).updated == 0
        assert stored(connection) == model
        assert connection.execute("SELECT count(*) FROM row_revisions").fetchone() == (revisions,)
        connection.rollback()


@given(one=st.dictionaries(st.sampled_from(SOURCES), write.map(lambda pair: pair[1])), order=st.permutations(SOURCES))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_the_order_in_which_sources_answer_does_not_matter(
    warehouse: Database, one: dict[str, dict[str, float | None]], order: list[str]
) -> None:
    results = []
    with warehouse.connect() as connection:
        for sequence in (SOURCES, order):
            for source in sequence:
                if source in one:
                    upsert(connection, DAILY_KLINE, frame_of(one[source]), source=source, priority=SOURCES)
            results.append(stored(connection))
            connection.rollback()
    assert results[0] == results[1]


def test_what_is_read_equals_what_was_written(warehouse: Database) -> None:
    with warehouse.connect() as connection:
        upsert(connection, DAILY_KLINE, BARS.sample(fraction=1, shuffle=True, seed=1), source="tushare")
    assert_frame_equal(read(warehouse, DAILY_KLINE), BARS.sort("ts_code", "trade_date"))
