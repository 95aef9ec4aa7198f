"""What becomes of the stored rows of a list when an answer comes: what is gone leaves, what was refused is lacking."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import INDEX_WEIGHTS, PRICE_LIMITS, STOCK_LIST, THS_MEMBERS, TRADE_CALENDAR
from quant_pipeline.market.validation import validate
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.router import Answer
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.store import Fetched, Store
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import LATEST

LIST = Unit.snapshot(LATEST)
REFUSED = {"ts_code": "T00018.SH", "list_status": "D"}
"""Stands in Tushare's list every day: its code is none."""


def write(
    database: Database, dataset: Dataset, unit: Unit, *rows: dict[str, Any], source: str = "tushare", force: bool = False
) -> dict[str, Any]:
    """Takes an answer of these rows; what became of it."""
    schema = dict.fromkeys(dataset.column_names, pl.String)
    frame = pl.DataFrame([dict.fromkeys(dataset.column_names) | row for row in rows], schema=schema)
    checked = validate(dataset, frame, expected_session=None, sessions=frozenset(xshg().sessions))
    answer = Answer(source, checked, attempts=1, calls=1, seconds=0.0)
    with database.connect() as connection, connection.transaction():
        store = Store(connection, dataset, xshg(), ["tushare", "baostock", "derived"], force=force)
        item = store.write([Fetched(unit, answer, None)])[unit]
    return {name: getattr(item, name) for name in ("inserted", "updated", "rejected", "unreadable")}


def listed(code: str, status: str = "L") -> dict[str, Any]:
    return {"ts_code": code, "list_status": status}


def codes(database: Database, table: str = "stock_list", column: str = "ts_code") -> set[str]:
    with database.connect() as connection:
        return {code for (code,) in connection.execute(f"SELECT {column} FROM {table}").fetchall()}


