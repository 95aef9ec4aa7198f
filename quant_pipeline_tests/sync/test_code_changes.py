"""A company whose code changes: detected in the lists, recorded once, its history under the new code, never two of it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_pipeline.market.datasets import ADJ_FACTOR, BSE_MAPPING, DAILY_KLINE, NAME_HISTORY, STOCK_LIST, SUSPENSIONS
from quant_pipeline.market.search import Named
from quant_pipeline.sync import code_changes
from quant_pipeline.sync.code_changes import CodeChange, detected, renamed, under_new_codes
from quant_pipeline.warehouse import watchlists
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import CALENDAR, LATEST, bars, sessions, store
from quant_pipeline_tests.sync.test_store import LIST, codes, write

OLD, NEW, OTHER = "300114.SZ", "302132.SZ", "600000.SH"
SINCE = "20100827"
DAYS = sessions(4)


def company(code: str, name: str = "中航电测", since: str | None = SINCE, status: str = "L") -> dict[str, Any]:
    return {"ts_code": code, "symbol": code[:6], "name": name, "list_date": since, "list_status": status}


def period(code: str, name: str = "中航电测", since: str = SINCE) -> dict[str, Any]:
    return {"ts_code": code, "name": name, "start_date": since}


def history(database: Database, code: str = OLD) -> None:
    """Bars and factors under a code, for all of the days but the last."""
    rows = bars([code, OTHER], DAYS[:-1])
    store(database, DAILY_KLINE, rows)
    store(database, ADJ_FACTOR, rows.with_columns(adj_factor=pl.lit(1.5)))


def changes(database: Database) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        query = "SELECT old_code, new_code, name, changed_on, known_from FROM code_changes ORDER BY 1"
        return connection.execute(query).fetchall()


def test_a_code_that_changed_is_recorded_and_its_history_reads_under_the_new_one(warehouse: Database) -> None:
    write(warehouse, STOCK_LIST, LIST, company(OLD), company(OTHER, "浦发银行"))
    history(warehouse)
    write(warehouse, STOCK_LIST, LIST, company(NEW), company(OTHER, "浦发银行"))
    assert codes(warehouse) == {NEW, OTHER}
    assert changes(warehouse) == [(OLD, NEW, "中航电测", LATEST, "stock_list")]
    for table in ("daily_kline", "adj_factor"):
        assert codes(warehouse, table) == {NEW, OTHER}
        moved = f"(SELECT key FROM row_revisions WHERE dataset = '{table}' AND replaced_by = 'new code {NEW}') AS r"
        assert codes(warehouse, moved, "key ->> 'trade_date'") == {str(day) for day in DAYS[:-1]}
    assert renamed(warehouse) == {OLD: NEW}
    write(warehouse, STOCK_LIST, LIST, company(NEW), company(OTHER, "浦发银行"))
    assert len(changes(warehouse)) == 1


def test_an_old_code_that_is_told_delisted_is_not_kept_beside_the_new_one(warehouse: Database) -> None:
    write(warehouse, STOCK_LIST, LIST, company(OLD))
    write(warehouse, STOCK_LIST, LIST, company(OLD, status="D"), company(NEW))
    assert codes(warehouse) == {NEW}
    assert [row[:2] for row in changes(warehouse)] == [(OLD, NEW)]


def test_where_the_name_changed_as_well_its_history_shows_it(warehouse: Database) -> None:
    write(warehouse, STOCK_LIST, LIST, company(OLD))
    write(warehouse, NAME_HISTORY, LIST, period(OLD))
    history(warehouse)
    write(warehouse, STOCK_LIST, LIST, company(NEW, "中航成飞"))
    assert changes(warehouse) == [], "two names: nothing is known yet"
    write(warehouse, NAME_HISTORY, LIST, period(NEW), period(NEW, "中航成飞", "20250217"))
    assert changes(warehouse) == [(OLD, NEW, "中航电测", LATEST, "name_history")]
    assert codes(warehouse, "daily_kline") == {NEW, OTHER}
    assert codes(warehouse, "name_history") == {NEW}


def test_a_new_code_with_a_new_short_name_is_known_by_the_company_s_whole_name(warehouse: Database) -> None:
    """Long before the history of names is synced again; of a list that has no whole names (BaoStock's) nothing is guessed."""
    whole = {"fullname": "中航电测仪器股份有限公司"}
    write(warehouse, STOCK_LIST, LIST, company(OLD) | whole, company(OTHER, "浦发银行"))
    history(warehouse)
    write(warehouse, STOCK_LIST, LIST, company(NEW, "中航成飞") | whole, company(OTHER, "浦发银行"))
    assert changes(warehouse) == [(OLD, NEW, "中航成飞", LATEST, "stock_list")]
    assert codes(warehouse) == codes(warehouse, "daily_kline") == {NEW, OTHER}
    later = company(NEW, since="20100828") | whole
    assert not list(detected(frame([company(OLD) | whole]), frame([later]), "stock_list")), "listed on another day"
    assert not list(detected(frame([company(OLD)]), frame([company(NEW, "中航成飞")]), "stock_list"))


def test_a_row_that_the_new_code_has_already_stays(warehouse: Database) -> None:
    write(warehouse, STOCK_LIST, LIST, company(OLD))
    history(warehouse)
    store(warehouse, DAILY_KLINE, bars([NEW], DAYS[1:]).with_columns(close=pl.lit(99.0)))
    write(warehouse, STOCK_LIST, LIST, company(NEW))
    with warehouse.connect() as connection:
        found = connection.execute("SELECT trade_date, close FROM daily_kline WHERE ts_code = %s ORDER BY 1", (NEW,)).fetchall()
    assert found == [(DAYS[0], 10.0), *((day, 99.0) for day in DAYS[1:])]


def test_old_beijing_codes_stand_in_the_same_table_and_their_rows_move_as_well(warehouse: Database) -> None:
    store(warehouse, SUSPENSIONS, [{"ts_code": "430047.BJ", "trade_date": LATEST, "suspend_type": "S"}])
    write(warehouse, BSE_MAPPING, LIST, {"name": "诺思兰德", "o_code": "430047.BJ", "n_code": "920047.BJ"})
    assert changes(warehouse) == [("430047.BJ", "920047.BJ", "诺思兰德", None, "bse_mapping")]
    assert codes(warehouse, "suspensions") == {"920047.BJ"}


def test_a_watchlist_follows_a_code_to_its_new_one(warehouse: Database) -> None:
    watchlists.add(warehouse, "core", [Named("430047.BJ", "诺思兰德"), Named(OTHER, "")], origin="typed", day=LATEST)
    write(warehouse, BSE_MAPPING, LIST, {"name": "诺思兰德", "o_code": "430047.BJ", "n_code": "920047.BJ"})
    assert [each.code for each in watchlists.one(warehouse, "core")] == ["920047.BJ", OTHER]


def test_a_published_change_that_was_not_recorded_yet_counts_and_chains_are_followed(warehouse: Database) -> None:
    store(warehouse, BSE_MAPPING, [{"o_code": "430047.BJ", "n_code": "920047.BJ"}])
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO code_changes (old_code, new_code, known_from) VALUES ('920047.BJ', '688999.SH', 'stock_list')"
        )
    assert renamed(warehouse) == {"430047.BJ": "688999.SH", "920047.BJ": "688999.SH"}


