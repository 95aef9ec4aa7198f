"""Each fault, as the unmodified client sees it."""

from __future__ import annotations

from collections.abc import Callable
from json import JSONDecodeError

import polars as pl
import pytest
import requests
from tushare.pro.client import DataApi

from quant_pipeline.sandbox.control.faults import Fault, FaultError, Faults, Kind
from quant_pipeline.sandbox.rehearsal import Rehearsal

SESSION = "20261120"


def test_a_cut_connection(sandbox: Rehearsal, pro: DataApi) -> None:
    sandbox.order_fault("disconnect")
    with pytest.raises(requests.ConnectionError):
        pro.daily(trade_date=SESSION)
    assert len(pro.daily(trade_date=SESSION)) > 0


def test_a_hang_ends_with_the_clients_patience(sandbox: Rehearsal, connect: Callable[..., DataApi]) -> None:
    sandbox.order_fault("hang", seconds=3_600)
    with pytest.raises(requests.Timeout):
        connect(sandbox, timeout=0.2).daily(trade_date=SESSION)
    assert len(connect(sandbox).daily(trade_date=SESSION)) > 0


@pytest.mark.parametrize("status", [429, 500, 502, 504])
def test_an_http_error_looks_like_an_empty_frame_without_columns(sandbox: Rehearsal, pro: DataApi, status: int) -> None:
    sandbox.order_fault("status", status=status)
    assert pro.daily(trade_date=SESSION).shape == (0, 0)


def test_a_page_instead_of_json(sandbox: Rehearsal, pro: DataApi) -> None:
    sandbox.order_fault("html")
    with pytest.raises(JSONDecodeError):
        pro.daily(trade_date=SESSION)


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ({"kind": "quota"}, r"抱歉，您访问接口\(daily\)频率超限\(500次/分钟\)，具体频次详情：https"),
        ({"kind": "quota", "per": "hour"}, r"频率超限\(500次/小时\)"),
        ({"kind": "quota", "per": "day"}, r"频率超限\(500次/天\)"),
        ({"kind": "quota", "wording": "former"}, "每分钟最多访问该接口500次"),
        ({"kind": "quota", "wording": "former", "per": "hour"}, "每小时最多访问该接口"),
        ({"kind": "quota", "wording": "former", "per": "day"}, "每天最多访问该接口"),
        ({"kind": "permission"}, "没有接口访问权限"),
        ({"kind": "token"}, "您的token不对，请确认。"),
    ],
)
def test_refusals_speak_the_services_words(sandbox: Rehearsal, pro: DataApi, order: dict[str, str], text: str) -> None:
    sandbox.order_fault(**order)
    with pytest.raises(Exception, match=text):
        pro.daily(trade_date=SESSION)


def test_lost_empty_and_bad_rows(sandbox: Rehearsal, pro: DataApi) -> None:
    whole = pl.from_pandas(pro.daily(trade_date=SESSION))
    sandbox.order_fault("wrong_rows", share=0.25)
    assert pl.from_pandas(pro.daily(trade_date=SESSION)).equals(whole.head(round(len(whole) * 0.75)))
    sandbox.order_fault("empty")
    empty = pro.daily(trade_date=SESSION)
    assert empty.shape == (0, whole.width)
    sandbox.order_fault("bad_values")
    bad = pl.from_pandas(pro.daily(trade_date=SESSION))
    assert bad["high"][0] < bad["low"][0]
    assert bad["trade_date"].null_count() == 1
    assert bad.row(-1) == bad.row(2)
    assert bad[2 : len(whole)].equals(whole[2:])
    # a spoilt answer is not remembered
    assert pl.from_pandas(pro.daily(trade_date=SESSION)).equals(whole)
    answers = [(call["answer"], call["rows"]) for call in sandbox.calls("daily")]
    assert [answer for answer, _ in answers] == ["ok", "wrong_rows", "empty", "bad_values", "ok"]
    assert answers[2][1] == 0


def test_a_slow_answer_is_the_true_one(sandbox: Rehearsal, pro: DataApi) -> None:
    sandbox.order_fault("slow", seconds=0.05)
    assert len(pro.daily(trade_date=SESSION)) > 0
    assert sandbox.calls("daily")[0]["answer"] == "slow"


def test_orders_are_listed_and_cleared(sandbox: Rehearsal, pro: DataApi) -> None:
    sandbox.order_fault("empty", times=None)
    sandbox.clear_faults()
    assert len(pro.daily(trade_date=SESSION)) > 0
    with pytest.raises(ValueError, match="earthquake"):
        sandbox.order_fault("earthquake")
    with pytest.raises(ValueError, match="apis"):
        sandbox.order_fault("empty", apis="daily")


def fired(fault: Fault, calls: int, api: str = "daily") -> list[int]:
    faults = Faults()
    faults.order(fault)
    return [number for number in range(1, calls + 1) if faults.take("tushare", api) is not None]


def test_when_orders_fire() -> None:
    assert fired(Fault(Kind.EMPTY), 5) == [1]
    assert fired(Fault(Kind.EMPTY, times=2, after=1), 5) == [2, 3]
    assert fired(Fault.ordered({"kind": "empty", "every": 3}), 10) == [3, 6, 9]
    assert fired(Fault.ordered({"kind": "empty", "every": 3, "times": 2, "after": 1}), 12) == [4, 7]
    assert fired(Fault(Kind.EMPTY, api="weekly"), 3) == []
    assert fired(Fault(Kind.EMPTY, server="pushplus"), 3) == []


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ({"times": 1}, "kind"),
        ({"kind": "empty", "times": "many"}, "times"),
        ({"kind": "empty", "every": 0}, "every"),
        ({"kind": "wrong_rows", "share": 2}, "share"),
        ({"kind": "nan"}, "needs columns"),
        ({"kind": "swapped", "columns": ["open"]}, "at least 2"),
        ({"kind": "holiday_open", "day": "yesterday"}, "day"),
        ({"kind": "empty", "server": "nobody"}, "server"),
        (["empty"], "JSON object"),
    ],
)
def test_what_is_wrong_with_an_order_is_said(order: object, why: str) -> None:
    with pytest.raises(FaultError, match=why):
        Fault.ordered(order)


def test_the_oldest_order_that_fires_wins() -> None:
    faults = Faults()
    faults.order(Fault(Kind.EMPTY))
    faults.order(Fault(Kind.STATUS, api="daily"))
    taken = [faults.take("tushare", "daily") for _ in range(3)]
    assert [fault and fault.kind for fault in taken] == [Kind.EMPTY, Kind.STATUS, None]
    assert [order["fired"] for order in faults.listing()] == [1, 1]
