"""What a call may look like, and what it is told when it cannot be answered: in HTTP 200, never by an empty frame."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl
import pytest
import requests

from quant_pipeline_tests.assets.platform import LATEST
from quant_pipeline_tests.door.tushare.conftest import STEPPED, Door

DAY = f"{LATEST:%Y%m%d}"
BEFORE = "20260105"
"""A session that was not synced."""


@pytest.mark.parametrize("path", ["/", "/daily", "/dataapi", "/dataapi/daily"])
def test_every_way_in_gives_the_same(door: Door, path: str) -> None:
    named = {} if path.endswith("daily") else {"api_name": "daily"}
    answer = door.post(path, params={"trade_date": DAY}, **named)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    told = answer.json()
    assert (told["code"], told["data"]["has_more"]) == (0, False)
    assert len(told["data"]["items"]) == told["data"]["count"] > 50


@pytest.mark.parametrize("fields", [None, "", "trade_date,close,ts_code", ["trade_date", "close", "ts_code"]])
def test_fields_in_every_form(door: Door, fields: Any) -> None:
    params = {"trade_date": DAY, "ts_code": "", "limit": None, "offset": "", "ts_type_name": "http://elsewhere"}
    data = door.post(api_name="daily", params=params, fields=fields).json()["data"]
    assert data["fields"] == (["trade_date", "close", "ts_code"] if fields else list(door.reference().daily(trade_date=DAY)))


def test_optional_fields_and_the_source_come_when_they_are_named(door: Door) -> None:
    rows = door.pro().stock_basic(fields="ts_code,fullname,list_status,source")
    assert list(rows.columns) == ["ts_code", "fullname", "list_status", "source"]
    assert set(rows["list_status"]) == {"L"}
    assert set(rows["source"]) == {"tushare"}


def test_codes_in_a_list_and_pages_that_join_to_the_whole(door: Door) -> None:
    codes = door.pro().daily(trade_date=DAY)["ts_code"].tolist()[:3]
    whole = door.pro().daily(ts_code=",".join(codes), start_date="20261001")
    assert set(whole["ts_code"]) == set(codes)
    pages = [door.pro().daily(ts_code=codes, start_date="20261001", limit=40, offset=offset) for offset in (0, 40, 80)]
    assert [tuple(row) for page in pages for row in page.to_numpy().tolist()] == [
        tuple(row) for row in whole.to_numpy().tolist()
    ][:120]
    first = door.post(api_name="daily", params={"ts_code": codes, "start_date": "20261001", "limit": 40}).json()
    assert first["data"]["has_more"] is True


def test_eight_clients_at_once_get_each_its_own_answer(door: Door) -> None:
    codes = door.pro().daily(trade_date=DAY)["ts_code"].tolist()[:40]

    def one(code: str) -> tuple[str, set[str]]:
        return code, set(door.pro().daily(ts_code=code, start_date="20261001")["ts_code"])

    with ThreadPoolExecutor(8) as clients:
        assert all(found == {code} for code, found in clients.map(one, codes))


def test_vip_names_are_the_same_tables(door: Door) -> None:
    assert door.pro().daily_vip(trade_date=DAY).equals(door.pro().daily(trade_date=DAY))


def test_an_arrow_stream_of_the_same_answer(door: Door) -> None:
    accept = {"Accept": "application/vnd.apache.arrow.stream"}
    answer = door.post(api_name="daily", params={"trade_date": DAY}, headers=accept)
    assert answer.headers["Content-Type"] == accept["Accept"]
    rows = pl.read_ipc_stream(io.BytesIO(answer.content))
    assert rows.equals(pl.from_pandas(door.pro().daily(trade_date=DAY)))
    refused = door.post(api_name="daily", params={"trade_date": "x"}, headers=accept)
    assert refused.json()["code"] == -2001


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"api_name": "income"}, "请指定正确的接口名"),
        ({"api_name": ""}, "请指定正确的接口名"),
        ({"api_name": "daily", "params": {"trade_date": "2026-13-01"}}, "参数校验失败，trade_date="),
        ({"api_name": "daily", "params": {"trade_dat": DAY}}, "没有参数 trade_dat"),
        ({"api_name": "daily", "params": {"limit": "x"}}, "limit须为整数"),
        ({"api_name": "daily", "params": {"close": "10"}}, "close"),
        ({"api_name": "daily", "fields": "ts_code,clsoe"}, "fields 中没有这些字段：clsoe"),
        ({"api_name": "index_daily"}, "ts_code必填"),
        ({"api_name": "dividend"}, "至少输入一个参数"),
        ({"api_name": "fund_basic", "params": {"market": "O"}}, "market='E'"),
        ({"api_name": "trade_cal", "params": {"exchange": "SHFE"}}, "SSE SZSE BSE"),
        ({"api_name": "index_weight", "params": {"index_code": "000688.SH"}}, "000300.SH"),
        ({"api_name": "daily", "params": ["x"]}, "不是JSON格式"),
    ],
)
def test_what_cannot_be_answered_is_told_in_http_200(door: Door, call: dict[str, Any], words: str) -> None:
    answer = door.post(**call)
    assert answer.status_code == 200
    assert answer.json()["code"] != 0
    assert words in answer.json()["msg"]
    assert answer.json()["data"] is None


def test_no_json_and_too_much_of_it_are_told(door: Door) -> None:
    broken = requests.post(f"{door.url}/daily", data=b"trade_date=20261120", timeout=60)
    assert (broken.status_code, broken.json()["code"]) == (200, -2001)
    long = requests.post(f"{door.url}/daily", data=b"{" + b" " * 1_000_001, timeout=60)
    assert "1,000,000" in long.json()["msg"]


@pytest.mark.parametrize(
    ("api", "params", "command"),
    [
        ("daily", {"trade_date": BEFORE}, "--datasets daily_kline --start 2026-01-05 --end 2026-01-05"),
        ("daily", {"start_date": BEFORE, "end_date": "20260109"}, "--start 2026-01-05 --end 2026-01-09"),
        ("suspend_d", {"trade_date": BEFORE}, "--datasets suspensions"),
        ("dividend", {"ex_date": BEFORE}, "--datasets dividends"),
        ("weekly", {"trade_date": "20260109"}, "--datasets weekly_kline --start 2026-01-09"),
        ("index_weekly", {"ts_code": "000300.SH", "trade_date": "20260109"}, "--datasets index_daily"),
        ("index_weight", {"index_code": "000300.SH", "start_date": "20260101", "end_date": "20260131"}, "index_weights"),
    ],
)
def test_what_was_not_synced_says_so_and_how_to_get_it(door: Door, api: str, params: dict[str, str], command: str) -> None:
    with pytest.raises(Exception, match="本地数据库尚未同步") as told:
        door.pro().query(api, **params)
    assert "quant-pipeline sync" in str(told.value)
    assert command in str(told.value)


def test_a_range_that_begins_before_what_is_stored_is_told_and_not_cut(door: Door) -> None:
    code = door.pro().daily(trade_date=DAY)["ts_code"][0]
    with pytest.raises(Exception, match=f"--symbols {code} --start 20"):
        door.pro().daily(ts_code=code, start_date="20250106")


def test_a_hole_in_a_history_is_told_and_not_passed_over(door: Door) -> None:
    """September is not there: averages over what is would be wrong."""
    with pytest.raises(Exception, match="--start 2026-09-01 --end 2026-09-"):
        door.pro().daily(ts_code=STEPPED)


def test_a_closed_day_a_day_to_come_and_a_range_without_sessions_are_empty_with_their_columns(door: Door) -> None:
    for params in ({"trade_date": "20261121"}, {"trade_date": "20271008"}, {"start_date": "20261121", "end_date": "20261122"}):
        rows = door.pro().daily(**params)
        assert (len(rows), list(rows.columns)) == (0, list(door.reference().daily(**params).columns))


def test_a_code_that_no_list_names_is_told(door: Door) -> None:
    with pytest.raises(Exception, match=r"没有代码 000300\.SH"):
        door.pro().daily(ts_code="000300.SH", start_date="20261001")


def test_the_pages_are_still_there_and_an_unknown_one_is_still_unknown(door: Door) -> None:
    assert requests.get(f"{door.url}/data", timeout=60).status_code == 200
    assert requests.get(f"{door.url}/daily", timeout=60).status_code == 404
