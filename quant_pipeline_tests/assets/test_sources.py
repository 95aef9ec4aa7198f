"""Several sources in Dagster: the failover is wired, what is missing is told, a second source is compared with the first."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.assets.platform import LATEST, Platform, installed, texts

POLICIES = """
[tushare.daily]
quota = false
retries = 0
backoff = 0
trip = 2
cool_down = 600

[baostock."*"]
per_second = 1000

[akshare."*"]
per_minute = 10000
per_second = 1000
backoff = 0.01
cool_down = 1
"""


@pytest.fixture(scope="module")
def everywhere(
    database: Database, home: object, exchange: Exchange, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A platform with all of its sources on, as a user has it."""
    limits = tmp_path_factory.mktemp("limits") / "limits.toml"
    limits.write_text(POLICIES, encoding="utf-8")
    with installed(database, home, exchange) as platform, pytest.MonkeyPatch.context() as patch:  # type: ignore[arg-type]
        for variable in ("BAOSTOCK_PRIORITY", "AKSHARE_PRIORITY", "THS_PRIORITY"):
            patch.delenv(variable)
        patch.setenv("QUANT_RATE_LIMITS", str(limits))
        yield platform


def test_with_tushare_cut_the_bars_come_from_the_others_and_the_events_say_so(everywhere: Platform) -> None:
    everywhere.sandbox.order_fault("disconnect", api="daily", times=None)
    result = everywhere.run(everywhere.sessions(2), "stock_list", "suspensions", "daily_kline")
    everywhere.sandbox.clear_faults()
    assert result.success, texts(result)
    assert {source for (source,) in everywhere.rows("SELECT DISTINCT source FROM daily_kline")} == {"baostock", "akshare"}
    assert sorted(everywhere.materialized("daily_kline")) == [f"{day}" for day in everywhere.sessions(2)]
    by_source = everywhere.rows("SELECT by_source FROM sync_runs WHERE id = %s", result.run_id)[0][0]
    assert by_source["baostock"]["units"] == 2
    assert by_source["akshare"]["units"] > 0
    opened = everywhere.rows("SELECT reason FROM source_events WHERE kind = 'circuit_opened' AND source = 'tushare'")
    assert len(opened) == 1
    assert all(check.passed for check in result.get_asset_check_evaluations() if check.severity.value == "ERROR")


def test_what_differs_from_a_second_source_is_a_row_a_warning_and_one_message(everywhere: Platform) -> None:
    everywhere.execute("TRUNCATE daily_kline, source_state")
    everywhere.execute("DELETE FROM sync_items WHERE dataset = 'daily_kline'")
    sessions = everywhere.sessions(2)
    config = {"reconciliation": {"rotation": 20}}
    result = everywhere.run(sessions, "daily_kline", "reconciliation", job="catch_up", config=config)
    assert result.success, texts(result)
    compared = everywhere.rows(
        "SELECT second_source, compared > 0, failed FROM reconciliation_runs WHERE dataset = 'daily_kline'"
    )
    assert ("baostock", True, 0) in compared
    assert everywhere.rows("SELECT count(*) FROM reconciliation") == [(0,)]
    check = agreement(result)
    assert check.passed
    assert "baostock" in (check.description or "")

    query = "SELECT min(ts_code) FROM daily_kline WHERE trade_date = %s AND ts_code LIKE '6%%'"
    ((code,),) = everywhere.rows(query, LATEST)
    everywhere.execute("UPDATE daily_kline SET close = close + 0.01 WHERE ts_code = %s AND trade_date = %s", code, LATEST)
    for _ in range(2):  # the second run finds it again, and says so in the check alone
        again = everywhere.run(sessions, "reconciliation", job="catch_up", config=config)
        assert again.success, texts(again)
        check = agreement(again)
        assert not check.passed
        assert check.severity is dg.AssetCheckSeverity.WARN
        assert f"daily_kline {code} {LATEST} close" in (check.description or "")
        told = everywhere.rows("SELECT title, content FROM messages WHERE dedupe_key LIKE 'sources-differ:%%'")
        assert len(told) == 1
        assert code in told[0][0] + told[0][1]


def agreement(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "sources_agree"]
    return check


def test_what_no_source_has_is_named_and_can_be_tried_again(everywhere: Platform) -> None:
    session = everywhere.sessions(3)[:1]
    for server, api in (("tushare", "daily"), ("baostock", "*"), ("akshare", "*")):
        everywhere.sandbox.order_fault("wrong_rows", server=server, api=api, share=1.0, times=None)
    result = everywhere.run(session, "daily_kline")
    everywhere.sandbox.clear_faults()
    assert not result.success
    said = texts(result)["daily_kline"]
    assert all(f"{source}." in said for source in ("tushare", "baostock"))
    again = everywhere.run(session, "daily_kline", config={"daily_kline": {"retry_failed": True}})
    assert again.success, texts(again)
    assert everywhere.rows("SELECT count(*) > 40 FROM daily_kline WHERE trade_date = %s", session[0]) == [(True,)]
