"""The failure hook: one message per failed run, from whichever door it was started; no token is no failure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from quant_pipeline.settings import Mode
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.assets.platform import Platform, plain, texts


@pytest.fixture(scope="module", autouse=True)
def _nothing_comes_from_the_source(platform: Platform) -> None:
    platform.sandbox.order_fault("permission", times=None)


def told(platform: Platform, run_id: str) -> list[tuple[str, str, str]]:
    """Title, content and status of the messages about the run."""
    return platform.rows("SELECT title, content, status FROM messages WHERE dedupe_key = %s", f"run-failed:{run_id}")


def test_a_failed_step_of_the_job_is_told_once_with_its_cause(platform: Platform) -> None:
    result = platform.run((), "trade_calendar", "stock_list")
    assert set(texts(result)) == {"trade_calendar", "stock_list"}, "two steps fail"
    ((title, content, status),) = told(platform, result.run_id)
    assert "daily_sync" in title
    assert "SANDBOX" in title
    assert "tushare.trade_cal" in content or "tushare.stock_basic" in content
    assert result.run_id in content
    assert status == "delivered"


def test_a_run_from_the_asset_s_own_page_is_told_as_well(platform: Platform) -> None:
    result = platform.alone((), "name_history")
    ((title, content, _),) = told(platform, result.run_id)
    assert "手动物化" in title
    assert "__ASSET_JOB" not in title + content
    assert "name_history" in content


def test_a_failed_screen_is_told(platform: Platform) -> None:
    config = {"screen_dual_ma": {"fast": 20, "slow": 5}}
    result = platform.alone(platform.sessions(1), "screen_dual_ma", config=config)
    assert not result.success
    ((_, content, _),) = told(platform, result.run_id)
    assert "须小于慢线周期" in content


def test_without_a_token_the_message_is_logged_and_fails_nothing_more(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PUSHPLUS_TOKEN")
    before = platform.inbox()
    result = platform.alone((), "name_history")
    assert [event.step_key for event in result.all_events if event.is_hook_event and "ERRORED" in event.event_type_value] == []
    ((_, _, status),) = told(platform, result.run_id)
    assert status == "logged"
    assert platform.inbox() == before


def test_a_pushplus_that_is_down_fails_nothing_more_and_the_message_waits(platform: Platform) -> None:
    platform.sandbox.order_fault("disconnect", server="pushplus", api="send", times=None)
    result = platform.alone((), "name_history")
    assert [event.step_key for event in result.all_events if event.is_hook_event and "ERRORED" in event.event_type_value] == []
    ((_, _, status),) = told(platform, result.run_id)
    assert status == "pending"


def test_in_live_mode_too_and_nothing_says_sandbox(platform: Platform, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Live mode against a Tushare-compatible server of the user's own, with an empty database and no PushPlus."""
    server = platform.database.url.replace(f"/{platform.database.name}?", "/postgres?")
    url = platform.database.url.replace(f"/{platform.database.name}?", "/live?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE live")
        for variable in ("PUSHPLUS_TOKEN", "PUSHPLUS_URL", "PUSHPLUS_SECRET_KEY"):
            monkeypatch.delenv(variable)
        monkeypatch.setenv("QUANT_MODE", "live")
        monkeypatch.setenv("QUANT_DATABASE_URL", url)
        live = replace(platform, database=Database(url, Mode.LIVE, home=home))
        failed = live.alone((), "name_history")
        ((title, content, status),) = told(live, failed.run_id)
        assert status == "logged"
        assert "SANDBOX" not in title + content
        platform.sandbox.clear_faults()
        (event,) = live.alone((), "name_history").asset_materializations_for_node("name_history")
        assert "live" in str(plain(event.metadata)["origin"])
        live.database.close()
        connection.execute("DROP DATABASE live WITH (FORCE)")
