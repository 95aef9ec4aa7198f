"""The main job over a week: what Dagster is told, what stands in the tables, and that a second run changes nothing."""

from __future__ import annotations

import datetime as dt
import json
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import cast

import dagster as dg
import pytest
from click.testing import CliRunner

from quant_pipeline.cli import main
from quant_pipeline.market.datasets import INDEX_DAILY, SOURCED
from quant_pipeline.selections import BY_SESSION, DAILY_LISTS
from quant_pipeline_tests.assets.platform import LATEST, Platform, observations, plain

LISTS = DAILY_LISTS
DAILY = (*LISTS, *BY_SESSION)
SCREEN = "screen_dual_ma"
SIGNALS = ("signals", "signal_statistics", "portfolio_risk")
QUICK_CROSS = {SCREEN: {"fast": 1, "slow": 2}}
"""Averages that cross within a week."""


@dataclass
class Week:
    """A run of daily_sync over five sessions, and what was counted right after it."""

    platform: Platform
    sessions: tuple[dt.date, ...]
    result: dg.ExecuteInProcessResult
    told: dict[str, list[str]]
    asked: int
    inbox: int

    @property
    def keys(self) -> list[str]:
        return [session.isoformat() for session in self.sessions]

    def metadata(self, asset: str, partition: str | None) -> dict[str, object]:
        """The metadata values of the asset's event in this run."""
        for event in self.result.all_events:
            if event.is_step_materialization:
                written = event.step_materialization_data.materialization
                if written.asset_key == dg.AssetKey(asset) and written.partition == partition:
                    return plain(written.metadata)
        raise KeyError((asset, partition))


@pytest.fixture(scope="module")
def week(platform: Platform) -> Week:
    sessions = platform.sessions(5)
    result = platform.run(sessions, config=QUICK_CROSS)
    told = {asset: platform.materialized(asset) for asset in (*DAILY, SCREEN)}
    return Week(platform, sessions, result, told, platform.asked(), platform.inbox())


def test_every_step_is_executed_and_none_is_skipped(week: Week) -> None:
    assert week.result.success
    kinds = Counter(event.event_type for event in week.result.all_events)
    assert kinds[dg.DagsterEventType.STEP_SKIPPED] == 0
    done = {str(event.step_key) for event in week.result.all_events if event.is_step_success}
    assert done == {*DAILY, *(f"{name}_checks" for name in DAILY), SCREEN, "market_overview", *SIGNALS}


def test_each_session_of_each_asset_is_told_exactly_once(week: Week) -> None:
    assert {asset: sorted(week.told[asset]) for asset in (*BY_SESSION, SCREEN)} == dict.fromkeys(
        (*BY_SESSION, SCREEN), week.keys
    )
    assert {asset: week.told[asset] for asset in LISTS} == {asset: ["None"] for asset in LISTS}


def test_dagster_knows_the_sessions_as_materialized_and_no_other(week: Week) -> None:
    for asset in (*BY_SESSION, SCREEN):
        assert week.platform.instance.get_materialized_partitions(dg.AssetKey(asset)) == set(week.keys)


@pytest.mark.parametrize("asset", BY_SESSION)
def test_an_event_carries_its_session_s_true_figures(week: Week, asset: str) -> None:
    for key in week.keys:
        metadata = week.metadata(asset, key)
        (rows,) = week.platform.rows(f"SELECT count(*) FROM {asset} WHERE trade_date = %s", key)[0]
        # an index is asked for by code: the calls and the new rows are those of its codes, not of the session
        by_code = asset == "index_daily"
        assert metadata["dagster/row_count"] == rows
        assert (metadata["source"], metadata["missing"]) == ("tushare", 0)
        if by_code:
            assert "code by code" in str(metadata["fetched"])
            assert metadata.keys().isdisjoint({"inserted", "calls", "seconds"}), "no figure that is not the session's own"
        else:
            figures = [metadata[name] for name in ("inserted", "updated", "unchanged", "rejected", "calls", "attempts")]
            assert figures == [rows, 0, 0, 0, 1, 1]
            assert isinstance(metadata["seconds"], float)
        assert "SANDBOX" in str(metadata["origin"])
        assert ("preview" in metadata) is (key == week.keys[-1])


