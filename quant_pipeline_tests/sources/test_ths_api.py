"""同花顺's official interface as a source: lists, names of fields, classes of failure, and a key that is never shown."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from threading import Event
from typing import Any

import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import THS_CONCEPTS, THS_HOT, THS_INDUSTRIES, THS_MEMBERS
from quant_pipeline.market.validation import validate
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.control.faults import Fault
from quant_pipeline.sandbox.control.quotas import Per
from quant_pipeline.sources.base import Tally
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.refusals import refused
from quant_pipeline.sources.ths_api import CODES, ThsSource, named, records
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline_tests.sandbox.servers.ths_market import ThsRehearsal, running
from quant_pipeline_tests.sources.loopback import serving

TODAY = dt.date(2026, 11, 20)
KEY = "sandbox-a-secret-key"
FREE = {"ths": {"*": RatePolicy(per_minute=None, per_second=None, retries=0, timeout=5)}}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThsRehearsal]:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T15:10")
    with running() as rehearsal:
        yield rehearsal


@pytest.fixture
def source(server: ThsRehearsal, limiter: Limiter) -> ThsSource:
    return ThsSource(KEY, server.url, xshg(), limiter, FREE)


def rows(source: ThsSource, dataset: Dataset, unit: Unit) -> list[dict[str, object]]:
    """The unit's rows, all of which must be good."""
    checked = validate(dataset, source.fetch(dataset, unit, Tally()), expected_session=None, sessions=[unit.start])
    assert checked.bad.is_empty()
    return checked.good.to_dicts()


def test_concepts_come_with_regions_and_industries_apart(source: ThsSource, server: ThsRehearsal) -> None:
    tally = Tally()
    boards = source.fetch(THS_CONCEPTS, Unit.snapshot(TODAY), tally)
    assert boards.select("ts_code", "type").rows() == [("885001.TI", "N"), ("885002.TI", "N"), ("882001.TI", "R")]
    assert tally.calls == 2 == source.servings["ths_concepts"].calls_for(boards.height, Grain.SNAPSHOT)
    assert [call.params for call in server.calls.calls] == [{"tag": "cn_concept"}, {"tag": "region"}]
    (bank,) = rows(source, THS_INDUSTRIES, Unit.snapshot(TODAY))
    assert (bank["ts_code"], bank["name"], bank["type"]) == ("881101.TI", "银行", "I")


def test_members_come_board_by_board(source: ThsSource) -> None:
    members = rows(source, THS_MEMBERS, Unit.members("885001.TI", TODAY))
    untold = dict.fromkeys(("weight", "in_date", "out_date", "is_new"))
    assert members == [
        {"ts_code": "885001.TI", "con_code": "000001.SZ", "con_name": "平安银行", **untold},
        {"ts_code": "885001.TI", "con_code": "600000.SH", "con_name": "浦发银行", **untold},
    ]


def test_hot_lists_are_the_hour_s_today_and_the_history_s_before(source: ThsSource, server: ThsRehearsal) -> None:
    first, second = rows(source, THS_HOT, Unit.session(TODAY))
    assert (first["ts_code"], first["rank"], first["rank_time"]) == ("600000.SH", 1, "2026-11-20 14:30:00")
    assert (second["hot"], second["pct_change"], second["data_type"]) == (8000.0, -0.5, "热股")
    (former,) = rows(source, THS_HOT, Unit.session(dt.date(2026, 11, 19)))
    assert former["trade_date"] == dt.date(2026, 11, 19)
    assert [(call.api, call.params) for call in server.calls.calls] == [
        ("hot-stock-list", {"period": "hour"}),
        ("hot-stock-list-history", {"date": "2026-11-19"}),
    ]


def test_other_names_and_forms_of_the_answer_are_understood() -> None:
    sent = {"total": 2, "items": [{"code": "600000", "ths_name": "浦发银行", "tags": ["a", "b"]}, {"code": "000001"}]}
    frame = named("hot-stock-list", records(sent), ("ts_code", "ts_name", "concept", "rank"))
    assert frame.rows() == [("600000", "浦发银行", "a;b", None), ("000001", None, None, None)]
    assert named("ths-stock-list", [{"code": 600000}], ("con_code",)).rows() == [("600000",)]
    assert records(sent["items"]) == sent["items"]
    with pytest.raises(ValueError, match="list"):
        records({"total": 0})


