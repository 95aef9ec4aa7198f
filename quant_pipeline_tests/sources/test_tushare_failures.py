"""What Tushare's failures mean: texts (the client drops the codes), types, and what the server itself does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import polars as pl
import pytest
import requests

from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sources.base import Tally
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sources.units import Unit

FREE = {"tushare": {"*": RatePolicy(per_minute=None, per_second=None, retries=0)}}
SESSION = dt.date(2026, 11, 20)


@pytest.fixture(scope="module")
def exchange() -> Exchange:
    return Exchange(codes=60, first_year=2026)


@pytest.fixture
def sandbox(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")
    with running(exchange, quotas={"*": None}) as rehearsal:
        yield rehearsal


TEXTS = [
    ("抱歉，您每分钟最多访问该接口400次，权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。", "rate_limited"),
    ("抱歉，您每小时最多访问该接口20次，权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。", "rate_limited"),
    ("抱歉，您每天最多访问该接口5次，权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。", "rate_limited"),
    ("没有接口访问权限", "permanent_api"),
    ("抱歉，您没有接口访问权限，权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。", "permanent_api"),
    ("抱歉，您没有接口(daily)访问权限", "permanent_api"),
    ("没有访问该接口的权限", "permanent_api"),
    ("没有权限访问该接口", "permanent_api"),
    ("积分不足", "permanent_api"),
    ("您的token不对，请确认。", "permanent_source"),
    ("api init error.", "permanent_source"),
    ("IP数量超限，最大数量为2个", "permanent_source"),
    ("请指定正确的接口名", "permanent_api"),
    ("系统内部错误", "retryable"),
]


@pytest.mark.parametrize(("text", "failure"), TEXTS)
def test_texts_have_their_class(limiter: Limiter, text: str, failure: str) -> None:
    source = TushareSource("secret-token", None, limiter, FREE)
    error = source.classify("daily", Exception(f"{text} secret-token"))
    assert error.failure == failure
    assert text in str(error)
    assert "secret-token" not in str(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.exceptions.JSONDecodeError("Expecting value", "<html>", 0), "not JSON"),
        (requests.exceptions.ReadTimeout(), "in time"),
        (requests.exceptions.ConnectionError(), "connection"),
        (requests.exceptions.ProxyError(), "connection"),
        (KeyError("data"), "form"),
        (pl.exceptions.ColumnNotFoundError("pct_chg"), "form"),
        (TypeError("'NoneType' object is not subscriptable"), "form"),
    ],
)
def test_faults_of_the_net_and_of_gateways_are_tried_again(limiter: Limiter, error: Exception, words: str) -> None:
    classified = TushareSource("t", None, limiter, FREE).classify("daily", error)
    assert classified.failure is FailureClass.RETRYABLE
    assert words in classified.text


@pytest.mark.parametrize(
    ("now", "text", "wait"),
    [
        ("2026-11-20T18:00:45", "每分钟最多访问该接口400次", 15),
        ("2026-11-20T18:00:00", "每分钟最多访问该接口400次", 60),
        ("2026-11-20T18:20:00", "每小时最多访问该接口20次", 40 * 60),
        ("2026-11-20T18:00:00", "每天最多访问该接口5次", 6 * 3600),
    ],
)
def test_quotas_say_how_long_to_wait(
    limiter: Limiter, monkeypatch: pytest.MonkeyPatch, now: str, text: str, wait: float
) -> None:
    monkeypatch.setenv("QUANT_NOW", now)
    error = TushareSource("t", None, limiter, FREE).classify("daily", Exception(text))
    assert error.wait == wait
    assert error.per_minute == (400 if "分钟" in text else None)


@pytest.mark.parametrize(
    ("order", "failure", "words"),
    [
        *(({"kind": "status", "status": code}, FailureClass.RETRYABLE, "HTTP error") for code in (404, 429, 500, 502)),
        ({"kind": "html"}, FailureClass.RETRYABLE, "not JSON"),
        ({"kind": "disconnect"}, FailureClass.RETRYABLE, "connection"),
        ({"kind": "hang", "seconds": 2}, FailureClass.RETRYABLE, "in time"),
        ({"kind": "quota"}, FailureClass.RATE_LIMITED, "每分钟最多访问"),
        ({"kind": "quota", "per": "hour"}, FailureClass.RATE_LIMITED, "每小时最多访问"),
        ({"kind": "quota", "per": "day"}, FailureClass.RATE_LIMITED, "每天最多访问"),
        ({"kind": "permission"}, FailureClass.PERMANENT_API, "没有接口访问权限"),
        ({"kind": "token"}, FailureClass.PERMANENT_SOURCE, "token不对"),
    ],
)
def test_what_the_server_does_has_its_class(
    limiter: Limiter, sandbox: Rehearsal, order: dict[str, object], failure: FailureClass, words: str
) -> None:
    quick = FREE["tushare"]["*"].model_copy(update={"timeout": 0.5})
    source = TushareSource(sandbox.token, sandbox.tushare_url, limiter, {"tushare": {"*": quick}})
    sandbox.order_fault(api="daily", **order)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match=words) as failed:
        source.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    assert failed.value.failure is failure
    assert failed.value.api == "daily"
