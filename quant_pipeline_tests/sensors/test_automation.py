"""A screen runs by itself when its session's bars arrive: also a late one's, and never for a session that is to come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import dagster as dg
import pytest

from quant_pipeline.definitions import defs
from quant_pipeline.market.clock import EXCHANGE_ZONE

NEEDED = ("daily_kline", "adj_factor")
SCREEN = dg.AssetKey("screen_dual_ma")


class Ticks:
    """The automation's ticks over an instance, each going on from the one before."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self._cursor: dg.AssetDaemonCursor | None = None  # type: ignore[name-defined]

    def arrive(self, asset: str, session: str | None) -> None:
        self.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=session))

    def tick(self, moment: str) -> set[str]:
        """The sessions whose screen is asked for."""
        result = dg.evaluate_automation_conditions(
            defs=defs,
            instance=self.instance,
            asset_selection=dg.AssetSelection.assets(SCREEN),
            cursor=self._cursor,
            evaluation_time=dt.datetime.fromisoformat(moment).replace(tzinfo=EXCHANGE_ZONE),
        )
        self._cursor = result.cursor
        return set(result.get_requested_partitions(SCREEN))


@pytest.fixture
def ticks() -> Iterator[Ticks]:
    with dg.DagsterInstance.ephemeral() as instance:
        ticks = Ticks(instance)
        ticks.arrive("stock_list", None)
        yield ticks


def test_it_waits_for_bars_and_factors_and_then_runs_once(ticks: Ticks) -> None:
    assert ticks.tick("2026-11-20T17:00") == set()
    ticks.arrive("daily_kline", "2026-11-20")
    assert ticks.tick("2026-11-20T17:01") == set(), "the factors are still missing"
    ticks.arrive("adj_factor", "2026-11-20")
    assert ticks.tick("2026-11-20T17:02") == {"2026-11-20"}
    assert ticks.tick("2026-11-20T17:03") == set()


@pytest.mark.parametrize(
    ("before", "after", "session"),
    [
        ("2026-11-22T10:00", "2026-11-22T10:01", "2026-11-20"),
        ("2026-10-05T10:00", "2026-10-05T10:01", "2026-09-30"),
        ("2026-11-20T18:00", "2026-11-20T18:01", "2026-11-18"),
    ],
    ids=["on a Sunday", "in Golden Week, when the newest partition lies in the future", "two sessions late"],
)
def test_bars_that_come_late_are_screened(ticks: Ticks, before: str, after: str, session: str) -> None:
    assert ticks.tick(before) == set()
    for asset in NEEDED:
        ticks.arrive(asset, session)
    assert ticks.tick(after) == {session}


def test_a_backfill_of_old_bars_starts_no_screens(ticks: Ticks) -> None:
    assert ticks.tick("2026-11-20T17:00") == set()
    for asset in NEEDED:
        ticks.arrive(asset, "2025-03-03")
    assert ticks.tick("2026-11-20T17:01") == set()
