"""The protocol, through the unmodified client over real sockets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
import requests
from tushare.pro.client import DataApi

from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.servers.tushare_apis import APIS
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

Connect = Callable[..., DataApi]
SESSION = "20261120"
ONE_API = {"daily": 3, "*": 500}


def test_a_session_arrives_whole(pro: DataApi, market: SimulatedMarket) -> None:
    served = pro.daily(trade_date=SESSION)
    assert list(served.columns) == list(APIS["daily"].columns)
    expected = market.frame("daily", {"trade_date": SESSION}, 10_000)
    assert pl.from_pandas(served).equals(expected.select(served.columns))


@pytest.mark.parametrize("api", APIS)
def test_every_api_answers_the_client_with_its_default_columns(pro: DataApi, api: str) -> None:
    required = {
        "ths_member": {"ts_code": "883957.TI"},
        "index_daily": {"ts_code": "000300.SH"},
        "dividend": {"ts_code": "600000.SH"},
        "index_weight": {"index_code": "399300.SZ"},
    }.get(api, {})
    assert list(pro.query(api, **required).columns) == list(APIS[api].columns)


def test_fields_choose_columns_and_unknown_ones_are_ignored(pro: DataApi) -> None:
    chosen = pro.stock_basic(fields="delist_date,nonsense,ts_code", list_status="D")
    assert list(chosen.columns) == ["delist_date", "ts_code"]
    assert len(pro.daily(trade_date="20261121").columns) == len(APIS["daily"].columns)


def test_pages_join_to_the_whole_and_the_cap_cuts(pro: DataApi, sandbox: Rehearsal) -> None:
    whole = pro.daily(start_date="20261001")
    assert len(whole) == APIS["daily"].cap == 6_000
    pages = [pro.daily(start_date="20261001", offset=offset, limit=2_500) for offset in (0, 2_500, 5_000, 7_500)]
    joined = pl.concat([pl.from_pandas(page) for page in pages])
    assert [len(page) for page in pages[:3]] == [2_500] * 3
    assert joined.head(6_000).equals(pl.from_pandas(whole))
    assert joined["trade_date"].is_sorted(descending=True)
    assert joined.n_unique(["ts_code", "trade_date"]) == len(joined)
    assert joined["trade_date"].min() == "20261008"
    assert len(pages[-1]) < 2_500
    assert sandbox.calls("daily")[0]["rows"] == 6_000
    assert len(pro.daily(start_date="20261001", limit=9_000)) == 6_000


def test_a_session_is_served_once_the_clock_reaches_it(sandbox: Rehearsal, pro: DataApi) -> None:
    def at(time: str) -> int:
        sandbox.set_clock(f"2026-11-20T{time}")
        return len(pro.daily(trade_date=SESSION))

    assert at("15:59") == 0
    assert at("16:00") > 250


def test_the_wire_says_utf8_and_whether_there_is_more(sandbox: Rehearsal) -> None:
    body = {"api_name": "daily", "token": sandbox.token, "params": {"trade_date": SESSION, "limit": 5}, "fields": ""}
    for url in (f"{sandbox.tushare_url}/daily", sandbox.tushare_url):
        answer = requests.post(url, json=body, timeout=10)
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        assert answer.json()["data"]["has_more"] is True
    body["params"] = {"trade_date": SESSION}
    assert requests.post(f"{sandbox.tushare_url}/daily", json=body, timeout=10).json()["data"]["has_more"] is False


def test_wrong_token_api_and_parameters(sandbox: Rehearsal, connect: Connect, pro: DataApi) -> None:
    with pytest.raises(Exception, match=r"^您的token不对，请确认。$"):
        connect(sandbox, token="an-own-token").daily(trade_date=SESSION)
    with pytest.raises(Exception, match="请指定正确的接口名"):
        pro.nonsense()
    with pytest.raises(Exception, match="YYYYMMDD"):
        pro.daily(trade_date="yesterday")
    with pytest.raises(Exception, match="offset"):
        pro.daily(trade_date=SESSION, offset="many")
    assert [call["answer"] for call in sandbox.calls()] == ["token", "unknown_api", "parameters", "parameters"]
    assert "an-own-token" not in str(sandbox.calls())


def test_a_quota_refuses_with_the_real_text_and_counts_per_api(exchange: Exchange, connect: Connect) -> None:
    with running(exchange, quotas=ONE_API) as sandbox:
        pro = connect(sandbox)
        for _ in range(3):
            pro.daily(trade_date=SESSION)
        with pytest.raises(Exception, match=r"^抱歉，您访问接口\(daily\)频率超限\(3次/分钟\)，具体频次详情：https"):
            pro.daily(trade_date=SESSION)
        assert len(pro.adj_factor(trade_date=SESSION)) > 0
        assert len(connect(sandbox, token="sandbox-other").daily(trade_date=SESSION)) > 0
        assert sandbox.stats()["tushare.daily"]["answers"] == {"ok": 4, "quota": 1}
        sandbox.set_quota("daily", None)
        assert len(pro.daily(trade_date=SESSION)) > 0
        sandbox.set_quota("daily", 2, per="hour")
        with pytest.raises(Exception, match=r"频率超限\(2次/小时\)"):
            pro.daily(trade_date=SESSION)
        with pytest.raises(ValueError, match="per: "):
            sandbox.set_quota("daily", 2, per="century")


def test_parallel_calls_never_pass_the_quota(exchange: Exchange, connect: Connect) -> None:
    with running(exchange, quotas={"*": 10}, minute=30.0) as sandbox, ThreadPoolExecutor(8) as threads:
        pro = connect(sandbox)

        def call(_: int) -> str:
            try:
                return f"{len(pro.trade_cal(start_date='20261101', end_date='20261130'))} rows"
            except Exception as refusal:
                return str(refusal)[:28]

        answers = Counter(threads.map(call, range(40)))
        assert answers == {"30 rows": 10, "抱歉，您访问接口(trade_cal)频率超限(10次/": 30}
        figures = sandbox.stats()["tushare.trade_cal"]
        assert figures["busiest_window"] == 10
        assert figures["calls"] == 40