def test_an_answer_without_codes_is_refused_with_what_it_has() -> None:
    with pytest.raises(SourceError, match="known as con_code: it has symbol, label") as error:
        named("ths-stock-list", [{"symbol": "600000", "label": "x"}], ("con_code", "con_name"))
    assert error.value.failure is FailureClass.PERMANENT_API
    with pytest.raises(SourceError, match="empty") as error:
        named("ths-stock-list", [], ("con_code", "con_name"))
    assert error.value.failure is FailureClass.EMPTY


@pytest.mark.parametrize(
    ("code", "failure", "wait"),
    [
        *((code, "permanent_api", 0) for code in (1001, 1002, 1003, 1004)),
        *((code, "permanent_source", 0) for code in (2001, 2003)),
        *((code, "empty", 0) for code in (3001, 3002, 3004)),
        (4001, "rate_limited", 60),
        *((code, "retryable", 0) for code in (5000, 5001, 5003)),
    ],
)
def test_codes_have_their_class(code: int, failure: str, wait: float) -> None:
    error = refused(CODES, "ths", "hot-stock-list", f"{code} text")
    assert (error.failure, error.wait, error.unknown) == (failure, wait, False)
    assert str(code) in error.text


@pytest.mark.parametrize(
    ("fault", "failure", "words"),
    [
        ({"kind": "status", "status": 502}, "retryable", "HTTP 502"),
        ({"kind": "html"}, "retryable", "not JSON"),
        ({"kind": "disconnect"}, "retryable", "connection failed"),
        ({"kind": "hang", "seconds": 1}, "retryable", "in time"),
        ({"kind": "permission"}, "permanent_source", "2003"),
        ({"kind": "token"}, "permanent_source", "2001"),
        ({"kind": "quota"}, "rate_limited", "4001"),
        ({"kind": "bomb", "megabytes": 65}, "retryable", "larger than|in time"),
        ({"kind": "redirect", "url": "http://elsewhere.invalid/"}, "retryable", "sends us on to elsewhere.invalid"),
        ({"kind": "empty"}, "empty", "3001"),
    ],
)
def test_faults_have_their_class(
    server: ThsRehearsal, limiter: Limiter, fault: dict[str, object], failure: str, words: str
) -> None:
    patience = 0.3 if fault["kind"] == "hang" else 60.0  # the others answer, on a busy machine not within a moment
    policies = {"ths": {"*": FREE["ths"]["*"].model_copy(update={"timeout": patience})}}
    server.faults.order(Fault.ordered({"server": "ths", **fault}))
    with pytest.raises(SourceError, match=words) as error:
        ThsSource(KEY, server.url, xshg(), limiter, policies).fetch(THS_INDUSTRIES, Unit.snapshot(TODAY), Tally())
    assert error.value.failure == failure
    assert KEY not in str(error.value)


def test_an_answer_that_drips_ends_with_the_policys_time(limiter: Limiter) -> None:
    over = Event()

    def drip(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not over.wait(0.01):
            handler.wfile.write(b" ")

    hasty = {"ths": {"*": FREE["ths"]["*"].model_copy(update={"timeout": 0.3})}}
    with serving(drip) as url:
        with pytest.raises(SourceError, match="in time"):
            ThsSource(KEY, url, xshg(), limiter, hasty).fetch(THS_INDUSTRIES, Unit.snapshot(TODAY), Tally())
        over.set()


def test_a_passing_fault_is_tried_again(server: ThsRehearsal, limiter: Limiter) -> None:
    server.faults.order(Fault.ordered({"server": "ths", "kind": "status", "times": 2}))
    patient = {"ths": {"*": FREE["ths"]["*"].model_copy(update={"retries": 2, "backoff": 0.01})}}
    tally = Tally()
    ThsSource(KEY, server.url, xshg(), limiter, patient).fetch(THS_INDUSTRIES, Unit.snapshot(TODAY), tally)
    assert tally.calls == 3


def test_a_used_up_quota_holds_every_process_back(server: ThsRehearsal, limiter: Limiter) -> None:
    server.quotas.set("ths-index-list", Per.MINUTE, 1)
    source = ThsSource(KEY, server.url, xshg(), limiter, FREE, patience=5)
    source.fetch(THS_INDUSTRIES, Unit.snapshot(TODAY), Tally())
    for calls_made in (1, 0):
        tally = Tally()
        with pytest.raises(SourceError) as error:
            source.fetch(THS_INDUSTRIES, Unit.snapshot(TODAY), tally)
        assert error.value.failure is FailureClass.RATE_LIMITED
        assert tally.calls == calls_made
