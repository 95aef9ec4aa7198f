"""What Dagster calls out of date ("Unsynced"): what rests on rows that changed, and nothing that is in order."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from quant_pipeline.definitions import defs
from quant_pipeline_tests.assets.platform import Platform, observations, plain

LISTS = ("trade_calendar", "stock_list")
SCREEN = "screen_dual_ma"


def status(platform: Platform, asset: str, partition: str) -> StaleStatus:
    """As the UI asks for it."""
    graph = defs.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(platform.instance, graph, LoadingContextForTest(platform.instance))
    return resolver.get_status(dg.AssetKey(asset), partition)


@pytest.fixture(scope="module", autouse=True)
def _synced(platform: Platform) -> None:
    result = platform.alone(platform.sessions(3), *LISTS, "suspensions", "daily_kline", "adj_factor", SCREEN)
    assert result.success


def test_a_list_that_grew_makes_no_session_out_of_date(platform: Platform) -> None:
    keys = [session.isoformat() for session in platform.sessions(3)]
    assert platform.execute("DELETE FROM stock_list WHERE ts_code = (SELECT max(ts_code) FROM stock_list)") == 1
    grown = platform.alone((), "stock_list", config={"stock_list": {"force": True}})
    (event,) = grown.asset_materializations_for_node("stock_list")
    assert plain(event.metadata)["inserted"] == 1
    assert [status(platform, "daily_kline", key) for key in keys] == [StaleStatus.FRESH] * 3


def test_a_session_fetched_again_without_a_change_leaves_what_rests_on_it_in_order(platform: Platform) -> None:
    session = platform.sessions(3)[1]
    again = platform.alone([session], "daily_kline", config={"daily_kline": {"force": True}})
    assert [each.partition for each in observations(again)] == [session.isoformat()]
    assert status(platform, SCREEN, session.isoformat()) is StaleStatus.FRESH


def test_a_screen_is_out_of_date_where_its_bars_changed_and_only_there(platform: Platform) -> None:
    session, other = platform.sessions(3)[0], platform.sessions(3)[1]
    assert platform.execute("DELETE FROM daily_kline WHERE trade_date = %s AND ts_code LIKE '600%%'", session) > 0
    mended = platform.alone([session], "daily_kline", config={"daily_kline": {"force": True}})
    assert plain(mended.asset_materializations_for_node("daily_kline")[0].metadata)["inserted"] > 0
    assert status(platform, SCREEN, session.isoformat()) is StaleStatus.STALE
    assert status(platform, SCREEN, other.isoformat()) is StaleStatus.FRESH
    newest = platform.sessions(1)[0].isoformat()
    assert platform.materialized("daily_kline")[-1] == newest, "shown again, as the last event"
    assert status(platform, SCREEN, newest) is StaleStatus.FRESH
