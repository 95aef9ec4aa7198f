"""Calls without a beginning ask for all that there ever was: over a database that holds ten sessions of one code of three."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from quant_pipeline.market.xshg import xshg
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.door.served import served

HELD, OTHER, NEW = "600000.SH", "000004.SZ", "301999.SZ"
SESSIONS = xshg().window(dt.date(2026, 11, 20), 10)
SINCE = SESSIONS[0]
BARS = ("daily_kline", "adj_factor", "daily_basic", "price_limits")
_LISTED = "INSERT INTO stock_list (ts_code, symbol, name, list_status, list_date, source) VALUES (%s, %s, %s, 'L', %s, 'test')"
_SYNCED = """
WITH run AS (
    INSERT INTO sync_runs (id, trigger, status, process, presence) VALUES ('r', 'test', 'success', 'p', 1) RETURNING id
)
INSERT INTO sync_items (sync_run, dataset, unit, trade_date, status)
SELECT id, dataset, day::text, day, 'success'
FROM run, unnest(ARRAY['suspensions', 'dividends']) AS dataset, unnest(%s::date[]) AS day
"""


@pytest.fixture
def door(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")
    with warehouse.connect() as connection:
        for code, listed in ((HELD, "1999-11-10"), (OTHER, "1991-01-14"), (NEW, "2026-11-23")):
            connection.execute(_LISTED, (code, code[:6], code, listed))
        for table in BARS:
            values = {"open": 10, "high": 10, "low": 10, "close": 10, "vol": 1, "adj_factor": 1}
            required = connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_nullable = 'NO' "
                "AND column_default IS NULL AND column_name NOT IN ('ts_code', 'trade_date', 'source')",
                (table,),
            ).fetchall()
            names = [name for (name,) in required]
            insert = f"INSERT INTO {table} ({', '.join(['ts_code', 'trade_date', 'source', *names])}) "
            for day in SESSIONS:
                row = (HELD, day, "test", *(values.get(name, 1) for name in names))
                connection.execute(insert + f"VALUES ({', '.join(['%s'] * len(row))})", row)  # type: ignore[arg-type]
        connection.execute(_SYNCED, (list(SESSIONS),))
    with served(Settings(), warehouse) as url:
        yield url


def told(door: str, api: str, **params: Any) -> dict[str, Any]:
    answer = requests.post(door, json={"api_name": api, "token": "any", "params": params, "fields": ""}, timeout=60)
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("api", "params", "command"),
    [
        ("daily", {"ts_code": OTHER}, f"daily_kline --symbols {OTHER} --start 1991-01-14 --end 2026-11-19"),
        ("daily", {"ts_code": f"{HELD},{OTHER}"}, f"daily_kline --symbols {OTHER} --start 1991-01-14"),
        (
            "daily",
            {"ts_code": HELD, "end_date": "20261010"},
            f"--symbols {HELD} --start 1999-11-10 --end 2026-10-09",
        ),
        ("daily", {"end_date": "20201101"}, "daily_kline --start 1990-12-19 --end 2020-10-30"),
        ("daily", {"ts_code": OTHER, "offset": "10"}, f"--symbols {OTHER}"),
        ("adj_factor", {"ts_code": OTHER}, f"adj_factor --symbols {OTHER}"),
        ("daily_basic", {"ts_code": OTHER}, f"daily_basic --symbols {OTHER}"),
        ("stk_limit", {"ts_code": OTHER}, f"price_limits --symbols {OTHER}"),
        ("stk_auction_o", {"ts_code": OTHER}, f"auction --symbols {OTHER}"),
        ("weekly", {"ts_code": OTHER}, f"weekly_kline --symbols {OTHER}"),
        ("suspend_d", {"ts_code": OTHER, "end_date": "20200101"}, f"suspensions --symbols {OTHER} --start 1991-01-14"),
        ("suspend_d", {"end_date": "20200101"}, "suspensions --start 1990-12-19 --end 2019-12-31"),
        ("dividend", {"ann_date": "20200601"}, "dividends --start 2020-06-01"),
        ("dividend", {"record_date": "20200601"}, "dividends --start 2020-05-18"),
        ("dividend", {"ts_code": OTHER, "record_date": "20200601"}, f"dividends --symbols {OTHER}"),
        ("ths_hot", {"end_date": "20200101"}, "ths_hot"),
    ],
)
def test_what_was_never_synced_is_refused_with_its_command(door: str, api: str, params: dict[str, str], command: str) -> None:
    answer = told(door, api, **params)
    assert (answer["code"], answer["data"]) == (2002, None)
    assert "本地数据库尚未同步" in answer["msg"]
    assert f"quant-pipeline sync --datasets {command}" in answer["msg"] or command in answer["msg"]


@pytest.mark.parametrize(
    ("api", "params", "count", "more"),
    [
        ("daily", {"ts_code": HELD}, 10, f"daily_kline --symbols {HELD} --start 1999-11-10 --end 2026-11-06"),
        ("daily", {}, 10, "daily_kline --start 1990-12-19 --end 2026-11-06"),
        ("adj_factor", {"ts_code": HELD}, 10, f"adj_factor --symbols {HELD} --start 1999-11-10"),
        ("suspend_d", {"ts_code": OTHER}, 0, f"suspensions --symbols {OTHER} --start 1991-01-14 --end 2026-11-06"),
        ("dividend", {"ts_code": OTHER}, 0, f"dividends --symbols {OTHER} --start 1991-01-14 --end 2026-11-06"),
    ],
)
def test_what_is_stored_is_given_with_a_note_since_when_it_is(
    door: str, api: str, params: dict[str, str], count: int, more: str
) -> None:
    answer = told(door, api, **params)
    assert answer["code"] == 0, answer["msg"]
    assert answer["data"]["count"] == count
    assert f"{SINCE:%Y%m%d} 起" in answer["msg"]
    assert f"quant-pipeline sync --datasets {more}" in answer["msg"]


@pytest.mark.parametrize(
    ("api", "params", "count"),
    [
        ("daily", {"ts_code": HELD, "limit": "3"}, 3),
        ("daily", {"ts_code": NEW}, 0),
        ("suspend_d", {"ts_code": OTHER, "start_date": f"{SINCE:%Y%m%d}"}, 0),
    ],
)
def test_where_nothing_lacks_there_is_no_note(door: str, api: str, params: dict[str, str], count: int) -> None:
    answer = told(door, api, **params)
    assert (answer["code"], answer["msg"]) == (0, "")
    assert answer["data"]["count"] == count


@pytest.mark.parametrize("code", ["a\0b", ","])
def test_a_code_that_can_be_none_is_refused_as_a_parameter(door: str, code: str) -> None:
    answer = told(door, "daily", ts_code=code)
    assert (answer["code"], answer["data"]) == (-2001, None)
    assert "ts_code" in answer["msg"]


def test_what_is_nested_too_deep_is_refused_and_nothing_is_logged(door: str, caplog: pytest.LogCaptureFixture) -> None:
    deep = b'{"api_name": "daily", "token": "x", "params": {"ts_code": ' + b"[" * 900 + b"]" * 900 + b"}}"
    assert requests.post(door, data=deep, timeout=60).json()["code"] == -2001
    assert requests.post(f"{door}/callbacks/pushplus/x", data=b"[" * 60000, timeout=60).status_code == 400
    assert not [record for record in caplog.records if record.exc_info]


def test_pages_end_with_an_empty_one(door: str) -> None:
    assert told(door, "daily", ts_code=HELD, limit="10", offset="10")["data"]["count"] == 0


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"ts_code": "600000"}, "600000.SH"),
        ({"list_status": "X"}, "D,L,P"),
        ({"list_status": "L,X"}, "D,L,P"),
        ({"exchange": "NYSE"}, "BSE,SSE,SZSE"),
    ],
)
def test_a_value_that_no_row_can_have_is_refused_in_words(door: str, params: dict[str, str], words: str) -> None:
    answer = told(door, "stock_basic", **params)
    assert answer["code"] == -2001
    assert words in answer["msg"]
    assert told(door, "stock_basic", ts_code=HELD, list_status="L,D")["data"]["items"][0][0] == HELD


# --- REST judges the same question alike ---------------------------------------------------------------------------------


def daily(door: str, code: str, **params: str) -> requests.Response:
    return requests.get(f"{door}/api/stocks/{code}/daily", params=params, timeout=60)


@pytest.mark.parametrize(
    ("code", "params", "command"),
    [
        (HELD, {"start_date": "2026-11-02"}, f"daily_kline --symbols {HELD} --start 2026-11-02"),
        (OTHER, {}, f"daily_kline --symbols {OTHER} --start 1991-01-14"),
        (HELD, {"end_date": "2026-10-10"}, f"--symbols {HELD} --start 1999-11-10 --end 2026-10-09"),
    ],
)
def test_rest_names_what_is_not_stored(door: str, code: str, params: dict[str, str], command: str) -> None:
    answer = daily(door, code, **params)
    assert answer.status_code == 404
    assert command in answer.json()["error"]["command"]


def test_rest_says_since_when_there_are_bars_and_nothing_of_what_is_whole(door: str) -> None:
    everything = daily(door, HELD).json()
    assert f"{SINCE:%Y%m%d}" in everything["message"]
    assert len(everything["data"]["bars"]) == len(SESSIONS)
    assert daily(door, HELD, start_date=str(SINCE)).json()["message"] == ""


def test_rest_adjusts_nothing_where_factors_lack(door: str, warehouse: Database) -> None:
    assert daily(door, HELD, adjust="qfq").status_code == 200
    with warehouse.connect() as connection:
        connection.execute("DELETE FROM adj_factor WHERE trade_date = %s", (SESSIONS[3],))
    answer = daily(door, HELD, adjust="qfq")
    assert answer.status_code == 404
    assert f"adj_factor --symbols {HELD} --start {SESSIONS[3]} --end {SESSIONS[3]}" in answer.json()["error"]["command"]
    assert daily(door, HELD, adjust="qfq", start_date=str(SESSIONS[4])).status_code == 200
    assert daily(door, HELD).status_code == 200