def test_a_list_s_event_counts_its_rows_and_shows_some(week: Week) -> None:
    for asset in LISTS:
        metadata = week.metadata(asset, None)
        assert week.platform.rows(f"SELECT count(*) FROM {asset}") == [(metadata["dagster/row_count"],)]
        shown = min(10, int(str(metadata["dagster/row_count"])))
        assert len(metadata["preview"].records) == shown > 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("asset", [*BY_SESSION, *LISTS])
def test_a_preview_fits_its_pane_is_rounded_and_names_what_it_leaves_out(week: Week, asset: str) -> None:
    metadata = week.metadata(asset, week.keys[-1] if asset in BY_SESSION else None)
    preview = cast(dg.TableMetadataValue, metadata["preview"])
    rows, names = [record.data for record in preview.records], [column.name for column in preview.schema.columns]
    shown = {name: max(_signs(part) for part in (*name.split(" "), *(_cell(row[name]) for row in rows))) for name in names}
    assert sum(shown.values()) + 3 * len(shown) <= 64 or len(shown) == 1
    assert all(figure == round(figure, 4) for row in rows for figure in row.values() if isinstance(figure, float))
    left_out = [each.split(" ")[0] for each in str(metadata.get("more_columns", "")).split(", ") if each]
    kept = [name.split(" ")[0] for name in shown]
    named = set(SOURCED[asset].column_names) - ({"trade_date"} if asset in BY_SESSION else set())
    assert not {*kept} & {*left_out}
    assert named - {*kept, *left_out} <= {"name"}, "the name stands beside its code"


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _signs(text: str) -> int:
    """Chinese letters are as wide as two others."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def test_the_last_session_of_the_bars_has_a_candlestick_picture(week: Week) -> None:
    assert str(week.metadata("daily_kline", week.keys[-1])["candlesticks"]).startswith(
        "![candlesticks](data:image/png;base64,iVBOR"
    )
    assert "candlesticks" not in week.metadata("daily_kline", week.keys[0])


def test_the_picture_s_page_is_that_of_the_most_traded_code(week: Week) -> None:
    ((code,),) = week.platform.rows(
        "SELECT ts_code FROM daily_kline WHERE trade_date = %s ORDER BY amount DESC NULLS LAST LIMIT 1", week.sessions[-1]
    )
    shown = week.metadata("daily_kline", week.keys[-1])
    assert (next(iter(shown)), shown["page"]) == ("page", f"http://127.0.0.1:3001/k/{code}")


def test_each_session_of_a_screen_links_to_its_page_first(week: Week) -> None:
    for key in week.keys:
        metadata = week.metadata(SCREEN, key)
        assert (next(iter(metadata)), metadata["page"]) == ("page", f"http://127.0.0.1:3001/screens/dual_ma/{key}")


def test_the_screen_s_hits_stand_in_the_table_and_in_its_events(week: Week) -> None:
    stored = dict(
        week.platform.rows("SELECT trade_date::text, count(*) FROM screen_results WHERE screen = 'dual_ma' GROUP BY 1")
    )
    assert {key: week.metadata(SCREEN, key)["dagster/row_count"] for key in week.keys} == {
        key: stored.get(key, 0) for key in week.keys
    }
    assert stored[week.keys[-1]] > 0
    parameters = {text for (text,) in week.platform.rows("SELECT DISTINCT parameters FROM screen_results")}
    assert [json.loads(text) for text in parameters] == [{"fast": 1, "slow": 2}]
    shown = week.metadata(SCREEN, week.keys[-1])
    assert len(shown["hits"].records) == stored[week.keys[-1]]  # type: ignore[attr-defined]
    assert str(shown["charts"]).startswith("![charts](data:image/png;base64,iVBOR")


def test_a_hit_did_cross(week: Week) -> None:
    """With averages of one and two bars, a cross is a fall followed by a rise of the adjusted close."""
    hits = week.platform.rows("SELECT ts_code FROM screen_results WHERE trade_date = %s", LATEST)
    rose = week.platform.rows(
        "SELECT today.ts_code FROM daily_kline AS today JOIN daily_kline AS before USING (ts_code)"
        " WHERE today.trade_date = %s AND before.trade_date = %s"
        " AND today.close > today.pre_close AND before.close < before.pre_close",
        week.sessions[-1],
        week.sessions[-2],
    )
    assert sorted(hits) == sorted(rose)


def test_one_message_tells_of_the_latest_session_and_arrives(week: Week) -> None:
    ((key, status, title, content),) = week.platform.rows("SELECT dedupe_key, status, title, content FROM messages")
    assert key.startswith(f"screen:dual_ma:{LATEST}:")
    assert (status, week.inbox) == ("delivered", 1)
    assert f"(http://127.0.0.1:3001/screens/dual_ma/{LATEST})" in content
    assert "SANDBOX" in title
    first = week.platform.rows("SELECT ts_code FROM screen_results WHERE trade_date = %s ORDER BY score DESC LIMIT 1", LATEST)
    assert first[0][0] in content


def test_the_ledger_has_the_run_under_dagster_s_id(week: Week) -> None:
    ((status, trigger, units, calls, rejected),) = week.platform.rows(
        "SELECT status, trigger, units_done, calls, rows_rejected FROM sync_runs WHERE id = %s", week.result.run_id
    )
    assert (status, trigger, rejected) == ("success", "daily_sync", 0)
    assert units == len(LISTS) + 5 * len(BY_SESSION) + len(INDEX_DAILY.codes)
    assert calls == week.asked


def test_a_second_run_fetches_nothing_tells_nothing_and_says_so(week: Week) -> None:
    again = week.platform.run(week.sessions, config=QUICK_CROSS)
    assert again.success
    assert week.platform.asked() == week.asked
    assert week.platform.inbox() == week.inbox
    for asset in BY_SESSION:
        assert week.platform.materialized(asset) == week.told[asset]
    logged = [record.user_message for record in week.platform.instance.all_logs(again.run_id)]
    span = f"daily_kline {week.keys[0]} .. {week.keys[-1]} (5) is complete"
    assert any(span in text and "Nothing was fetched" in text for text in logged)
    for asset in LISTS:
        assert week.platform.materialized(asset) == week.told[asset], "a list of which nothing was fetched is not made anew"
        (seen,) = [each for each in observations(again) if each.asset_key == dg.AssetKey(asset)]
        figures = [plain(seen.metadata)[name] for name in ("inserted", "updated", "calls", "attempts", "seconds")]
        assert figures == [0] * 5
    run = week.platform.rows("SELECT status, units_done, units_skipped FROM sync_runs WHERE id = %s", again.run_id)
    assert run == [("success", 0, len(LISTS) + 5 * len(BY_SESSION))]


def test_what_an_asset_s_page_launched_for_nothing_has_a_name_and_a_reason_in_history(week: Week) -> None:
    run_id = week.platform.alone(week.sessions, "daily_kline").run_id
    assert week.platform.rows("SELECT trigger FROM sync_runs WHERE id = %s", run_id) == [("materialize",)]
    told = CliRunner().invoke(main, ["history", "--run", run_id]).output
    assert " ".join(told.split()).endswith(
        f"Run {run_id} fetched nothing: what is complete is not fetched again (--force, or force: true in the launchpad, does)."
    )


_FUNCTION = """
CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$
"""
_TRIGGER = """
CREATE TRIGGER broken BEFORE INSERT ON messages FOR EACH ROW
WHEN (starts_with(new.dedupe_key, 'screen:')) EXECUTE FUNCTION broken()
"""


def test_hits_and_their_message_land_together_or_not_at_all(week: Week) -> None:
    """A screen with other hits than those told: its message cannot be written, so the former hits stay; then both land."""
    platform, hits = week.platform, "SELECT ts_code, score FROM screen_results WHERE trade_date = %s ORDER BY ts_code"
    messages = "SELECT count(*) FROM messages WHERE dedupe_key LIKE 'screen:%%'"
    told = platform.rows(hits, LATEST)
    platform.execute("DELETE FROM screen_results WHERE ts_code = %s AND trade_date = %s", told[0][0], LATEST)
    platform.execute("DELETE FROM messages WHERE dedupe_key LIKE 'screen:%%'")
    before = platform.rows(hits, LATEST)
    platform.execute(_FUNCTION)
    platform.execute(_TRIGGER)
    failed = platform.alone([LATEST], SCREEN, config=QUICK_CROSS)
    assert not failed.success
    assert (platform.rows(hits, LATEST), platform.rows(messages)) == (before, [(0,)])
    platform.execute("DROP TRIGGER broken ON messages")
    assert platform.alone([LATEST], SCREEN, config=QUICK_CROSS).success
    assert (platform.rows(hits, LATEST), platform.rows(messages)) == (told, [(1,)])
