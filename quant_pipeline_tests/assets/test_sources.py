"""Several sources in Dagster: the failover is wired, what is missing is told, a second source is compared with the first."""

from __future__ import annotations

import json
from collections.abc import Iterator

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


def test_a_sample_is_compared_with_the_other_sources_field_by_field(everywhere: Platform) -> None:
    everywhere.execute("TRUNCATE daily_kline, source_state")
    everywhere.execute("DELETE FROM sync_items WHERE dataset = 'daily_kline'")
    sessions = everywhere.sessions(2)
    config = {"reconciliation": {"codes": 4}}
    result = everywhere.run(sessions, "daily_kline", "reconciliation", job="catch_up", config=config)
    assert result.success, texts(result)
    compared = everywhere.rows("SELECT second_source, field, sum(compared), sum(agreeing) FROM reconciliation GROUP BY 1, 2")
    assert {source for source, *_ in compared} == {"baostock", "akshare"}
    assert {field for _, field, *_ in compared} >= {"open", "high", "low", "close", "vol", "amount"}
    assert all(agreeing == count > 0 for _, _, count, agreeing in compared), compared
    (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "sources_agree"]
    assert check.passed

    spoiled = "UPDATE daily_kline SET close = close * 1.1, high = greatest(high, close * 1.1) WHERE trade_date = %s"
    everywhere.execute(spoiled, LATEST)
    again = everywhere.run(sessions[1:], "reconciliation", job="catch_up", config=config)
    (check,) = [each for each in again.get_asset_check_evaluations() if each.check_name == "sources_agree"]
    assert not check.passed
    assert "close" in json.dumps({name: str(value.value) for name, value in check.metadata.items()})


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
