"""Signals in Dagster: after the screens, session by session, with what they came to; and their clean-up."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from quant_pipeline.definitions import defs
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, INDEX_DAILY, STOCK_LIST
from quant_pipeline_tests.assets.platform import LATEST, Platform, plain, texts
from quant_pipeline_tests.sync.stored import LISTED, bars, store

CODE = "600000.SH"


@pytest.fixture(scope="module")
def crossed(platform: Platform) -> Platform:
    """A share that falls, and crosses its averages upwards in the session before the latest."""
    days = platform.sessions(40)
    at = pl.int_range(pl.len())
    close = pl.when(at < 38).then(20 - 0.1 * at).otherwise(19 + at - 38)
    rows = bars([CODE], days).with_columns(close=close.cast(pl.Float64))
    rows = rows.with_columns(pl.col("close").alias(name) for name in ("open", "high", "low", "pre_close"))
    store(platform.database, STOCK_LIST, [{"ts_code": CODE, "name": "浦发银行", "list_status": "L", "list_date": LISTED}])
    store(platform.database, DAILY_KLINE, rows)
    store(platform.database, ADJ_FACTOR, rows.with_columns(adj_factor=pl.lit(1.0)))
    store(platform.database, INDEX_DAILY, bars(["000300.SH"], days))
    return platform


@pytest.fixture(scope="module")
def routed(crossed: Platform) -> dg.ExecuteInProcessResult:
    """The run that made the signals of the last two sessions."""
    parameters = {"screen_dual_ma": {"fast": 3, "slow": 10}}
    result = crossed.run(crossed.sessions(2), "screen_dual_ma", "signals", "signal_statistics", config=parameters)
    assert result.success, texts(result)
    return result


def test_the_screens_of_a_session_come_to_signals_and_statistics(crossed: Platform, routed: dg.ExecuteInProcessResult) -> None:
    days = crossed.sessions(2)
    assert crossed.materialized("signals") == crossed.materialized("signal_statistics") == [str(day) for day in days]
    assert crossed.rows("SELECT trade_date, strategy, ts_code, direction, name, status FROM signals") == [
        (days[0], "dual_ma", CODE, "buy", "浦发银行", "accepted")
    ]
    assert crossed.rows("SELECT trade_date, direction, horizon, signals, hit_rate FROM signal_statistics") == [
        (LATEST, "buy", 1, 1, 0.0)
    ]
    metadata = routed.asset_materializations_for_node("signals")[0].metadata
    told = plain(metadata)
    assert (told["accepted"], told["conflicts"], told["policy"], told["dagster/row_count"]) == (1, 0, "priority", 1)
    (row,) = metadata["decisions 决定"].records  # type: ignore[attr-defined]
    assert row.data["reason"] == "无冲突"


@pytest.mark.usefixtures("routed")
def test_the_portfolio_follows_and_a_risk_beyond_its_threshold_is_told_once(
    crossed: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = crossed.sessions(2)
    (tmp_path / "dagster.yaml").write_text("# quant_pipeline", encoding="utf-8")
    (tmp_path / "signals.toml").write_text("[risk]\nexposure = 5", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    before = crossed.inbox()
    result = crossed.run(days, "portfolio_risk")
    assert result.success, texts(result)
    assert crossed.materialized("portfolio_risk") == [str(day) for day in days]
    assert crossed.rows("SELECT ts_code, side, status FROM portfolio_orders") == [(CODE, "buy", "filled")]
    assert crossed.rows("SELECT trade_date, ts_code FROM portfolio_positions") == [(LATEST, CODE)]
    told = plain(result.asset_materializations_for_node("portfolio_risk")[-1].metadata)
    assert str(told["alerts"]).startswith("exposure 15")
    titles = crossed.rows("SELECT title, content FROM messages WHERE dedupe_key LIKE 'portfolio-risk:%%'")
    assert [title for title, _ in titles] == ["【沙盒 SANDBOX】组合风险：exposure 15.60 % 超过 5 %"]
    assert "600000.SH 浦发银行" in titles[0][1]
    assert crossed.inbox() == before + 1
    assert crossed.run(days[-1:], "portfolio_risk").success
    assert crossed.inbox() == before + 1, "a rerun tells it to nobody again"


@pytest.mark.usefixtures("routed")
def test_a_policy_that_does_not_exist_is_a_sentence_and_writes_nothing(crossed: Platform) -> None:
    before = crossed.rows("SELECT * FROM signals")
    result = crossed.run(crossed.sessions(1), "signals", config={"signals": {"policy": "coin"}})
    assert texts(result)["signals"].startswith("there is no policy 'coin': write priority, strength, majority, veto")
    assert crossed.rows("SELECT * FROM signals") == before


def test_a_session_without_screens_says_what_to_run(crossed: Platform) -> None:
    day = crossed.sessions(30)[0]
    result = crossed.run([day], "signals")
    assert texts(result)["signals"] == f"{day} 未运行选股：请先运行 `quant-pipeline run --date {day}`"


def test_a_file_that_cannot_be_used_fails_with_its_sentence(
    crossed: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text("# quant_pipeline", encoding="utf-8")
    (tmp_path / "signals.toml").write_text("[portfolio]\ncapital = -5", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    told = texts(crossed.run(crossed.sessions(1), "portfolio_risk"))["portfolio_risk"]
    assert "signals.toml" in told
    assert "portfolio.capital" in told
    assert "Traceback" not in told


@pytest.mark.usefixtures("routed")
def test_the_clean_up_is_a_job_of_its_own(crossed: Platform) -> None:
    crossed.execute(
        "INSERT INTO signals SELECT '2020-01-02', strategy, ts_code, direction, name, close, score, strength, priority, "
        "'2020-01-02', 'refused', conflict, policy, reason, '2020-01-02', source, now() FROM signals LIMIT 1"
    )
    result = defs.resolve_job_def("signals_cleanup").execute_in_process(instance=crossed.instance)
    assert result.success
    assert crossed.rows("SELECT count(*) FROM signals WHERE trade_date = '2020-01-02'") == [(0,)]
    assert crossed.rows("SELECT decision FROM signal_decisions WHERE decision = 'expired'") == [("expired",)]