def test_list_and_change_are_one_transaction(warehouse: Database) -> None:
    write(warehouse, STOCK_LIST, LIST, company(OLD))
    history(warehouse)
    with warehouse.connect() as connection:
        connection.execute("ALTER TABLE adj_factor ADD CONSTRAINT no_new CHECK (ts_code <> '302132.SZ')")
    with pytest.raises(psycopg.errors.CheckViolation):
        write(warehouse, STOCK_LIST, LIST, company(NEW))
    assert (codes(warehouse), changes(warehouse)) == ({OLD}, [])
    assert codes(warehouse, "daily_kline") == {OLD, OTHER}


def test_a_later_list_with_the_old_code_brings_no_second_row() -> None:
    names = {OLD: NEW, "430047.BJ": "920047.BJ"}
    both = pl.DataFrame([company(OLD), company(NEW), company(OTHER)])
    assert under_new_codes(names, STOCK_LIST, both)["ts_code"].to_list() == [NEW, OTHER]
    old = under_new_codes(names, STOCK_LIST, pl.DataFrame([company(OLD), company(OTHER)]))
    assert old.select("ts_code", "symbol").rows() == [(NEW, NEW[:6]), (OTHER, OTHER[:6])]
    rows = under_new_codes(names, DAILY_KLINE, bars([OLD, OTHER], DAYS[:1]))
    assert rows["ts_code"].to_list() == [NEW, OTHER]


