"""The lake in Dagster, and as a command."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from quant_pipeline.cli import main
from quant_pipeline.definitions import defs
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.warehouse.lake import snapshot
from quant_pipeline.warehouse.upsert import upsert
from quant_pipeline_tests.assets.platform import LATEST, Platform
from quant_pipeline_tests.warehouse.bars import daily_bars

WATCHED = dg.AssetSelection.assets("lake", "daily_kline", "adj_factor", "ths_hot")


def test_the_asset_writes_what_changed_and_says_where(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_HOME", str(tmp_path))
    with platform.database.connect() as connection:
        upsert(connection, DAILY_KLINE, daily_bars(3, 5), source="tushare")
    assert platform.alone([], "lake").success
    told = _last(platform)
    assert told["path 路径"].value == str(tmp_path / "lake" / "sandbox")
    assert (tmp_path / "lake" / "sandbox" / "daily_kline" / "year=2015" / "data.parquet").is_file()
    assert platform.alone([], "lake").success
    assert _last(platform)["files_written 写入文件数"].value == 0


def _last(platform: Platform) -> dict[str, dg.MetadataValue]:
    (record,) = platform.instance.fetch_materializations(dg.AssetKey("lake"), limit=1).records
    assert record.asset_materialization is not None
    return dict(record.asset_materialization.metadata)


def test_the_commands(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_HOME", str(tmp_path))
    monkeypatch.setenv("QUANT_DATABASE_URL", platform.database.url)
    with platform.database.connect() as connection:
        upsert(connection, DAILY_KLINE, daily_bars(3, 5), source="tushare")
    folder = json.loads(CliRunner().invoke(main, ["lake", "path", "--json"]).stdout)["path"]
    assert CliRunner().invoke(main, ["lake", "path"]).stdout.strip() == folder == str(tmp_path / "lake" / "sandbox")
    facts = json.loads(CliRunner().invoke(main, ["lake", "sync", "--json"]).stdout)
    assert {"dataset": "daily_kline", "year": 2015, "rows": 15} in [
        {name: file[name] for name in ("dataset", "year", "rows")} for file in facts["written"]
    ]
    assert f"The lake is current: {folder}" in CliRunner().invoke(main, ["lake", "sync"]).stdout.replace("\n", "")
    with snapshot(platform.database, Path(folder)) as stored:
        assert stored.read(DAILY_KLINE).height == 15


def test_it_follows_the_day_s_bars_by_itself_and_no_hot_list() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        asked = dg.evaluate_automation_conditions(defs, instance, asset_selection=WATCHED)
        for asset, wanted in (("ths_hot", 0), ("daily_kline", 1)):
            instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=f"{LATEST}"))
            asked = dg.evaluate_automation_conditions(defs, instance, asset_selection=WATCHED, cursor=asked.cursor)
            assert asked.get_num_requested(dg.AssetKey("lake")) == wanted, asset
        asked = dg.evaluate_automation_conditions(defs, instance, asset_selection=WATCHED, cursor=asked.cursor)
        assert asked.get_num_requested(dg.AssetKey("lake")) == 0
