"""Weekly and monthly bars in Dagster: partitions of their own over the sessions, the running period among them."""

from __future__ import annotations

import datetime as dt

import dagster as dg

from quant_pipeline.definitions import defs
from quant_pipeline.market.dataset import Partition
from quant_pipeline.partitions import range_tags
from quant_pipeline_tests.assets.platform import LATEST, Platform, plain, texts


def test_weeks_and_months_are_materialized_by_their_own_keys(platform: Platform) -> None:
    first = dt.date(2026, 10, 26)
    platform.fill(platform.calendar.between(first, LATEST), "suspensions", "daily_kline")
    tags = range_tags(Partition.WEEK, first, LATEST)
    result = platform.run([], "weekly_kline", job="weekly_sync", tags=tags)
    assert result.success, texts(result)
    assert sorted(platform.materialized("weekly_kline")) == ["2026-10-26", "2026-11-02", "2026-11-09", "2026-11-16"]
    labels = [day for (day,) in platform.rows("SELECT DISTINCT trade_date FROM weekly_kline ORDER BY 1")]
    assert labels == [dt.date(2026, 10, 30), dt.date(2026, 11, 6), dt.date(2026, 11, 13), LATEST]
    assert all(check.passed for check in result.get_asset_check_evaluations()), result.get_asset_check_evaluations()

    assert _pictured(result, "2026-11-16").endswith("?freq=W")
    result = platform.run([], "monthly_kline", job="monthly_sync", tags=range_tags(Partition.MONTH, LATEST, LATEST))
    assert result.success, texts(result)
    assert _pictured(result, "2026-11").endswith("?freq=M")
    assert platform.materialized("monthly_kline") == ["2026-11"]
    assert platform.rows("SELECT DISTINCT trade_date, source FROM monthly_kline") == [(LATEST, "derived")], "it still runs"


def _pictured(result: dg.ExecuteInProcessResult, partition: str) -> str:
    """The page that the partition's event links to, beside a picture of the K-line."""
    (written,) = (
        event.step_materialization_data.materialization
        for event in result.all_events
        if event.is_step_materialization and event.partition == partition
    )
    assert str(plain(written.metadata)["candlesticks"]).startswith("![candlesticks](data:image/png;base64,iVBOR")
    return str(plain(written.metadata)["page"])


def test_a_week_that_has_not_begun_is_refused_in_words(platform: Platform) -> None:
    following = dt.date(2026, 11, 23)
    result = platform.run([], "weekly_kline", job="weekly_sync", tags=range_tags(Partition.WEEK, following, following))
    assert "最近完整的交易日是 2026-11-20" in texts(result)["weekly_kline"]


def test_the_week_s_parents_are_its_sessions() -> None:
    graph = defs.resolve_asset_graph()
    week, days = dg.AssetKey("weekly_kline"), dg.AssetKey("daily_kline")
    mapping = graph.get_partition_mapping(week, days)
    parents = mapping.get_upstream_mapped_partitions_result_for_partitions(
        graph.get(week).partitions_def.subset_with_partition_keys(["2026-09-28"]),
        graph.get(week).partitions_def,
        graph.get(days).partitions_def,
    )
    assert sorted(parents.partitions_subset.get_partition_keys()) == ["2026-09-28", "2026-09-29", "2026-09-30"]