@pytest.mark.parametrize(
    ("stored", "came"),
    [
        ([company(OLD)], [company(NEW, since="20100828")]),
        ([company(OLD)], [company(NEW, name="中航成飞")]),
        ([company(OLD)], [company(OLD), company(NEW)]),
        ([company(OLD), company(NEW)], [company(NEW)]),
        ([company(OLD)], [company(NEW), company(OTHER)]),
        ([company(OLD, since=None)], [company(NEW, since=None)]),
    ],
    ids=["another day", "another name", "both are listed", "both were", "two new ones", "no day"],
)
def test_what_is_no_change_is_none(stored: list[dict[str, Any]], came: list[dict[str, Any]]) -> None:
    assert list(detected(frame(stored), frame(came), "stock_list")) == []


def frame(companies: list[dict[str, Any]]) -> pl.DataFrame:
    rows = [(each["ts_code"], each["name"], each["list_date"], each.get("fullname")) for each in companies]
    schema = {"ts_code": pl.String, "name": pl.String, "since": pl.String, "company": pl.String}
    listed = pl.DataFrame(rows, schema=schema, orient="row")
    return listed.with_columns(pl.col("since").cast(pl.String).str.to_date("%Y%m%d"))


market = st.dictionaries(
    st.integers(0, 30).map(lambda n: f"{600000 + n}.SH"),
    st.tuples(st.sampled_from(["甲", "乙", "丙"]), st.dates(dt.date(2010, 1, 1), dt.date(2010, 1, 5))),
    max_size=12,
)


@given(market, market)
def test_of_any_two_lists_a_change_is_one_company_gone_and_come(
    before: dict[str, tuple[str, dt.date]], after: dict[str, tuple[str, dt.date]]
) -> None:
    def listed(codes: dict[str, tuple[str, dt.date]]) -> pl.DataFrame:
        rows = [(code, name, since) for code, (name, since) in codes.items()]
        listed = pl.DataFrame(rows, schema={"ts_code": pl.String, "name": pl.String, "since": pl.Date}, orient="row")
        return listed.with_columns(company=pl.lit(None, pl.String))

    found = list(detected(listed(before), listed(after), "stock_list"))
    for change in found:
        assert change.old in before
        assert change.old not in after
        assert change.new in after
        assert change.new not in before
        assert before[change.old] == after[change.new]
    assert len({change.old for change in found}) == len({change.new for change in found}) == len(found)


def test_a_change_is_dated_by_the_session_after_the_old_code_s_last_bar(warehouse: Database) -> None:
    history(warehouse)
    change = CodeChange(OTHER, "600999.SH", "x", "stock_list")
    never = CodeChange("600001.SH", "600998.SH", "y", "stock_list")
    with warehouse.connect() as connection:
        code_changes.follow(connection, [change, never], CALENDAR, dt.date(2026, 11, 25))
    assert {row[0]: row[3] for row in changes(warehouse)} == {OTHER: LATEST, "600001.SH": dt.date(2026, 11, 25)}
