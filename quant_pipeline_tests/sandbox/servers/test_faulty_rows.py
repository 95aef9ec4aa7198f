"""What a fault does to rows, as the unmodified clients receive them."""

from __future__ import annotations

import json

import polars as pl
import pytest
import requests
from tushare.pro.client import DataApi

from quant_pipeline.sandbox.rehearsal import Rehearsal

SESSION = "20261120"


@pytest.fixture
def whole(pro: DataApi) -> pl.DataFrame:
    return pl.from_pandas(pro.daily(trade_date=SESSION))


def spoilt(sandbox: Rehearsal, pro: DataApi, kind: str, **order: object) -> pl.DataFrame:
    sandbox.order_fault(kind, api="daily", **order)
    return pl.from_pandas(pro.daily(trade_date=SESSION))


def test_nulls_in_a_share_of_the_rows(sandbox: Rehearsal, pro: DataApi, whole: pl.DataFrame) -> None:
    answer = spoilt(sandbox, pro, "nan", columns=["close", "vol"], share=0.25)
    broken = answer["close"].is_nan() | answer["close"].is_null()
    assert broken.sum() == len(whole) // 4
    assert answer.filter(~broken).equals(whole.filter(~broken))
    assert answer.filter(broken).drop("close", "vol").equals(whole.filter(broken).drop("close", "vol"))


def test_figures_of_another_unit(sandbox: Rehearsal, pro: DataApi, whole: pl.DataFrame) -> None:
    prices = ["open", "high", "low", "close", "pre_close", "change"]
    assert spoilt(sandbox, pro, "scaled", columns=prices).equals(whole.with_columns(pl.col(prices) * 100))
    answer = spoilt(sandbox, pro, "scaled", columns=["amount"], factor=1000, share=0.3)
    assert (answer["amount"] != whole["amount"]).sum() == int(len(whole) * 0.3)
    assert answer.drop("amount").equals(whole.drop("amount"))


def test_text_where_a_figure_should_be(sandbox: Rehearsal, pro: DataApi, whole: pl.DataFrame) -> None:
    sandbox.order_fault("unreadable", columns=["close"], share=0.5)
    closes = pro.daily(trade_date=SESSION)["close"].tolist()
    assert closes.count("--") == len(whole) // 2
    assert set(closes) - {"--"} <= set(whole["close"].to_list())


def test_swapped_headers_and_reordered_values(sandbox: Rehearsal, pro: DataApi, whole: pl.DataFrame) -> None:
    answer = spoilt(sandbox, pro, "swapped", columns=["open", "vol"])
    assert answer["open"].equals(whole["vol"].alias("open"))
    assert answer["vol"].equals(whole["open"].alias("vol"))
    answer = spoilt(sandbox, pro, "reordered")
    assert answer.columns == whole.columns
    assert answer["ts_code"].to_list() == whole["trade_date"].to_list()


def test_codes_as_numbers(sandbox: Rehearsal, pro: DataApi, whole: pl.DataFrame) -> None:
    answer = spoilt(sandbox, pro, "numeric_codes")
    assert answer["ts_code"].to_list() == [int(code[:6]) for code in whole["ts_code"]]


def test_codes_that_contradict_themselves(sandbox: Rehearsal, pro: DataApi, whole: pl.DataFrame) -> None:
    answer = spoilt(sandbox, pro, "contradicting", count=6)
    twice = answer.filter(pl.col("ts_code").is_duplicated())
    assert len(answer) == len(whole) + 6
    assert twice["ts_code"].n_unique() == 6
    assert twice.group_by("ts_code").agg(pl.col("close").n_unique())["close"].to_list() == [2] * 6


def ask(sandbox: Rehearsal, api: str, **params: object) -> dict[str, list[list[object]]]:
    body = {"api_name": api, "token": sandbox.token, "params": params, "fields": ""}
    answer = requests.post(f"{sandbox.tushare_url}/{api}", json=body, timeout=10)
    data: dict[str, list[list[object]]] = json.loads(answer.text)["data"]
    return data


def test_pages_without_an_end(sandbox: Rehearsal) -> None:
    sandbox.order_fault("endless", api="namechange", times=None)
    pages = [ask(sandbox, "namechange", offset=offset, limit=1_000) for offset in (0, 1_000, 980_000)]
    assert [len(page["items"]) for page in pages] == [1_000] * 3
    assert [page["has_more"] for page in pages] == [True] * 3
    assert pages[0]["items"] == pages[2]["items"]
    sandbox.clear_faults()
    sandbox.order_fault("endless", api="namechange", times=None, fresh=True)
    first, second = (ask(sandbox, "namechange", offset=offset, limit=1_000)["items"] for offset in (0, 1_000))
    assert not {row[0] for row in first} & {row[0] for row in second}
    assert len(ask(sandbox, "namechange")["items"]) == 10_000
