"""Backtests in Dagster: a report to look at, figures that are plotted, what cannot be run said in a sentence."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import requests

from quant_pipeline import settings
from quant_pipeline.backtest.asked import backtested
from quant_pipeline.backtest.grid import asked_of
from quant_pipeline.definitions import defs
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.market.xshg import xshg
from quant_pipeline.strategies.dual_ma import DualMovingAverage
from quant_pipeline_tests.assets.platform import Platform, plain, texts
from quant_pipeline_tests.door.served import served
from quant_pipeline_tests.sync.stored import MAIN, bars, market, sessions, store

DAYS = sessions(60)
CODES = MAIN[:6]
WAVES = CODES[4:]


@pytest.fixture(scope="module")
def stored(platform: Platform) -> Platform:
    """Shares that rise by a little every day, and two that go up and down in waves, so that averages cross."""
    market(platform.database, DAYS, CODES)
    close = (10 * (0.2 * (pl.int_range(pl.len()).over("ts_code") / 2.7).sin()).exp()).round(2)
    waves = bars(WAVES, DAYS).with_columns(close=close)
    waves = waves.with_columns(open=close, high=close, low=close, pre_close=pl.col("close").shift().over("ts_code"))
    store(platform.database, DAILY_KLINE, waves)
    return platform


def _run(platform: Platform, **config: Any) -> dg.ExecuteInProcessResult:
    given = {"parameters": {"fast": 2, "slow": 4}, "start": DAYS[20].isoformat(), **config}
    return platform.alone([], "backtest_dual_ma", config={"backtest_dual_ma": given})


def _count(platform: Platform) -> int:
    ((count,),) = platform.rows("SELECT count(*) FROM backtests")
    return int(count)


def test_a_backtest_shows_its_figures_its_curve_and_where_the_report_is(stored: Platform) -> None:
    result = _run(stored, account={"capital": 200_000, "max_positions": 3, "benchmark": "", "volume_share": 0.01})
    assert result.success, texts(result)
    (record,) = stored.instance.fetch_materializations(dg.AssetKey("backtest_dual_ma"), limit=1).records
    assert record.asset_materialization is not None
    metadata = record.asset_materialization.metadata
    assert next(iter(metadata)).startswith("page ")
    assert all(re.search(r"[\u4e00-\u9fff]", name) for name in metadata if not name.startswith("dagster/"))
    told = plain(metadata)
    ((number, total, capital),) = stored.rows(
        "SELECT id, total_return, (settings->>'capital')::float FROM backtests ORDER BY created_at DESC LIMIT 1"
    )
    assert told["backtest"] == number
    assert told["page"].endswith(f"/backtests/{number}")
    assert (told["total_return_pct"], capital) == (round(total * 100, 2), 200_000)
    assert told["curve"].startswith("![curve](data:image/png;base64,")
    copy = Path(told["report"]).read_text(encoding="utf-8")
    assert "双均线金叉" in copy
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="http', copy), "the file stands alone"


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"parameters": {"fast": 9, "slow": 3}}, "须小于"),
        ({"account": {"capital": -1}}, "capital"),
        ({"account": {"capital": 10}}, "10.00 元"),
        ({"start": "yesterday"}, "yesterday 不是日期"),
        ({"start": "1999-01-04", "end": "1999-02-01"}, "quant-pipeline sync"),
        ({"universe": "moon"}, "moon"),
    ],
)
def test_what_cannot_be_run_is_said_and_nothing_is_written(stored: Platform, config: dict[str, Any], why: str) -> None:
    before = _count(stored)
    result = _run(stored, **config)
    assert not result.success
    (text,) = texts(result).values()
    assert why in text
    assert "Traceback" not in text
    assert re.search(r"[\u4e00-\u9fff]", text)
    assert _count(stored) == before


def test_the_pages_list_compare_and_show_what_was_run(stored: Platform) -> None:
    assert _run(stored, parameters={"fast": 3, "slow": 6}).success
    ((one,), (other,)) = stored.rows("SELECT id FROM backtests ORDER BY created_at LIMIT 2")
    with served(settings.load(), stored.database) as url:
        listed, report, compared, lonely, unknown = (
            requests.get(url + path, timeout=60)
            for path in (
                "/backtests",
                f"/backtests/{one}",
                f"/backtests/compare?id={one}&id={other}",
                f"/backtests/compare?id={one}",
                "/backtests/nothing",
            )
        )
    assert [each.status_code for each in (listed, report, compared, lonely, unknown)] == [200, 200, 200, 400, 404]
    assert f"/backtests/{one}" in listed.text
    for part in ("equity", "months", "years", "costs", "refused", "worst", "best"):
        assert f'id="{part}"' in report.text
    trades = stored.rows("SELECT DISTINCT ts_code FROM backtest_trades WHERE backtest = %s AND kind = 'sell'", one)
    assert trades, "there is something to show"
    for (code,) in trades:
        assert f'href="/k/{code}"' in report.text
    for shown in ('id="trade-1"', "印花税", "buy, part-filled: more than the allowed part"):
        assert shown in report.text
    in_list, in_report = r'title="不足 122 [^>]*><span class="flat">–', r'<b class="flat">–</b><small>不足 122 '
    for page, shown in ((listed, in_list), (report, in_report)):
        assert re.search(shown, page.text), "no range below half a year is taken to a year"


def test_a_grid_s_points_are_mapped_steps_and_stand_beside_each_other(stored: Platform) -> None:
    points = {"fast": [2, 3], "slow": [3, 6], "capital": [100_000]}
    given = {"grid": points, "start": DAYS[20].isoformat(), "account": {"benchmark": ""}, "ranked_by": "total_return"}
    result = _nested(stored, "parameter_grid", "grid_points", given)
    assert result.success, texts(result)
    mapped = {event.step_key for event in result.all_events if event.is_step_success}
    assert {"parameter_grid.grid_backtests[1]", "parameter_grid.grid_backtests[2]"} <= mapped
    told = plain(_last(stored, "parameter_grid"))
    compared = told["comparison"]
    records = [record.data for record in compared.records] if hasattr(compared, "records") else compared
    ranked = [record["总收益% total"] for record in records]
    assert len(ranked) == 3, "fast 3 with slow 3 is no point"
    assert ranked == sorted(ranked, reverse=True)
    series = told["page"].partition("series=")[2]
    ((kept,),) = stored.rows("SELECT count(*) FROM backtests WHERE starts_with(id, %s)", f"{series}-")
    assert kept == 3


@pytest.mark.parametrize("by", ["sharpe", "max_drawdown"])
def test_walk_forward_trades_each_test_window_with_what_was_best_before_it(stored: Platform, by: str) -> None:
    given = {"grid": {"fast": [2, 3], "slow": [6]}, "account": {"benchmark": ""}, "train": 30, "test": 15, "ranked_by": by}
    result = _nested(stored, "walk_forward", "walk_windows", given)
    assert result.success, texts(result)
    series = plain(_last(stored, "walk_forward"))["page"].partition("series=")[2]
    query = "SELECT start_date, end_date, (parameters->>'fast')::int FROM backtests WHERE starts_with(id, %s) ORDER BY 1"
    best = [_best(stored, DAYS[at - 30], DAYS[at - 1], by) for at in (30, 45)]
    assert stored.rows(query, f"{series}-") == [(DAYS[30], DAYS[44], best[0]), (DAYS[45], DAYS[59], best[1])]


def _best(stored: Platform, start: dt.date, end: dt.date, by: str) -> int:
    """Of the windows of the fast average that which was best from one day to the other, by itself."""
    points = {fast: asked_of(DualMovingAverage, {"fast": fast, "slow": 6}, {"benchmark": ""}) for fast in (2, 3)}
    figures = {
        fast: getattr(backtested(stored.database, None, xshg(), each.over(start, end)).figures, by)
        for fast, each in points.items()
    }
    assert figures[2] != figures[3], "one is better"
    return max(figures, key=lambda fast: figures[fast])


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"strategy": "dual_mb"}, "dual_ma"),
        ({"grid": {"fats": [1]}}, "fats"),
        ({"grid": {"fast": 5}}, "[5, 10, 20]"),
        ({"ranked_by": "luck"}, "luck"),
        ({"steps": 0}, "steps"),
    ],
)
def test_a_grid_that_cannot_be_run_says_why(stored: Platform, given: dict[str, Any], why: str) -> None:
    before = _count(stored)
    (text,) = texts(_nested(stored, "parameter_grid", "grid_points", given)).values()
    assert why in text
    assert re.search(r"[\u4e00-\u9fff]", text)
    assert _count(stored) == before


def test_the_last_runs_stand_in_one_table(stored: Platform) -> None:
    result = stored.alone([], "backtests")
    assert result.success, texts(result)
    assert plain(_last(stored, "backtests"))["dagster/row_count"] == _count(stored) > 0


def _nested(platform: Platform, asset: str, op: str, given: dict[str, Any]) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def("__ASSET_JOB").execute_in_process(
        instance=platform.instance,
        asset_selection=[dg.AssetKey(asset)],
        run_config={
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            "ops": {asset: {"ops": {op: {"config": given}}}},
        },
        raise_on_error=False,
    )


def _last(platform: Platform, asset: str) -> Mapping[str, dg.MetadataValue[Any]]:
    (record,) = platform.instance.fetch_materializations(dg.AssetKey(asset), limit=1).records
    assert record.asset_materialization is not None
    return record.asset_materialization.metadata
