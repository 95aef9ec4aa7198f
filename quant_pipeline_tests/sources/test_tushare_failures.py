"""What Tushare's failures mean: texts (the client drops the codes), types, and what the server itself does."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import polars as pl
import pytest
import requests

from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sources.base import Tally
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sources.units import Unit
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sources.loopback import send_json, serving, tushare_refusal

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


DETAILS = "具体频次详情：https://tushare.pro/document/1?doc_id=108，如需提升权限请联系管理员"
"""How today's texts go on: the word for missing rights stands in them."""
TEXTS = [
    ("抱歉，您每分钟最多访问该接口400次，权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。", "rate_limited"),
    ("抱歉，您每小时最多访问该接口20次，权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。", "rate_limited"),
    ("抱歉，您每天最多访问该接口5次，权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。", "rate_limited"),
    (f"抱歉，您访问接口(daily)频率超限(8次/分钟)，{DETAILS}", "rate_limited"),
    (f"抱歉，您访问接口(stk_auction_o)频率超限(2次/小时)，{DETAILS}", "rate_limited"),
    (f"抱歉，您访问接口（daily）频率超限（5次/天），{DETAILS}", "rate_limited"),
    ("抱歉，您访问接口频率超限", "rate_limited"),
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
    source = TushareSource("secret-token", None, xshg(), limiter, FREE)
    error = source.classify("daily", Exception(f"{text} secret-token"))
    assert error.failure == failure
    assert not error.unknown
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
        (MemoryError(), "form"),
        (json.JSONDecodeError("Expecting value", "<html>", 0), "not JSON"),
    ],
)
def test_faults_of_the_net_and_of_gateways_are_tried_again(limiter: Limiter, error: Exception, words: str) -> None:
    classified = TushareSource("t", None, xshg(), limiter, FREE).classify("daily", error)
    assert classified.failure is FailureClass.RETRYABLE
    assert not classified.unknown, "it is no refusal"
    assert words in classified.text


@pytest.mark.parametrize(
    ("now", "text", "wait", "per_minute"),
    [
        ("2026-11-20T18:00:45", "每分钟最多访问该接口400次", 15, 400),
        ("2026-11-20T18:00:00", "每分钟最多访问该接口400次", 60, 400),
        ("2026-11-20T18:20:00", "每小时最多访问该接口20次", 40 * 60, None),
        ("2026-11-20T18:00:00", "每天最多访问该接口5次", 6 * 3600, None),
        ("2026-11-20T18:00:45", f"抱歉，您访问接口(daily)频率超限(8次/分钟)，{DETAILS}", 15, 8),
        ("2026-11-20T18:20:00", f"抱歉，您访问接口(daily)频率超限(8次/小时)，{DETAILS}", 40 * 60, None),
        ("2026-11-20T18:00:00", f"抱歉，您访问接口(daily)频率超限(8次/天)，{DETAILS}", 6 * 3600, None),
        ("2026-11-20T18:00:45", "访问过于频繁", 15, None),
    ],
)
def test_quotas_say_how_long_to_wait(
    limiter: Limiter, monkeypatch: pytest.MonkeyPatch, now: str, text: str, wait: float, per_minute: int | None
) -> None:
    monkeypatch.setenv("QUANT_NOW", now)
    error = TushareSource("t", None, xshg(), limiter, FREE).classify("daily", Exception(text))
    assert error.failure is FailureClass.RATE_LIMITED
    assert (error.wait, error.per_minute) == (wait, per_minute)


