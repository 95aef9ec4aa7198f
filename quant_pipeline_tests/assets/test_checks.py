"""The checks over real rows: green after a sync, red (and only the right ones) for each way in which rows can be wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import dagster as dg
import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    DAILY_KLINE,
    PRICE_LIMITS,
    SOURCED,
    STOCK_LIST,
    SUSPENSIONS,
    TRADE_CALENDAR,
)
from quant_pipeline.sync.checks import Scope, checks_of
from quant_pipeline.sync.periods import labels_of
from quant_pipeline_tests.assets.platform import LATEST, Platform, plain

SESSIONS = 4
TABLES = tuple(SOURCED)
ONE = f"(SELECT ts_code FROM daily_kline WHERE trade_date = '{LATEST}' ORDER BY ts_code OFFSET 5 LIMIT 1)"
COPY_TO = (
    'INSERT INTO {table} SELECT (jsonb_populate_record(t, \'{{"trade_date": "{day}"}}\')).* FROM {table} AS t'
    " WHERE trade_date = '{of}'"
)


@pytest.fixture(scope="module")
def synced(platform: Platform) -> Platform:
    """Four sessions of every data set (all of the month for the bars that make it), and a copy of each table to put back."""
    month = platform.calendar.between(dt.date(2026, 11, 2), LATEST)
    platform.fill(month, "suspensions", "daily_kline")
    platform.everything(platform.sessions(SESSIONS))
    platform.execute("CREATE SCHEMA kept")
    for table in TABLES:
        platform.execute(f"CREATE TABLE kept.{table} AS TABLE {table}")
    return platform


@pytest.fixture
def rows(synced: Platform) -> Iterator[Platform]:
    """The synced platform, for a test that spoils its rows."""
    yield synced
    with synced.database.connect() as connection:
        for table in TABLES:
            connection.execute(f"TRUNCATE {table}")
            connection.execute(f"INSERT INTO {table} SELECT * FROM kept.{table}")


def red(platform: Platform, dataset: Dataset) -> set[str]:
    """The names of the data set's checks that fail over the synced sessions."""
    labels = labels_of(dataset, platform.calendar, platform.sessions(SESSIONS))
    scope = Scope(platform.database, dataset, labels, platform.calendar)
    return {check.name for check in checks_of(dataset) if not check.judge(scope).passed}


@pytest.mark.parametrize("dataset", SOURCED.values(), ids=lambda d: d.name)
def test_what_was_just_synced_is_green(synced: Platform, dataset: Dataset) -> None:
    assert red(synced, dataset) == set()


def test_a_session_in_which_nobody_was_suspended_is_not_stale(rows: Platform) -> None:
    rows.execute("DELETE FROM suspensions WHERE trade_date = %s", LATEST)
    assert red(rows, SUSPENSIONS) == set()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (f"DELETE FROM daily_kline WHERE trade_date = '{LATEST}' AND ts_code = {ONE}", {"row_count", "every_row"}),
        (f"DELETE FROM daily_kline WHERE trade_date = '{LATEST}'", {"row_count", "every_row", "fresh"}),
        (f"DELETE FROM daily_kline WHERE trade_date = '2026-11-19' AND ts_code = {ONE}", {"row_count", "every_row"}),
        (f"UPDATE daily_kline SET low = high + 1 WHERE trade_date = '{LATEST}' AND ts_code = {ONE}", {"rows_sane"}),
        (f"UPDATE daily_kline SET vol = vol / 100 WHERE trade_date = '{LATEST}' AND ts_code = {ONE}", {"rows_sane"}),
        (
            f"UPDATE price_limits AS l SET up_limit = close - 0.02, down_limit = close - 1 FROM daily_kline AS k"
            f" WHERE k.ts_code = l.ts_code AND k.trade_date = l.trade_date AND l.trade_date = '{LATEST}' AND l.ts_code = {ONE}",
            {"within_price_limits"},
        ),
        (
            f"UPDATE price_limits AS l SET down_limit = close + 0.02, up_limit = close + 1 FROM daily_kline AS k"
            f" WHERE k.ts_code = l.ts_code AND k.trade_date = l.trade_date AND l.trade_date = '{LATEST}' AND l.ts_code = {ONE}",
            {"within_price_limits"},
        ),
        (
            f"UPDATE price_limits AS l SET up_limit = close, down_limit = close - 1 FROM daily_kline AS k"
            f" WHERE k.ts_code = l.ts_code AND k.trade_date = l.trade_date AND l.trade_date = '{LATEST}' AND l.ts_code = {ONE}",
            set(),
        ),
        (
            f"UPDATE adj_factor SET adj_factor = adj_factor * 1.1 WHERE trade_date = '{LATEST}' AND ts_code = {ONE}",
            {"pre_close_chain"},
        ),
        (
            # spliced: the bar's own figures fit together, but not with the close before
            f"UPDATE daily_kline SET open = open / 2, high = high / 2, low = low / 2, close = close / 2, vol = vol * 2,"
            f" pre_close = pre_close / 2, change = change / 2 WHERE trade_date = '{LATEST}' AND ts_code = {ONE};"
            f" UPDATE price_limits SET up_limit = up_limit / 2, down_limit = down_limit / 2"
            f" WHERE trade_date = '{LATEST}' AND ts_code = {ONE}",
            {"pre_close_chain"},
        ),
        (
            # the same with its factor: a true ex-date
            f"UPDATE daily_kline SET open = open / 2, high = high / 2, low = low / 2, close = close / 2, vol = vol * 2,"
            f" pre_close = pre_close / 2, change = change / 2 WHERE trade_date = '{LATEST}' AND ts_code = {ONE};"
            f" UPDATE price_limits SET up_limit = up_limit / 2, down_limit = down_limit / 2"
            f" WHERE trade_date = '{LATEST}' AND ts_code = {ONE};"
            f" UPDATE adj_factor SET adj_factor = adj_factor * 2 WHERE trade_date = '{LATEST}' AND ts_code = {ONE}",
            set(),
        ),
        (COPY_TO.format(table="daily_kline", day="2026-11-14", of="2026-11-17"), {"no_closed_day"}),
        (COPY_TO.format(table="daily_kline", day="2026-10-01", of="2026-11-17"), {"no_closed_day"}),
        (COPY_TO.format(table="daily_kline", day="2026-11-23", of="2026-11-20"), {"no_future_row"}),
    ],
    ids=[
        "a row is missing",
        "a session is missing",
        "a row in the middle is missing",
        "low above high",
        "volume in lots of lots",
        "close above the limit",
        "close below the limit",
        "close at the limit",
        "a factor without an ex-date",
        "a spliced price",
        "an ex-date",
        "a Saturday",
        "a holiday on a week-day",
        "tomorrow",
    ],
)
def test_bars_turn_exactly_the_right_checks_red(rows: Platform, statement: str, expected: set[str]) -> None:
    rows.execute(statement)
    assert red(rows, DAILY_KLINE) == expected


