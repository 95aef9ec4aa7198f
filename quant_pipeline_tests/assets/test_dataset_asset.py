"""The asset of a data set: partial failure, refusals, forced and narrowed syncs."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from quant_pipeline.resources.options import NAMED_TAG
from quant_pipeline_tests.assets.platform import LATEST, TOKEN, Platform, observations, plain, texts

REFERENCE = ("trade_calendar", "stock_list", "suspensions")


@pytest.fixture(scope="module", autouse=True)
def _reference(platform: Platform) -> None:
    """What bars are judged against."""
    assert platform.alone(platform.sessions(8), *REFERENCE).success


@pytest.fixture(autouse=True)
def _no_fault_is_left(platform: Platform) -> None:
    platform.sandbox.clear_faults()


def test_one_bad_session_fails_the_step_at_its_end_and_spoils_no_other(platform: Platform) -> None:
    sessions = platform.sessions(5)
    bad = sessions[2].isoformat()
    platform.sandbox.order_fault("status", api="daily", after=2, times=2)
    result = platform.run(sessions, "daily_kline")
    assert not result.success
    told = texts(result)["daily_kline"]
    assert "tushare.daily" in told
    assert bad in told
    assert "HTTP 错误" in told
    assert "已完成的部分已保存" in told
    good = [session.isoformat() for session in sessions if session.isoformat() != bad]
    assert platform.materialized("daily_kline") == good
    run = platform.rows("SELECT status, units_done, units_failed FROM sync_runs WHERE id = %s", result.run_id)
    assert run == [("success_with_errors", 4, 1)]
    failure = next(event.step_failure_data for event in result.all_events if event.is_step_failure)
    assert failure.error.message.startswith(f"失败 Failed: daily_kline {bad}："), "the cause comes first, under no class's name"
    assert failure.user_failure_data.metadata == {}, "one failure is told once: a table would repeat it"

    before = platform.asked("daily")
    assert platform.run(sessions[2:3], "daily_kline").success
    assert platform.asked("daily") == before + 1
    newest = good[-1]
    assert platform.materialized("daily_kline") == [*good, bad, newest], (
        "the asset's page shows its last event: the newest session"
    )
    again = plain(platform.instance.get_latest_materialization_event(dg.AssetKey("daily_kline")).asset_materialization.metadata)
    assert [again[name] for name in ("inserted", "updated", "unchanged", "calls", "seconds")] == [0] * 5
    assert again["dagster/row_count"] > 0
    assert "not fetched" in again["note"]
    assert {"preview", "candlesticks", "page"} <= again.keys()


def test_a_future_session_is_refused_in_words_before_anything_is_fetched(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T08:30")  # the limits of a session come at 08:40
    before, sessions = platform.asked(), platform.sessions(2)
    result = platform.run(sessions, "price_limits")
    assert not result.success
    assert "2026-11-20：该交易日的数据尚未产生；最近完整的交易日是 2026-11-19" in (texts(result)["price_limits"])
    assert platform.asked() == before
    assert platform.materialized("price_limits") == []


def test_closed_days_alone_are_nothing_to_do_and_no_failure(platform: Platform) -> None:
    tags = {"dagster/asset_partition_range_start": "2026-11-14", "dagster/asset_partition_range_end": "2026-11-15"}
    before = platform.asked()
    result = platform.run((), "price_limits", tags=tags)
    assert result.success
    assert platform.asked() == before
    logged = [record.user_message for record in platform.instance.all_logs(result.run_id)]
    assert any("The exchange was closed on every day asked for" in text for text in logged)


def test_force_fetches_again_and_counts_what_did_not_change(platform: Platform) -> None:
    (session,) = sessions = platform.sessions(1)
    assert platform.run(sessions, "adj_factor").success
    before = platform.asked("adj_factor")
    assert platform.run(sessions, "adj_factor").success
    assert platform.asked("adj_factor") == before
    forced = platform.run(sessions, "adj_factor", config={"adj_factor": {"force": True}})
    assert platform.asked("adj_factor") == before + 1
    assert forced.asset_materializations_for_node("adj_factor") == [], "nothing changed: what follows is not out of date"
    (event,) = observations(forced)
    told = plain(event.metadata)
    assert (told["inserted"], told["updated"], told["calls"]) == (0, 0, 1)
    assert told["unchanged"] == told["dagster/row_count"] > 0
    assert event.partition == session.isoformat()


def test_symbols_are_asked_for_by_code_and_observed_but_no_session_is_called_complete(platform: Platform) -> None:
    sessions = platform.sessions(8)
    codes = [
        code for (code,) in platform.rows("SELECT ts_code FROM stock_list WHERE list_date < '2025-06-01' ORDER BY 1 LIMIT 2")
    ]
    before = len(platform.sandbox.calls("daily_basic"))
    symbols = [codes[0], codes[1].partition(".")[0]]
    result = platform.run(sessions, "daily_basic", config={"daily_basic": {"symbols": symbols}})
    assert result.success, texts(result)
    asked = platform.sandbox.calls("daily_basic")[before:]
    assert [call["params"]["ts_code"] for call in asked] == codes
    assert {code for (code,) in platform.rows("SELECT DISTINCT ts_code FROM daily_basic")} == set(codes)
    assert platform.materialized("daily_basic") == []
    assert len(observations(result)) == 2
    assert platform.run(sessions[-1:], "daily_basic").success
    assert platform.asked("daily_basic") == before + 3, "a session of which two codes are there is not a session synced"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"sources": ["baostok"]}, "unknown or switched-off source: baostok (in use: tushare, "),
        ({"symbols": ["60000x"]}, "60000x"),
    ],
)
def test_an_unknown_source_or_symbol_is_refused_by_its_name(
    platform: Platform, config: dict[str, list[str]], told: str
) -> None:
    before = platform.asked()
    result = platform.run(platform.sessions(1), "price_limits", config={"price_limits": config})
    assert not result.success
    assert told in texts(result)["price_limits"]
    assert platform.asked() == before


def test_a_failing_run_shows_no_token_anywhere(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = "no-such-token-51d0c3"
    monkeypatch.setenv("TUSHARE_TOKEN", wrong)
    result = platform.run(platform.sessions(2), "daily_basic")
    assert "token" in texts(result)["daily_basic"]
    monkeypatch.setenv("TUSHARE_TOKEN", TOKEN)
    platform.sandbox.order_fault("disconnect", api="daily_basic", times=None)
    cut = platform.run(platform.sessions(2), "daily_basic")
    assert not cut.success
    logs = [dg.serialize_value(record) for run in (result, cut) for record in platform.instance.all_logs(run.run_id)]
    tables = platform.rows(
        "SELECT messages::text FROM messages UNION ALL SELECT sync_runs::text FROM sync_runs"
        " UNION ALL SELECT sync_items::text FROM sync_items UNION ALL SELECT source_calls::text FROM source_calls"
        " UNION ALL SELECT source_state::text FROM source_state"
    )
    runs = [dg.serialize_value(platform.instance.get_run_by_id(run.run_id)) for run in (result, cut)]
    written = "\n".join([*logs, *runs, *(row for (row,) in tables)])
    assert "daily_basic" in written
    assert wrong not in written
    assert TOKEN not in written


def test_a_refused_row_that_nobody_replaces_is_stored_around_shown_checked_and_asked_for_again(platform: Platform) -> None:
    (session,) = platform.sessions(8)[:1]
    spoilt = {"kind": "scaled", "columns": ["amount"], "factor": 1000.0, "share": 0.02}
    platform.sandbox.order_fault(api="daily", times=None, **spoilt)
    result = platform.alone([session], "daily_kline")
    assert result.success, "the session is there, and what follows it runs"
    assert session.isoformat() in platform.materialized("daily_kline")
    (event, newest) = result.asset_materializations_for_node("daily_kline")
    assert (event.partition, newest.partition) == (f"{session}", "2026-11-20")
    assert "被拒收" in str(plain(event.metadata)["not_whole"])
    assert platform.rows("SELECT status FROM sync_runs WHERE id = %s", result.run_id) == [("success_with_errors",)]
    red = {each.check_name for each in result.get_asset_check_evaluations() if not each.passed}
    assert "nothing_refused" in red
    messages = platform.rows("SELECT content FROM messages WHERE dedupe_key = %s", f"checks-failed:{result.run_id}:daily_kline")
    assert len(messages) == 1
    platform.sandbox.clear_faults()
    before = platform.asked("daily")
    assert platform.alone([session], "daily_kline").success
    assert platform.asked("daily") == before + 1
    assert platform.rows(
        "SELECT status FROM sync_items WHERE dataset = 'daily_kline' AND unit = %s ORDER BY finished_at DESC LIMIT 1",
        f"{session}",
    ) == [("success",)]


def test_what_no_source_in_use_serves_is_skipped_with_a_note_unless_it_was_named(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions, before = platform.sessions(1), platform.asked()
    monkeypatch.setenv("TUSHARE_PRIORITY", "0")
    result = platform.run(sessions, "auction")
    assert result.success
    (observed,) = observations(result)
    note = plain(observed.metadata)["skipped"]
    assert note == "auction：可用的数据源（derived）都不提供它。已跳过"
    assert platform.materialized("auction") == []
    for named in (platform.run(sessions, "auction", tags={NAMED_TAG: "true"}), platform.alone(sessions, "auction")):
        assert not named.success
        assert "auction: none of the sources in use (derived) serves it" in str(
            [event.step_failure_data.error_display_string for event in named.all_events if event.is_step_failure]
        )
    monkeypatch.setenv("TUSHARE_PRIORITY", "1")
    monkeypatch.delenv("TUSHARE_TOKEN")
    result = platform.run(sessions, "auction")
    assert result.success
    (observed,) = observations(result)
    assert "没有 token：请设置 TUSHARE_TOKEN" in plain(observed.metadata)["skipped"]
    assert platform.asked() == before


def test_what_no_source_in_use_has_before_the_close_is_no_failure(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that are counted by the rules need the session's own bars or factors; in the morning there are none."""
    synced = ("stock_list", "name_history", "suspensions", "daily_kline", "adj_factor", "price_limits")
    assert platform.run(platform.sessions(2), *synced).success
    known = platform.materialized("price_limits")
    monday = dt.date(2026, 11, 23)
    monkeypatch.setenv("QUANT_NOW", f"{monday}T09:30")
    monkeypatch.setenv("TUSHARE_PRIORITY", "0")
    before, told = platform.asked(), platform.rows("SELECT id FROM messages")
    result = platform.run([monday], "price_limits")
    assert result.success
    (observed,) = observations(result)
    note = plain(observed.metadata)["skipped"]
    assert f"price_limits {monday}：启用的数据源都要到收盘后才有" in note
    assert "daily_sync" in note
    assert platform.rows("SELECT FROM sync_items WHERE dataset = 'price_limits' AND trade_date = %s", monday) == []
    assert platform.rows("SELECT id FROM messages") == told, "nobody is told of a failure"
    assert (platform.materialized("price_limits"), platform.asked()) == (known, before)
    platform.execute(
        "INSERT INTO adj_factor (ts_code, trade_date, adj_factor, source) "
        "SELECT ts_code, %s, adj_factor, source FROM adj_factor WHERE trade_date = %s",
        monday,
        LATEST,
    )
    assert platform.run([monday], "price_limits").success
    assert platform.materialized("price_limits") == [*known, f"{monday}"], "its factors are enough to count from"