@pytest.mark.parametrize(
    ("order", "failure", "words"),
    [
        *(({"kind": "status", "status": code}, FailureClass.RETRYABLE, "HTTP error") for code in (404, 429, 500, 502)),
        ({"kind": "html"}, FailureClass.RETRYABLE, "not JSON"),
        ({"kind": "disconnect"}, FailureClass.RETRYABLE, "connection"),
        ({"kind": "hang", "seconds": 2}, FailureClass.RETRYABLE, "in time"),
        ({"kind": "quota"}, FailureClass.RATE_LIMITED, r"频率超限\(500次/分钟\)"),
        ({"kind": "quota", "per": "hour"}, FailureClass.RATE_LIMITED, r"频率超限\(500次/小时\)"),
        ({"kind": "quota", "per": "day"}, FailureClass.RATE_LIMITED, r"频率超限\(500次/天\)"),
        ({"kind": "permission"}, FailureClass.PERMANENT_API, "没有接口访问权限"),
        ({"kind": "quota", "wording": "today"}, FailureClass.RATE_LIMITED, "频率超限"),
        ({"kind": "token"}, FailureClass.PERMANENT_SOURCE, "token不对"),
        ({"kind": "drip", "seconds": 0.05}, FailureClass.RETRYABLE, "in time"),
        ({"kind": "bomb", "megabytes": 65}, FailureClass.RETRYABLE, "larger than|in time"),
        ({"kind": "redirect"}, FailureClass.RETRYABLE, "sends us on"),
        ({"kind": "endless", "times": None}, FailureClass.RETRYABLE, "page 2 is one that came before"),
    ],
)
def test_what_the_server_does_has_its_class(
    limiter: Limiter, sandbox: Rehearsal, order: dict[str, object], failure: FailureClass, words: str
) -> None:
    patience = 0.5 if order["kind"] in ("hang", "drip") else 60.0  # the others answer, on a busy machine not within a moment
    policy = FREE["tushare"]["*"].model_copy(update={"timeout": patience})
    source = TushareSource(sandbox.token, sandbox.tushare_url, xshg(), limiter, {"tushare": {"*": policy}})
    sandbox.order_fault(api="daily", **order)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match=words) as failed:
        source.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    assert failed.value.failure is failure
    assert failed.value.api == "daily"
    assert sandbox.calls(server="elsewhere") == [], "a token followed a redirect"


def test_todays_quota_is_a_quota_of_all_and_no_fault_of_the_source(limiter: Limiter, warehouse: Database) -> None:
    """17 calls failed on this text, and the source was put behind the next one."""
    answers = iter([tushare_refusal(f"抱歉，您访问接口(daily)频率超限(8次/分钟)，{DETAILS}")])

    def respond(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        send_json(handler, next(answers))

    with serving(respond) as url:
        source = TushareSource("token", url, xshg(), limiter, FREE, patience=0)
        for _ in range(2):  # the second call is not made: the first one's answer holds for it
            with pytest.raises(SourceError, match="8次/分钟") as failed:
                source.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
            assert failed.value.failure is FailureClass.RATE_LIMITED
    with warehouse.connect() as connection:
        state = connection.execute("SELECT per_minute, failures, circuit FROM source_state WHERE api = 'daily'").fetchone()
        assert state == (8, 0, "closed")
        assert connection.execute("SELECT outcome FROM source_calls").fetchall() == [("rate_limited",)]
        assert connection.execute("SELECT count(*) FROM source_events").fetchone() == (0,)


def test_words_that_nobody_knows_are_recorded_once_and_tried_again(
    limiter: Limiter, warehouse: Database, caplog: pytest.LogCaptureFixture
) -> None:
    said = ["今日维护，第1号公告", "今日维护，第2号公告", "系统内部错误", "另一句话"]
    answers = iter(said)

    def respond(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        send_json(handler, tushare_refusal(next(answers)))

    with serving(respond) as url:
        source = TushareSource("secret", url, xshg(), limiter, FREE)
        for text in said:
            with pytest.raises(SourceError, match=text) as failed:
                source.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
            assert failed.value.failure is FailureClass.RETRYABLE
    with warehouse.connect() as connection:
        events = connection.execute("SELECT source, api, kind, reason FROM source_events ORDER BY id").fetchall()
    assert events == [("tushare", "daily", "unknown_refusal", said[0]), ("tushare", "daily", "unknown_refusal", said[3])]
    assert [record.message.count("not known here") for record in caplog.records if record.levelname == "WARNING"] == [1, 1]