def test_values_that_cannot_be_read_are_counted_in_the_books_and_logged(
    warehouse: Database, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [listed("600000.SH") | {"list_date": "--"}, listed("600001.SH") | {"list_date": "null", "delist_date": "-"}]
    assert write(warehouse, STOCK_LIST, LIST, *rows)["unreadable"] == "list_date 2, delist_date 1"
    assert "list_date 2, delist_date 1" in caplog.text
    assert write(warehouse, STOCK_LIST, LIST, listed("600000.SH"))["unreadable"] is None


def test_what_a_whole_list_no_longer_holds_leaves_whatever_else_was_refused(warehouse: Database) -> None:
    write(warehouse, STOCK_LIST, LIST, listed("600000.SH"), listed("600001.SH"), REFUSED)
    assert write(warehouse, STOCK_LIST, LIST, listed("600000.SH"), REFUSED)["rejected"] == 1
    assert codes(warehouse) == {"600000.SH"}
    assert codes(warehouse, "row_revisions", "key ->> 'ts_code'") == {"600001.SH"}


def test_what_came_and_was_refused_is_lacking_and_stays(warehouse: Database) -> None:
    write(warehouse, STOCK_LIST, LIST, listed("600000.SH"), listed("600001.SH"), listed("600002.SH"))
    written = write(warehouse, STOCK_LIST, LIST, listed("600000.SH"), {"ts_code": "600001.SH"})
    assert written == {"inserted": 0, "updated": 0, "rejected": 1, "unreadable": None}
    assert codes(warehouse) == {"600000.SH", "600001.SH"}


def test_contradicting_rows_leave_the_stored_one_and_a_good_twin_replaces_it(warehouse: Database) -> None:
    write(warehouse, STOCK_LIST, LIST, listed("600000.SH"), listed("600001.SH"))
    write(warehouse, STOCK_LIST, LIST, listed("600000.SH", "D"), listed("600001.SH", "D"), listed("600001.SH", "P"))
    with warehouse.connect() as connection:
        found = connection.execute("SELECT ts_code, list_status FROM stock_list ORDER BY 1").fetchall()
    assert found == [("600000.SH", "D"), ("600001.SH", "L")]
    assert write(warehouse, STOCK_LIST, LIST, listed("600000.SH", "L"), {"ts_code": "600000.SH"})["updated"] == 1


@pytest.mark.parametrize("group", ["885001.TI"])
def test_members_that_were_refused_leave_other_groups_alone(warehouse: Database, group: str) -> None:
    other = {"ts_code": "885002.TI", "con_code": "600009.SH"}
    write(warehouse, THS_MEMBERS, Unit.members("885002.TI", LATEST), other)
    rows = [{"ts_code": group, "con_code": code} for code in ("600000.SH", "600001.SH", "600002.SH")]
    write(warehouse, THS_MEMBERS, Unit.members(group, LATEST), *rows)
    stray = {**other, "con_name": "x"}
    twice = [{**rows[1], "con_name": "a"}, {**rows[1], "con_name": "b"}, stray, {**stray, "con_name": "y"}]
    write(warehouse, THS_MEMBERS, Unit.members(group, LATEST), rows[0], *twice)
    assert codes(warehouse, "ths_members", "con_code") == {"600000.SH", "600001.SH", "600009.SH"}


def test_a_calendar_is_taken_from_whoever_tells_the_truth(warehouse: Database) -> None:
    day = {"exchange": "SSE", "cal_date": "20261120"}
    write(warehouse, TRADE_CALENDAR, LIST, {**day, "is_open": "0"})
    write(warehouse, TRADE_CALENDAR, LIST, {**day, "is_open": "1"}, source="baostock")
    with warehouse.connect() as connection:
        assert connection.execute("SELECT is_open, source FROM trade_calendar").fetchall() == [(1, "baostock")]
    write(warehouse, STOCK_LIST, LIST, {**listed("600000.SH"), "name": "浦发银行"})
    write(warehouse, STOCK_LIST, LIST, {**listed("600000.SH"), "name": "浦发"}, source="baostock")
    assert codes(warehouse, "stock_list", "name") == {"浦发银行"}, "any other list is owned by priority"


def test_what_is_counted_takes_no_upstreams_place_by_force_neither(warehouse: Database) -> None:
    limits = {"ts_code": "600000.SH", "trade_date": f"{LATEST}", "up_limit": "11.0", "down_limit": "9.0"}
    unit = Unit.session(LATEST)
    write(warehouse, PRICE_LIMITS, unit, limits)
    counted = limits | {"up_limit": "10.5", "down_limit": "9.5"}
    assert write(warehouse, PRICE_LIMITS, unit, counted, source="derived", force=True)["updated"] == 0
    assert write(warehouse, PRICE_LIMITS, unit, counted, source="baostock", force=True)["updated"] == 1


MONTH = Unit.session(LATEST)


def member(code: str, weight: str | None = "1") -> dict[str, Any]:
    return {"index_code": "000300.SH", "con_code": code, "trade_date": f"{LATEST}", "as_of": f"{LATEST}", "weight": weight}


def test_of_a_session_that_comes_whole_what_it_no_longer_holds_is_gone(warehouse: Database) -> None:
    write(warehouse, INDEX_WEIGHTS, MONTH, member("600000.SH"), member("600001.SH"))
    write(warehouse, INDEX_WEIGHTS, MONTH, member("600000.SH"), member("600001.SH", "101"), member("600002.SH"))
    assert codes(warehouse, "index_weights", "con_code") == {"600000.SH", "600001.SH", "600002.SH"}, "refused is not gone"
    write(warehouse, INDEX_WEIGHTS, MONTH, member("600002.SH"))
    assert codes(warehouse, "index_weights", "con_code") == {"600002.SH"}
    assert codes(warehouse, "row_revisions", "key ->> 'con_code'") == {"600000.SH", "600001.SH"}


def test_members_of_two_sources_are_not_mixed(warehouse: Database) -> None:
    write(warehouse, INDEX_WEIGHTS, MONTH, member("600000.SH", None), source="baostock")
    write(warehouse, INDEX_WEIGHTS, MONTH, member("600001.SH"), source="tushare")
    assert codes(warehouse, "index_weights", "con_code") == {"600001.SH"}
    written = write(warehouse, INDEX_WEIGHTS, MONTH, member("600000.SH", None), source="baostock")
    assert codes(warehouse, "index_weights", "con_code") == {"600001.SH"}, "a better source's answer stands"
    assert written["inserted"] == 0
    write(warehouse, INDEX_WEIGHTS, MONTH, member("600000.SH", None), source="baostock", force=True)
    assert codes(warehouse, "index_weights", "con_code") == {"600000.SH"}
