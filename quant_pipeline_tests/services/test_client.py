"""The client over real sockets and a real database: classes of failure, tries, circuit, counting, hooks, secrets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from quant_pipeline.services.adapter import Adapter, ServiceError, Setup
from quant_pipeline.services.client import Answered, Call, Client, by_code
from quant_pipeline.services.health import health_of
from quant_pipeline.services.result import FAULTY, HELD_BACK, NO_ANSWER, UNREACHED, Result, done
from quant_pipeline.sources import bounded_http
from quant_pipeline.sources.failures import FailureClass
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.sources.loopback import send_json, serving

NOBODY = "http://127.0.0.1:9"
QUICK = RatePolicy(per_minute=None, per_second=None, retries=2, backoff=0.0, timeout=5.0, trip=3, cool_down=60.0)
CODES = {"401": FailureClass.PERMANENT_SOURCE, "45009": FailureClass.RATE_LIMITED}


def judge(answered: Answered) -> Result | None:
    return by_code(answered, "code", "msg", CODES, success=frozenset({"0"}), waits={"45009": 60.0})


@pytest.fixture
def limiter(warehouse: Database) -> Iterator[Limiter]:
    presence = Presence(warehouse.connect())
    yield Limiter(warehouse.pool, presence)
    presence.close()


class Server:
    """Answers with each of `said` in turn (the last for ever): JSON, a status, or None to hang up."""

    def __init__(self, *said: Any) -> None:
        self.said, self.asked = list(said), list[dict[str, Any]]()

    def __call__(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        self.asked.append({"path": handler.path, "body": body, "headers": dict(handler.headers)})
        answer = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if answer is None:
            handler.connection.close()
        elif isinstance(answer, int):
            handler.send_response(answer)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        else:
            send_json(handler, answer)


def test_a_refusal_in_the_body_is_one_and_counts_as_its_class(warehouse: Database, limiter: Limiter) -> None:
    server = Server({"code": 0, "msg": "ok"}, {"code": 401, "msg": "no such key k-e-y"}, {"code": 777, "msg": "?"})
    with serving(server) as url:
        client = Client("mine", url, QUICK, limiter, secrets=["k-e-y"])
        good = client.call("send", "POST", "/x?key=k-e-y", judge, json={"文": "本"})
        bad = client.call("send", "POST", "/x", judge, json={})
        strange = client.call("send", "POST", "/x", judge, json={})
    assert (good.success, good.data) == (True, {"code": 0, "msg": "ok"})
    assert (bad.error_code, bad.error_message, bad.failure) == ("401", "no such key ***", FailureClass.PERMANENT_SOURCE)
    assert bad.raw == {"code": 401, "msg": "no such key ***"}
    assert (strange.unfamiliar, strange.failure) == (True, FailureClass.RETRYABLE)
    with warehouse.connect() as connection:
        outcomes = connection.execute("SELECT source, api, outcome FROM source_calls ORDER BY id").fetchall()
        events = connection.execute("SELECT kind, reason FROM source_events").fetchall()
    assert outcomes == [("mine", "send", "ok"), ("mine", "send", "permanent_source"), ("mine", "send", "retryable")]
    assert events == [("unknown_refusal", "777 ?")]
    (health,) = health_of(warehouse, ["mine"])
    assert (health.calls, health.good, health.circuit, health.available) == (3, 1, "closed", True)


def test_what_may_have_arrived_is_not_sent_twice_and_a_question_is_asked_again() -> None:
    server = Server(None, None, {"code": 0})
    with serving(server) as url:
        client = Client("mine", url, QUICK)
        lost = client.call("send", "POST", "", judge, json={})
        assert (lost.error_code, lost.sent, lost.answered) == (NO_ANSWER, True, False)
        assert len(server.asked) == 1
        assert client.call("ask", "POST", "", judge, repeatable=True, json={}).success
        assert len(server.asked) == 3


def test_what_never_left_is_tried_again_and_the_circuit_opens_for_all_processes(warehouse: Database, limiter: Limiter) -> None:
    client = Client("mine", NOBODY, QUICK, limiter)
    unreached = client.call("send", "POST", "", judge, json={})
    assert (unreached.error_code, unreached.sent) == (UNREACHED, False)
    held = Client("mine", NOBODY, QUICK, limiter).call("send", "POST", "", judge, json={})
    assert (held.error_code, held.failure, held.sent) == (HELD_BACK, FailureClass.CIRCUIT_OPEN, False)
    assert 50 < held.wait <= 60
    with warehouse.connect() as connection:
        assert connection.execute("SELECT count(*) FROM source_calls").fetchall() == [(3,)]
    (health,) = health_of(warehouse, ["mine"])
    assert (health.circuit, health.available) == ("open", False)


def test_a_service_that_asks_to_wait_is_left_alone_by_all(limiter: Limiter) -> None:
    server = Server({"code": 45009, "msg": "too fast"})
    with serving(server) as url:
        client = Client("mine", url, QUICK, limiter)
        assert client.call("send", "POST", "", judge, json={}).wait == 60.0
        held = client.call("send", "POST", "", judge, json={})
    assert (held.error_code, held.failure) == (HELD_BACK, FailureClass.RATE_LIMITED)
    assert len(server.asked) == 1


def test_a_quota_holds_for_calls_and_not_for_questions(limiter: Limiter) -> None:
    server = Server({"code": 0})
    with serving(server) as url:
        client = Client("mine", url, QUICK.model_copy(update={"per_minute": 2}), limiter)
        done_ = [client.call("send", "POST", "", judge, json={}).success for _ in range(3)]
        asked = [client.call("ask", "POST", "", judge, repeatable=True, json={}).success for _ in range(4)]
    assert done_ == [True, True, False]
    assert asked == [True] * 4


@pytest.mark.parametrize(
    ("status", "failure", "answered"),
    [(502, FailureClass.RETRYABLE, False), (404, FailureClass.RETRYABLE, True), (429, FailureClass.RATE_LIMITED, True)],
)
def test_a_gateway_s_answer_is_none_of_the_service(status: int, failure: FailureClass, answered: bool) -> None:
    with serving(Server(status)) as url:
        result = Client("mine", url, QUICK).call("send", "POST", "", judge, json={})
    assert (result.failure, result.answered, result.success) == (failure, answered, False)
    assert str(status) in result.error_message + result.error_code


@pytest.mark.parametrize(
    ("after", "wait"),
    [
        ("90", 90.0),
        ("315360000", 86_400.0),
        ("9" * 400, 60.0),
        ("1e400", 60.0),
        ("-1e308", 60.0),
        ("nan", 60.0),
        ("Wed, 21 Oct 2026", 60.0),
    ],
)
def test_a_wait_that_a_service_names_ends_within_a_day(after: str, wait: float) -> None:
    def busy(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        handler.send_response(429)
        handler.send_header("Retry-After", after)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serving(busy) as url:
        assert Client("mine", url, QUICK).call("send", "POST", "", judge, json={}).wait == wait


def test_a_code_that_no_database_can_hold_is_told_without_it() -> None:
    with serving(Server({"code": "7\x00" + "7" * 500, "msg": "?"})) as url:
        assert Client("mine", url, QUICK).call("send", "POST", "", judge, json={}).error_code == "7" * 60


def test_no_private_address_however_it_is_written() -> None:
    server = Server({"code": 0})
    with serving(server) as url:
        for address in (url, url.replace("127.0.0.1", "localhost"), url.replace("127.0.0.1", "127.1")):
            result = Client("mine", address, QUICK, public=True).call("send", "POST", "", judge, json={})
            assert (result.error_code, result.sent) == ("private_address", False), address
    assert server.asked == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("1.1.1.1", True),
        ("2606:4700:4700::1111", True),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:192.168.0.1", False),
        ("::ffff:1.1.1.1", True),
        ("64:ff9b::a00:1", False),
        ("2002:7f00:1::", False),
        ("2002:e000:1::", False),
        ("::127.0.0.1", False),
        ("::ffff:0:127.0.0.1", False),
        ("64:ff9b:1::7f00:1", False),
        ("64:ff9b::101:101", True),
        ("fec0::1", False),
        ("ff0e::1", False),
        ("::ffff:224.0.0.1", False),
        ("192.88.99.1", False),
    ],
)
def test_what_is_a_public_address(address: str, public: bool) -> None:
    assert bounded_http.is_public(address) is public


def test_no_secret_reaches_the_log_even_where_it_stands_in_the_address(caplog: pytest.LogCaptureFixture) -> None:
    with serving(Server({"code": 401, "msg": "for k%2Fe-y and k/e-y"})) as url, caplog.at_level(logging.DEBUG):
        client = Client("mine", url, QUICK, secrets=["k/e-y"])
        result = client.call("send", "POST", "/bot/k%2Fe-y", judge, json={})
        Client("mine", NOBODY, QUICK, secrets=["k/e-y"]).call("send", "POST", "/bot/k%2Fe-y", judge, json={})
    assert result.error_message == "for *** and ***"
    assert "e-y" not in caplog.text + repr(result) + repr(client)


class Parcels(Adapter):
    """A service of another kind: parcels."""

    kind, provider, address = "logistics", "parcels", "https://parcels.example"
    needs = ("key",)

    def track(self, number: str) -> Result:
        return self.call("track", "POST", "/track", repeatable=True, json={"number": number, "key": self.key("key")})

    def before_request(self, call: Call) -> Call:
        if call.asked["json"]["number"] == "impossible":
            raise KeyError("number")
        if call.asked["json"]["number"] == "broken":
            raise ZeroDivisionError("by k-e-y")
        return Call(call.api, call.method, call.url, {**call.asked, "headers": {"X-Signed": "yes"}})

    def after_request(self, call: Call, result: Result) -> Result:
        return done({"of": call.api, **result.data}) if result.success else result


def test_an_adapter_says_what_is_its_own_and_has_the_rest(limiter: Limiter) -> None:
    server = Server({"state": "delivered"})
    with serving(server) as url:
        parcels = Parcels(Setup("mine", "logistics", "parcels", url=url, timeout=3.0, options={"key": "k-e-y"}), limiter)
        assert parcels.client.policy.timeout == 3.0
        assert parcels.track("1").data == {"of": "track", "state": "delivered"}
        told = parcels.track("impossible")
        assert (told.error_code, told.error_message) == ("parameters", "it lacks number")
        broken = parcels.track("broken")
        assert (broken.error_code, broken.error_message) == (FAULTY, "the adapter mine failed: by ***")
    assert server.asked[0]["headers"]["X-Signed"] == "yes"
    assert len(server.asked) == 1
    assert "k-e-y" not in repr(parcels) + repr(vars(parcels))


def test_an_adapter_that_lacks_an_option_or_gets_a_strange_one_says_so() -> None:
    with pytest.raises(ServiceError, match=r"\[services.mine\] lacks key"):
        Parcels(Setup("mine", "logistics", "parcels"))
    with pytest.raises(ServiceError, match=r"has kye, which is not known; it takes key"):
        Parcels(Setup("mine", "logistics", "parcels", options={"key": "a", "kye": "b"}))
