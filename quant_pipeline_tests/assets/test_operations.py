"""The reports in the UI: unpartitioned assets that write no rows and tell everything in their metadata."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from typing import Any

import dagster as dg
import pytest

from quant_pipeline.alerts.rules import RULES
from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.operations import REPORTS
from quant_pipeline.market.datasets import DAILY_KLINE, DATASETS, SOURCED, WEEKLY_KLINE
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sources import controls
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.ledger import Ledger, item_of, record
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.assets.platform import plain
from quant_pipeline_tests.sync.stored import LATEST, NOW, bars, store

NAMES = ["sync_status", "sync_history", "source_health", "data_stats", "alerts"]


@pytest.fixture(autouse=True)
def _installed(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_DATABASE_URL", warehouse.url)
    monkeypatch.setenv("QUANT_NOW", NOW)


def told() -> dict[str, dict[str, Any]]:
    """Report -> its metadata, as it is logged."""
    warehouse = WarehouseResource()
    resources = {"warehouse": warehouse, "notifier": NotifierResource(warehouse=warehouse)}
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(REPORTS, instance=instance, resources=resources)
        assert result.success
        return {name: plain(result.asset_materializations_for_node(name)[0].metadata) for name in NAMES}


def records(table: Any) -> list[dict[str, Any]]:
    return [record.data for record in table.records]


def test_a_new_platform_has_reports_too() -> None:
    metadata = told()
    assert all("SANDBOX" in metadata[name]["origin"] for name in NAMES)
    assert metadata["sync_status"]["stale"] == len(SOURCED)
    assert (metadata["sync_history"]["syncs"], metadata["data_stats"]["rows"]) == (0, 0)
    assert (metadata["alerts"]["open_alerts"], metadata["alerts"]["messages_waiting"]) == (0, 0)
    assert len(records(metadata["alerts"]["rules"])) == len(RULES)


def test_they_tell_what_the_commands_tell(warehouse: Database) -> None:
    presence = Presence(warehouse.connect())
    ledger = Ledger(warehouse, presence)
    ledger.begin("run-1", "daily_sync", {})
    ledger.plan("run-1", planned=4, skipped=0)
    days = [dt.date(2026, 11, 18), LATEST]
    with warehouse.connect() as connection:
        record(connection, "run-1", DAILY_KLINE, [item_of(Unit.session(day), source="tushare", rows=1) for day in days])
    store(warehouse, DAILY_KLINE, bars(["600000.SH"], days))
    store(warehouse, DAILY_KLINE, bars(["920001.BJ"], days), source="akshare")
    controls.set_priority(warehouse, controls.SourceApi("baostock"), 0)
    metadata = told()
    presence.close()

    status = metadata["sync_status"]
    assert (status["latest_session"], status["running"]) == ("2026-11-20", "daily_sync: 2 of 4 units, 50%")
    assert (status["missing"], status["failed"]) == (1, 0)
    (row,) = (row for row in records(status["data_sets"]) if row["数据集 data set"] == "daily_kline 日线行情")
    assert (row["最新 last"], row["状态 state"]) == ("11\u201120", "缺 1 → sync")
    (row,) = (row for row in records(status["contents"]) if row["数据集 data set"] == "daily_kline 日线行情")
    assert (row["自 from"], row["来源 source"]) == ("11\u201118", "akshare, tushare")
    (run,) = records(metadata["sync_history"]["last_syncs"])
    assert (run["运行 run"], run["来自 by"], run["结果"]) == ("run-1", "daily_sync", "进行中")
    assert [event["变动"] for event in records(metadata["source_health"]["events"])] == ["设置优先级"]
    assert metadata["source_health"]["troubles"] == "none 无"
    stats = metadata["data_stats"]
    assert {key: value for key, value in stats.items() if key.startswith("rows_")} == dict.fromkeys(
        (f"rows_{name}" for name in DATASETS), 0
    ) | {"rows_daily_kline": 4}
    assert stats["rows"] == 4


def test_a_report_s_tables_fit_their_pane_and_its_keys_have_chinese_names(warehouse: Database) -> None:
    """An asset's Overview has room for some fifty signs at 1,440 pixels; what cannot be broken must fit beside each other."""
    store(warehouse, WEEKLY_KLINE, bars(["600000.SH"], [LATEST]), source="derived")
    with warehouse.connect() as connection:
        named = ("baostock", "query_daily_history_k_AStock")
        move = "INSERT INTO source_events (source, api, kind, reason) VALUES (%s, %s, 'demoted', 'put behind the next source')"
        connection.execute(move, named)
        columns = "source, api, finished_at, outcome, process, presence"
        connection.execute(f"INSERT INTO source_calls ({columns}) VALUES (%s, %s, now(), 'ok', '', 0)", named)
    with dg.DagsterInstance.ephemeral() as instance:
        resources = {"warehouse": WarehouseResource(), "notifier": NotifierResource(warehouse=WarehouseResource())}
        result = dg.materialize(REPORTS, instance=instance, resources=resources)
    for name in NAMES:
        (event,) = result.asset_materializations_for_node(name)
        for key, value in event.metadata.items():
            assert key.startswith("rows_") or re.search(r"[\u4e00-\u9fff]", key), key
            if isinstance(value, dg.TableMetadataValue):
                columns = [column.name for column in value.schema.columns]
                cells = {name: [str(record.data[name]) for record in value.records] for name in columns}
                room = sum(max(width(name), *map(unbroken, cells[name]), 0) + 2 for name in columns)
                assert room <= 52, (key, room)


def unbroken(cell: str) -> int:
    """The widest piece of the cell that stays on one line: it breaks at blanks, and between Chinese characters."""
    return max((width(piece) for piece in re.split(r"[ \u200b]|(?=[\u4e00-\u9fff])", cell)), default=0)


def width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


@pytest.mark.parametrize("report", REPORTS, ids=NAMES)
def test_a_report_has_no_partitions_and_tells_of_its_failure(report: dg.AssetsDefinition) -> None:
    assert report.partitions_def is None
    assert set(report.group_names_by_key.values()) == {"operations"}
    assert tell_failure in report.hook_defs