@pytest.mark.parametrize(
    ("dataset", "statement", "found_too"),
    [
        (ADJ_FACTOR, "UPDATE adj_factor SET adj_factor = 0", set()),
        (PRICE_LIMITS, "UPDATE price_limits SET up_limit = down_limit - 1", set()),
        (STOCK_LIST, "UPDATE stock_list SET ts_code = '600000' WHERE ts_code = (SELECT min(ts_code) FROM stock_list)", set()),
        (TRADE_CALENDAR, "UPDATE trade_calendar SET is_open = 2 WHERE cal_date = '2026-11-20'", {"calendar_believed"}),
    ],
    ids=lambda value: value.name if isinstance(value, Dataset) else "",
)
def test_rows_that_break_a_rule_turn_rows_sane_red(
    rows: Platform, dataset: Dataset, statement: str, found_too: set[str]
) -> None:
    rows.execute(statement)
    assert red(rows, dataset) == {"rows_sane"} | found_too


def test_suspended_and_unlisted_codes_owe_no_row(rows: Platform) -> None:
    where = f"trade_date = '{LATEST}' AND ts_code = {ONE}"
    ((code,),) = rows.rows(f"SELECT {ONE}")
    rows.execute(f"DELETE FROM daily_kline WHERE {where}")
    assert red(rows, DAILY_KLINE) == {"row_count", "every_row"}
    rows.execute(
        "INSERT INTO suspensions (ts_code, trade_date, suspend_type, suspend_timing, source)"
        " VALUES (%s, %s, 'S', '9:30-10:00', 'tushare')",
        code,
        LATEST,
    )
    assert red(rows, DAILY_KLINE) == {"row_count", "every_row"}, "a halt of half an hour excuses no bar"
    rows.execute("UPDATE suspensions SET suspend_timing = NULL WHERE ts_code = %s", code)
    assert red(rows, DAILY_KLINE) == set()
    rows.execute("DELETE FROM suspensions WHERE ts_code = %s", code)
    rows.execute("UPDATE stock_list SET delist_date = %s WHERE ts_code = %s", LATEST, code)
    assert red(rows, DAILY_KLINE) == set()


def test_old_rows_warn_once_a_newer_session_is_due(synced: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-22T18:00")
    assert red(synced, DAILY_KLINE) == set(), "on a Sunday, Friday's rows are the newest there can be"
    monkeypatch.setenv("QUANT_NOW", "2026-11-23T16:59")
    assert red(synced, DAILY_KLINE) == set(), "Monday's data are not there yet"
    monkeypatch.setenv("QUANT_NOW", "2026-11-23T17:00")
    assert red(synced, DAILY_KLINE) == {"fresh"}


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def test_a_red_check_shows_its_rows_in_the_ui_is_told_once_and_stops_no_run(rows: Platform) -> None:
    ((code,),) = rows.rows(f"SELECT {ONE}")
    rows.execute(f"DELETE FROM daily_kline WHERE trade_date = '{LATEST}' AND ts_code = %s", code)
    result = rows.alone(rows.sessions(SESSIONS), "daily_kline")
    assert result.success
    found = evaluations(result)
    assert [name for name, each in found.items() if not each.passed] == ["row_count", "every_row"]
    check = found["row_count"]
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert "行应有的数据中缺 1 行" in check.description
    assert [record.data["first"] for record in plain(check.metadata)["rows"].records] == [code]
    assert "SANDBOX" in plain(check.metadata)["origin"]
    told = rows.rows("SELECT content FROM messages WHERE dedupe_key = %s", f"checks-failed:{result.run_id}:daily_kline")
    assert len(told) == 1
    assert r"row\_count" in told[0][0]


def test_staleness_is_a_warning_and_no_message(synced: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-25T18:00")
    result = synced.alone(synced.sessions(SESSIONS), "adj_factor")
    found = evaluations(result)
    assert [name for name, each in found.items() if not each.passed] == ["fresh"]
    assert found["fresh"].severity is dg.AssetCheckSeverity.WARN
    assert found["fresh"].description == f"已同步到 {LATEST}，落后 3 个交易日"
    assert synced.rows("SELECT count(*) FROM messages WHERE dedupe_key LIKE %s", f"checks-failed:{result.run_id}:%") == [(0,)]
