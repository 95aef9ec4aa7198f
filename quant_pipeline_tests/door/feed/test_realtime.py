"""GET /api/realtime over a real socket: known, unknown, not had yet, closed, off."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from quant_pipeline.door import keys
from quant_pipeline.door.keys import Scope
from quant_pipeline.market import clock
from quant_pipeline.quotes.store import Store
from quant_pipeline.quotes.upstream import UNKNOWN
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.door.feed.conftest import Door
from quant_pipeline_tests.door.served import served
from quant_pipeline_tests.quotes.quotes import quote


def get(url: str, status: int = 200, **options: Any) -> dict[str, Any]:
    answer = requests.get(f"{url}", timeout=60, **options)
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json()
    assert told["success"] is (status == 200)
    return told


@pytest.mark.parametrize("code", ["600000.SH", "600000", "sh600000"])
def test_one_code_in_any_spelling(door: Door, code: str) -> None:
    told = get(f"{door.url}/api/realtime/{code}")["data"]
    assert (told["ts_code"], told["name"], told["price"], told["pct_chg"]) == ("600000.SH", "浦发银行", 10.5, 5.0)
    assert (told["source"], told["status"], told["stale"], told["age"]) == ("tencent", "trading", False, 1.0)
    assert told["exchange_time"] == "2026-11-20T10:30:00+08:00"
    assert told["bids"] == [[10.49, 1200], [10.48, 300]]


def test_several_codes_and_what_is_not_among_them(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quant_pipeline.quotes.hub.PATIENCE", 0.01)
    told = get(f"{door.url}/api/realtime?codes=000001,600000.SH,999999,688981.SH")
    assert [each["ts_code"] for each in told["data"]["quotes"]] == ["000001.SZ", "600000.SH"]
    assert told["data"]["unknown"] == ["999999"]
    assert "正在查询" in told["data"]["without"]["688981.SH"]
    assert "999999" in told["message"]


def test_a_code_that_no_source_has_says_so(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quant_pipeline.quotes.hub.PATIENCE", 0.01)
    Store(door.database).record("here:1", source="tencent", refused={"688981.SH": f"tencent: {UNKNOWN}"})
    told = get(f"{door.url}/api/realtime/688981", 404)
    assert "没有行情 tencent" in told["error"]["why"]


def test_before_any_list_is_synced_a_code_is_taken_as_it_is_written(warehouse: Database) -> None:
    Store(warehouse).publish([quote("600000.SH"), quote("000001.SH"), quote("000001.SZ")])
    with served(Settings(), warehouse) as url:
        told = get(f"{url}/api/realtime?codes=sh600000,000001,000001.SH,nonsense")["data"]
        assert [each["ts_code"] for each in told["quotes"]] == ["600000.SH", "000001.SZ", "000001.SH"]
        assert told["unknown"] == ["nonsense"]


def test_an_unknown_code_is_named(door: Door) -> None:
    for path in ("/api/realtime/999999", "/api/realtime?codes=999999"):
        told = get(door.url + path, 404)
        assert "999999" in told["message"]
        assert told["error"]["command"].startswith("quant-pipeline sync")
    assert get(f"{door.url}/api/realtime", 400)
    assert get(f"{door.url}/api/realtime?codes=,", 400)


def test_out_of_hours_the_last_quote_is_none_too_old_and_where_there_is_none_it_says_so(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T12:00:00")
    assert get(f"{door.url}/api/realtime/000001")["data"]["stale"], "the morning's end was missed"
    told = get(f"{door.url}/api/realtime/688981", 404)
    assert "交易时段外" in told["error"]["why"]


def test_a_key_is_asked_for_once_there_is_one(door: Door) -> None:
    key = keys.add(door.database, "desk", Scope.READ, None)
    get(f"{door.url}/api/realtime/600000", 401)
    assert get(f"{door.url}/api/realtime/600000", headers={"Authorization": f"Bearer {key}"})["data"]["price"] == 10.5


def test_where_quotes_are_off_it_says_so(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_QUOTES", "false")
    with served(Settings(), warehouse) as url:
        for path in ("/api/realtime/600000", "/api/realtime?codes=600000"):
            assert "QUANT_QUOTES=true" in get(url + path, 503)["error"]["to_do"]
