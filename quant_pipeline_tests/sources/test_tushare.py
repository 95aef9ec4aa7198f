"""The Tushare adapter: paging, tokens, and what it lets no server do."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from threading import Event
from typing import Any

import pytest
from tushare.pro.client import DataApi

from quant_pipeline.market.datasets import DAILY_KLINE, ETF_LIST, NAME_HISTORY, STOCK_LIST
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sources import bounded_http
from quant_pipeline.sources.akshare import AkshareSource
from quant_pipeline.sources.baostock import BaostockSource
from quant_pipeline.sources.base import Serving, Source, Tally
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.ths_api import ThsSource
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sources.tushare_client import client_of
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sources.loopback import Respond, send_json, serving, tushare_rows

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


def test_pages_are_asked_for_until_one_is_short(limiter: Limiter, sandbox: Rehearsal) -> None:
    whole = TushareSource(sandbox.token, sandbox.tushare_url, xshg(), limiter, FREE)
    everything = whole.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())

    class SmallPages(TushareSource):
        pass

    SmallPages.servings = {
        "daily_kline": Serving(DAILY_KLINE, (Grain.SESSION,), "daily", everything.height // 3, "daily_kline")
    }
    tally = Tally()
    paged = SmallPages(sandbox.token, sandbox.tushare_url, xshg(), limiter, FREE).fetch(
        DAILY_KLINE, Unit.session(SESSION), tally
    )
    assert tally.calls == 4
    assert paged.sort("ts_code").equals(everything.sort("ts_code"))


def _answering(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> Respond:
    return lambda handler, asked: send_json(handler, answer(asked))


def _names(asked: dict[str, Any], *, first: int) -> dict[str, Any]:
    """A full page of name periods, numbered from `first`."""
    numbers = range(first, first + asked["params"]["limit"])
    return tushare_rows(["ts_code", "name", "start_date"], [["600000.SH", str(number), "20200101"] for number in numbers])


class _OfTwo(TushareSource):
    """Two names a page, and at most nine."""


_OfTwo.servings = {"name_history": Serving(NAME_HISTORY, (Grain.SNAPSHOT,), "namechange", 2, "name_history", most=9)}


def _outcomes(database: Database) -> list[str]:
    with database.connect() as connection:
        return [outcome for (outcome,) in connection.execute("SELECT outcome FROM source_calls ORDER BY id").fetchall()]


def test_a_server_that_forgets_the_offset_is_noticed_at_the_second_page(limiter: Limiter, warehouse: Database) -> None:
    tally = Tally()
    with serving(_answering(lambda asked: _names(asked, first=0))) as url, pytest.raises(SourceError, match="page 2") as failed:
        _OfTwo("token", url, xshg(), limiter, FREE).fetch(NAME_HISTORY, Unit.snapshot(SESSION), tally)
    assert failed.value.failure is FailureClass.RETRYABLE
    assert tally.calls == 2
    assert _outcomes(warehouse) == ["retryable", "retryable"]


def test_a_server_that_never_ends_is_left_when_it_gave_more_than_there_can_be(limiter: Limiter) -> None:
    tally = Tally()
    with (
        serving(_answering(lambda asked: _names(asked, first=asked["params"]["offset"]))) as url,
        pytest.raises(SourceError, match="more than 9 rows"),
    ):
        _OfTwo("token", url, xshg(), limiter, FREE).fetch(NAME_HISTORY, Unit.snapshot(SESSION), tally)
    assert tally.calls == 5


def test_a_second_answer_may_equal_the_first_one(limiter: Limiter) -> None:
    """Pages are compared within an answer: the same list asked for twice is no repetition."""
    rows = tushare_rows(["ts_code", "name", "start_date"], [["600000.SH", "浦发银行", "19991110"]])
    with serving(_answering(lambda _: rows)) as url:
        source = _OfTwo("token", url, xshg(), limiter, FREE)
        answers = [source.fetch(NAME_HISTORY, Unit.snapshot(SESSION), Tally()) for _ in range(2)]
    assert answers[0].equals(answers[1])
    assert answers[0].height == 1


@pytest.mark.parametrize("source", [TushareSource, BaostockSource, ThsSource, AkshareSource])
def test_the_bounds_leave_room_for_all_that_the_market_has(source: type[Source]) -> None:
    """Codes of 2026 with the delisted: about 6,000 stocks, 2,500 funds; sessions since 1990: 8,800; days: 13,500."""
    assert all(serving.most >= 20_000 for serving in source.servings.values())


def test_each_api_has_the_time_that_its_policy_gives(limiter: Limiter) -> None:
    over = Event()
    policies = {"tushare": {"*": FREE["tushare"]["*"], "namechange": RatePolicy(retries=0, timeout=0.2)}}

    def respond(handler: BaseHTTPRequestHandler, asked: dict[str, Any]) -> None:
        if asked["api_name"] == "namechange":
            over.wait(20)
        send_json(handler, tushare_rows(DAILY_KLINE.column_names, []))

    with serving(respond) as url:
        source = TushareSource("token", url, xshg(), limiter, policies)
        with pytest.raises(SourceError, match="in time") as failed:
            source.fetch(NAME_HISTORY, Unit.snapshot(SESSION), Tally())
        assert failed.value.failure is FailureClass.RETRYABLE
        over.set()
        assert source.fetch(DAILY_KLINE, Unit.session(SESSION), Tally()).is_empty()


def test_no_token_follows_a_redirect(limiter: Limiter) -> None:
    asked: list[Any] = []

    def elsewhere(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        asked.append(body)
        send_json(handler, tushare_rows(DAILY_KLINE.column_names, []))

    with serving(elsewhere) as other:

        def respond(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
            handler.send_response(307)
            handler.send_header("Location", f"{other}/daily")
            handler.end_headers()

        with serving(respond) as url, pytest.raises(SourceError, match=r"sends us on to 127\.0\.0\.1 \(HTTP 307\)"):
            TushareSource("secret", url, xshg(), limiter, FREE).fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    assert asked == []


def test_an_answer_larger_than_any_true_one_is_dropped(limiter: Limiter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "LARGEST", 2**20)
    bomb = tushare_rows(["ts_code"], [["x" * 2**21]])
    with serving(_answering(lambda _: bomb)) as url, pytest.raises(SourceError, match="larger than"):
        TushareSource("token", url, xshg(), limiter, FREE).fetch(DAILY_KLINE, Unit.session(SESSION), Tally())


def test_an_answer_is_read_as_python_s_own_json_reads_it() -> None:
    """Servers write NaN for a gap, which no JSON knows, and whole numbers of any length."""
    fields, row = ["ts_code", "name", "amount", "vol"], ["000001.SZ", "平安银行", 1_234_567.891, 2**70]
    with serving(_answering(lambda _: tushare_rows(fields, [row, ["000002.SZ", None, math.nan, 1]]))) as url:
        frame = client_of("token", url, 30).query("daily")
    assert frame.iloc[0].tolist() == row
    assert frame["amount"].isna().tolist() == [False, True]


def test_tushare_itself_is_asked_over_https_and_an_address_set_by_hand_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    assert client_of("token", None, 30)._DataApi__http_url == "https://api.waditu.com/dataapi"
    monkeypatch.setattr(DataApi, "_DataApi__http_url", "http://127.0.0.1:8000/dataapi")  # as quant_pipeline.tushare does
    assert client_of("token", None, 30)._DataApi__http_url == "https://api.waditu.com/dataapi"
    for url in ("http://api.waditu.com/dataapi", "http://127.0.0.1:1/x", "https://mirror.example"):
        assert client_of("token", url, 30)._DataApi__http_url == url


def test_one_code_over_a_range_is_asked_for_as_one(limiter: Limiter, sandbox: Rehearsal) -> None:
    source = TushareSource(sandbox.token, sandbox.tushare_url, xshg(), limiter, FREE)
    code = source.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())["ts_code"][0]
    unit = Unit.code(code, dt.date(2026, 11, 2), SESSION)
    rows = source.fetch(DAILY_KLINE, unit, Tally())
    assert rows["ts_code"].unique().to_list() == [code]
    assert rows.height > 5
    assert sandbox.calls("daily")[-1]["params"]["start_date"] == "20261102"


def test_the_stock_list_holds_the_delisted_too(limiter: Limiter, sandbox: Rehearsal) -> None:
    source = TushareSource(sandbox.token, sandbox.tushare_url, xshg(), limiter, FREE)
    listed = source.fetch(STOCK_LIST, Unit.snapshot(SESSION), Tally())
    assert {"L", "D"} <= set(listed["list_status"].to_list())
    assert not source.fetch(NAME_HISTORY, Unit.snapshot(SESSION), Tally()).is_empty()


def test_without_a_token_it_says_where_to_get_one(limiter: Limiter) -> None:
    source = TushareSource(None, None, xshg(), limiter, FREE)
    with pytest.raises(SourceError, match="TUSHARE_TOKEN") as refused:
        source.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    assert refused.value.failure is FailureClass.PERMANENT_SOURCE


def test_an_etf_of_a_new_prefix_is_one_and_other_funds_are_not(limiter: Limiter) -> None:
    funds = [
        ["510300.SH", "沪深300ETF"],
        ["550001.SH", "新板块ETF"],
        ["559001.SH", "新板块ETF联接LOF"],
        ["160105.SZ", "南方积配LOF"],
        ["501000.SH", "国金鑫新"],
        ["159915.SZ", "创业板ETF"],
    ]
    with serving(_answering(lambda _: tushare_rows(["ts_code", "name"], funds))) as url:
        listed = TushareSource("token", url, xshg(), limiter, FREE).fetch(ETF_LIST, Unit.snapshot(SESSION), Tally())
    assert listed["ts_code"].to_list() == ["510300.SH", "550001.SH", "159915.SZ"]
