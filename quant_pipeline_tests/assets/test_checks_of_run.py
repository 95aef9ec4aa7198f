"""Checks look at what a run was asked for and stored: whatever failed beside it, and at nothing else."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from quant_pipeline.market.datasets import SOURCED
from quant_pipeline.sync.checks import checks_of
from quant_pipeline_tests.assets.platform import Platform, plain

NAMES = {check.name for check in checks_of(SOURCED["daily_kline"])}


@pytest.fixture(scope="module", autouse=True)
def _reference(platform: Platform) -> None:
    assert platform.alone(platform.sessions(8), "trade_calendar", "stock_list", "suspensions").success


@pytest.fixture(autouse=True)
def _no_fault_is_left(platform: Platform) -> None:
    platform.sandbox.clear_faults()


def found(platform: Platform, result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    records = platform.instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    evaluations = [record.dagster_event.asset_check_evaluation_data for record in records if record.dagster_event]
    assert len({each.check_name for each in evaluations}) == len(evaluations), "each check is made once"
    return {each.check_name: each for each in evaluations}


def notified(platform: Platform, result: dg.ExecuteInProcessResult, dataset: str) -> list[str]:
    key = f"checks-failed:{result.run_id}:{dataset}"
    return [text for (text,) in platform.rows("SELECT content FROM messages WHERE dedupe_key = %s", key)]


def spoil(platform: Platform, day: dt.date) -> None:
    """A bar whose low lies above its high."""
    bar = "(SELECT min(ts_code) FROM daily_kline WHERE trade_date = %s)"
    assert platform.execute(f"UPDATE daily_kline SET low = high + 1 WHERE trade_date = %s AND ts_code = {bar}", day, day)


def test_one_failed_session_hides_no_finding_in_the_others(platform: Platform) -> None:
    sessions = platform.sessions(3)
    assert platform.alone(sessions[:1], "daily_kline").success
    spoil(platform, sessions[0])
    platform.sandbox.order_fault("status", api="daily", after=0, times=2)
    result = platform.alone(sessions, "daily_kline")
    assert not result.success
    evaluations = found(platform, result)
    assert set(evaluations) == NAMES
    assert [name for name, each in evaluations.items() if not each.passed and name == "rows_sane"] == ["rows_sane"]
    assert evaluations["row_count"].passed, "the session that failed is not said to lack its rows as well"
    assert len(notified(platform, result, "daily_kline")) == 1
    with_status = platform.instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [dg.AssetCheckKey(dg.AssetKey("daily_kline"), "rows_sane")]
    )
    (execution,) = with_status.values()
    assert (execution.run_id, execution.status.value) == (result.run_id, "FAILED")
    platform.execute("TRUNCATE daily_kline, sync_items")


def test_where_nothing_was_stored_nothing_is_judged(platform: Platform) -> None:
    platform.sandbox.order_fault("status", api="daily", times=None)
    result = platform.alone(platform.sessions(2), "daily_kline")
    assert not result.success
    assert found(platform, result) == {}
    assert notified(platform, result, "daily_kline") == []
    platform.sandbox.order_fault("status", api="cb_basic", times=None)
    result = platform.alone(platform.sessions(1), "convertible_bonds")
    assert not result.success
    assert found(platform, result) == {}, "nor of a list"


def test_of_some_codes_only_these_are_judged_and_no_completeness(platform: Platform) -> None:
    """On an empty table: a newcomer who asks for two codes is not told that all others lack."""
    platform.execute("TRUNCATE daily_kline")
    sessions = platform.sessions(3)
    codes = [
        code for (code,) in platform.rows("SELECT ts_code FROM stock_list WHERE list_date < '2025-06-01' ORDER BY 1 LIMIT 2")
    ]
    result = platform.alone(sessions, "daily_kline", config={"daily_kline": {"symbols": codes}})
    evaluations = found(platform, result)
    assert result.success
    assert {"rows_sane", "pre_close_chain"} <= set(evaluations)
    assert not {"row_count", "every_row", "no_repeated_session"} & set(evaluations)
    assert notified(platform, result, "daily_kline") == []

    assert platform.alone(sessions, "daily_kline", config={"daily_kline": {"force": True}}).success
    platform.execute("UPDATE daily_kline SET low = high + 1 WHERE trade_date = %s AND ts_code <> ALL(%s)", sessions[0], codes)
    again = platform.alone(sessions, "daily_kline", config={"daily_kline": {"symbols": codes}})
    assert found(platform, again)["rows_sane"].passed, "what is wrong with others was not asked"
    platform.execute("UPDATE daily_kline SET low = high + 1 WHERE trade_date = %s AND ts_code = %s", sessions[0], codes[0])
    platform.execute("TRUNCATE daily_kline, sync_items")


def test_a_retry_is_judged_over_what_it_tried_again(platform: Platform) -> None:
    sessions = platform.sessions(5)
    platform.execute("TRUNCATE daily_kline, sync_items")
    platform.sandbox.order_fault("status", api="daily", times=2)
    assert not platform.alone(sessions[-2:], "daily_kline").success
    platform.sandbox.clear_faults()
    result = platform.alone(sessions, "daily_kline", config={"daily_kline": {"retry_failed": True}})
    assert result.success
    evaluations = found(platform, result)
    ((failed,),) = platform.rows("SELECT DISTINCT trade_date::text FROM sync_items WHERE sync_run = %s", result.run_id)
    assert plain(evaluations["row_count"].metadata)["sessions"] == f"{failed} .. {failed}"
    assert evaluations["row_count"].passed, "sessions that were never synced were not asked for"
    assert notified(platform, result, "daily_kline") == []


def test_an_unknown_board_is_told_once_whatever_run_shows_it_and_a_second_one_is_news(platform: Platform) -> None:
    told = "SELECT dedupe_key, title, content FROM messages WHERE dedupe_key LIKE 'unknown-board:%%' ORDER BY id"
    again = {"stock_list": {"force": True}}
    platform.sandbox.order_fault("new_prefix", ts_code="303001.SZ", times=None)
    for _ in range(2):
        assert platform.alone([], "stock_list", config=again).success
    ((key, title, content),) = platform.rows(told)
    assert (key, "known_boards" in title, "303xxx.SZ（303001.SZ）" in content) == ("unknown-board:303.SZ", True, True)
    platform.sandbox.clear_faults()
    platform.sandbox.order_fault("new_prefix", ts_code="604001.SH", times=None)
    assert platform.alone([], "stock_list", config=again).success
    assert [key for key, _, _ in platform.rows(told)] == ["unknown-board:303.SZ", "unknown-board:604.SH"]
