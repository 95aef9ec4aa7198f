"""同花顺's official interface: envelope, codes, key, faults; over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from quant_pipeline.sandbox.control.faults import Fault
from quant_pipeline.sandbox.control.quotas import Per
from quant_pipeline_tests.sandbox.servers.ths_market import ThsRehearsal, running

BOARDS = "/api/a-share-index/catalog/ths-index-list"
MEMBERS = "/api/a-share-index/constituents/ths-stock-list"
HOT = "/api/a-share/special-data/hot-stock-list"


@pytest.fixture
def server() -> Iterator[ThsRehearsal]:
    with running() as rehearsal:
        yield rehearsal


def get(server: ThsRehearsal, path: str, key: str = "sandbox-key", **params: str) -> dict[str, Any]:
    answer = requests.get(server.url + path, params=params, headers={"X-api-key": key}, timeout=10)
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    assert set(body) == {"code", "message", "request_id", "data"}
    return body


def test_boards_members_and_hot_lists_come_in_the_envelope(server: ThsRehearsal) -> None:
    boards = get(server, BOARDS, tag="cn_concept")
    assert boards["code"] == 0
    assert [each["thscode"] for each in boards["data"]["list"]] == ["885001.TI", "885002.TI"]
    assert [each["name"] for each in get(server, BOARDS, tag="industry")["data"]["list"]] == ["银行"]
    members = get(server, MEMBERS, thscode="885001.TI")["data"]["list"]
    assert members == [{"thscode": "000001.SZ", "name": "平安银行"}, {"thscode": "600000.SH", "name": "浦发银行"}]
    assert [(call.server, call.api, call.answer, call.rows) for call in server.calls.calls] == [
        ("ths", "ths-index-list", "ok", 2),
        ("ths", "ths-index-list", "ok", 1),
        ("ths", "ths-stock-list", "ok", 2),
    ]


def test_the_hot_list_is_the_latest_of_the_day(server: ThsRehearsal) -> None:
    rows = get(server, HOT + "-history", date="2026-11-20")["data"]["list"]
    assert [(row["order"], row["thscode"], row["update_time"][11:16]) for row in rows] == [
        (1, "600000.SH", "14:30"),
        (2, "000001.SZ", "14:30"),
    ]


def test_today_is_the_clock_s(server: ThsRehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-19T23:00")
    assert [row["rate"] for row in get(server, HOT, period="hour")["data"]["list"]] == [100.0]


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        (BOARDS, {"tag": "nonsense"}, 1001),
        (MEMBERS, {"thscode": "600000.SH"}, 1001),
        (HOT, {}, 1001),
        (MEMBERS, {"thscode": "885999.TI"}, 3001),
    ],
)
def test_refusals_come_with_http_200_and_a_code(server: ThsRehearsal, path: str, params: dict[str, str], code: int) -> None:
    body = get(server, path, **params)
    assert body["code"] == code
    assert body["message"]
    assert body["data"] is None


def test_a_foreign_key_is_refused_and_not_logged(server: ThsRehearsal) -> None:
    assert get(server, BOARDS, key="an-own-key", tag="industry")["code"] == 2001
    assert "an-own-key" not in str(server.calls.listing())


def test_quotas_and_faults_can_be_ordered(server: ThsRehearsal) -> None:
    server.quotas.set("ths-index-list", Per.MINUTE, 1)
    assert [get(server, BOARDS, tag="industry")["code"] for _ in range(2)] == [0, 4001]
    server.faults.order(Fault.ordered({"kind": "permission", "server": "ths", "api": "ths-stock-list"}))
    server.faults.order(Fault.ordered({"kind": "wrong_rows", "server": "ths", "api": "ths-stock-list", "share": 0.5}))
    server.faults.order(Fault.ordered({"kind": "status", "server": "ths", "status": 502, "after": 2}))
    assert get(server, MEMBERS, thscode="885001.TI")["code"] == 2003
    assert len(get(server, MEMBERS, thscode="885001.TI")["data"]["list"]) == 1
    assert requests.get(server.url + MEMBERS, headers={"X-api-key": "sandbox"}, timeout=10).status_code == 502
