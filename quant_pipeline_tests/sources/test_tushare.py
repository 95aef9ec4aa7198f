"""The Tushare adapter: texts and types of failure, paging, tokens."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from quant_pipeline.market.datasets import DAILY_KLINE, NAME_HISTORY, STOCK_LIST
from quant_pipeline.sandbox.exchange import Exchange
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sources.base import Serving, Tally
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import PolicyError, RatePolicy, load_policies, policy_for
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

FREE = {"tushare": {"*": RatePolicy(per_minute=None, per_second=None, retries=0)}}
SESSION = dt.date(2026, 11, 20)


@pytest.fixture(scope="module")
def exchange() -> Exchange:
    return Exchange(codes=60, first_year=2025)


@pytest.fixture
def sandbox(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")
    with running(exchange, quotas={"*": None}) as rehearsal:
        yield rehearsal


@pytest.fixture
def limiter(warehouse: Database) -> Iterator[Limiter]:
    presence = Presence(warehouse.connect())
    yield Limiter(warehouse.pool, presence)
    presence.close()


TEXTS = [
    ("抱歉，您每分钟最多访问该接口400次，权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。", "rate_limited"),
    ("抱歉，您每小时最多访问该接口20次，权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。", "rate_limited"),
    ("抱歉，您每天最多访问该接口5次，权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。", "rate_limited"),
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


def test_pages_are_asked_for_until_one_is_short(limiter: Limiter, sandbox: Rehearsal) -> None:
    whole = TushareSource(sandbox.token, sandbox.tushare_url, limiter, FREE)
    everything = whole.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())

    class SmallPages(TushareSource):
        pass

    SmallPages.servings = {
        "daily_kline": Serving(DAILY_KLINE, (Grain.SESSION,), "daily", everything.height // 3, "daily_kline")
    }
    tally = Tally()
    paged = SmallPages(sandbox.token, sandbox.tushare_url, limiter, FREE).fetch(DAILY_KLINE, Unit.session(SESSION), tally)
    assert tally.calls == 4
    assert paged.sort("ts_code").equals(everything.sort("ts_code"))


def test_one_code_over_a_range_is_asked_for_as_one(limiter: Limiter, sandbox: Rehearsal) -> None:
    source = TushareSource(sandbox.token, sandbox.tushare_url, limiter, FREE)
    code = source.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())["ts_code"][0]
    unit = Unit.code(code, dt.date(2026, 11, 2), SESSION)
    rows = source.fetch(DAILY_KLINE, unit, Tally())
    assert rows["ts_code"].unique().to_list() == [code]
    assert rows.height > 5
    assert sandbox.calls("daily")[-1]["params"]["start_date"] == "20261102"


def test_the_stock_list_holds_the_delisted_too(limiter: Limiter, sandbox: Rehearsal) -> None:
    source = TushareSource(sandbox.token, sandbox.tushare_url, limiter, FREE)
    listed = source.fetch(STOCK_LIST, Unit.snapshot(SESSION), Tally())
    assert {"L", "D"} <= set(listed["list_status"].to_list())
    assert not source.fetch(NAME_HISTORY, Unit.snapshot(SESSION), Tally()).is_empty()


def test_without_a_token_it_says_where_to_get_one(limiter: Limiter) -> None:
    source = TushareSource(None, None, limiter, FREE)
    assert "TUSHARE_TOKEN" in (source.unavailable() or "")
    with pytest.raises(SourceError, match="TUSHARE_TOKEN") as refused:
        source.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    assert refused.value.failure is FailureClass.PERMANENT_SOURCE


def test_rate_limits_of_the_user_are_laid_over_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("[tushare.daily]\nper_minute = 500\n[tushare.weekly]\nquota = false\n")
    policies = load_policies(file)
    assert policy_for(policies, "tushare", "daily") == RatePolicy(
        per_minute=500, per_second=10, burst=20, concurrency=5, retries=3
    )
    assert policy_for(policies, "tushare", "weekly").per_minute is None
    assert policy_for(policies, "tushare", "stock_basic").per_minute == 50
    assert policy_for(policies, "tushare", "ths_member").per_minute == 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tushare.daily]\nper_minute = 0\n", "tushare.daily"),
        ("[tushare.daily]\nper_hour = 3\n", "tushare.daily"),
        ("per_minute = ", "cannot be read"),
        ("per_minute = 3", "a table per API"),
    ],
)
def test_a_rate_limit_file_with_a_slip_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "limits.toml"
    file.write_text(text)
    with pytest.raises(PolicyError, match=words):
        load_policies(file)
    with pytest.raises(PolicyError, match=r"missing\.toml"):
        load_policies(tmp_path / "missing.toml")
