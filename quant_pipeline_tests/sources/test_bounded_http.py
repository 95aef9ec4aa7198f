"""Answers that do not end, do not fit, or send the caller elsewhere, over real sockets."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests
import trustme

from quant_pipeline.sources import bounded_http
from quant_pipeline_tests.sources.loopback import Respond, send_json, serving

PIECE = b"x" * 2**16


def _begin(handler: BaseHTTPRequestHandler, **headers: str) -> None:
    handler.send_response(200)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


def _dripping(over: Event, *, headers: bool) -> Respond:
    """A byte every hundredth of a second until the client hangs up."""

    def respond(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nX: ") if headers else _begin(handler)
        while not over.wait(0.01):
            handler.wfile.write(b"x")

    return respond


def _endless(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    _begin(handler)
    for _ in count():
        handler.wfile.write(PIECE)


def _packed(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    """Three megabytes in three kilobytes."""
    body = gzip.compress(b" " * 3 * 2**20)
    assert len(body) < 4000
    _begin(handler, Content_Encoding="gzip", Content_Length=str(len(body)))
    handler.wfile.write(body)


@pytest.mark.parametrize("headers", [False, True])
def test_an_answer_that_drips_has_one_deadline(headers: bool) -> None:
    over = Event()
    with serving(_dripping(over, headers=headers)) as url:
        with pytest.raises(bounded_http.TooSlow, match=r"no whole answer within 0\.3 s"):
            bounded_http.request("POST", url, timeout=0.3)
        over.set()


def test_an_answer_that_never_begins_is_too_slow_as_well() -> None:
    over = Event()
    with serving(lambda *_: over.wait(20) and None) as url:
        with pytest.raises(bounded_http.TooSlow):
            bounded_http.request("POST", url, timeout=0.3)
        over.set()


@pytest.mark.parametrize("respond", [_endless, _packed])
def test_an_answer_that_is_too_large_is_dropped(respond: Callable[..., None]) -> None:
    with serving(respond) as url, pytest.raises(bounded_http.TooLarge, match="1,048,576 bytes"):
        bounded_http.request("POST", url, timeout=60, largest=2**20)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_is_sent_where_a_server_sends_us_on(status: int) -> None:
    asked: list[Any] = []

    def elsewhere(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        asked.append(body)
        send_json(handler, {})

    with serving(elsewhere) as other:

        def respond(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
            handler.send_response(status)
            handler.send_header("Location", f"{other}/daily?token=secret")
            handler.end_headers()

        with serving(respond) as url, pytest.raises(bounded_http.Redirected, match=r"127\.0\.0\.1") as failed:
            bounded_http.request("POST", url, timeout=60, json={"token": "secret"})
    assert "secret" not in str(failed.value)
    assert asked == []


def test_a_whole_answer_arrives_as_requests_gives_it_one_after_the_other() -> None:
    numbers = count(1)

    def respond(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        body["path"], body["number"] = handler.path, next(numbers)
        send_json(handler, body)

    with serving(respond) as url:
        answers = [bounded_http.request("POST", f"{url}/daily", timeout=60, json={"a": "值"}).json() for _ in range(2)]
    assert answers == [{"a": "值", "path": "/daily", "number": 1}, {"a": "值", "path": "/daily", "number": 2}]


def test_the_deadline_holds_behind_tls(tmp_path: Path) -> None:
    authority, over = trustme.CA(), Event()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with serving(_dripping(over, headers=False), context) as url:
        assert url.startswith("https")
        with pytest.raises(bounded_http.TooSlow):
            bounded_http.request("GET", url, timeout=0.5, verify=str(tmp_path / "ca.pem"))
        over.set()
        with pytest.raises(requests.exceptions.SSLError):
            bounded_http.request("GET", url, timeout=60)


def test_the_deadline_holds_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    over = Event()
    with serving(_dripping(over, headers=True)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("NO_PROXY", "")
        with pytest.raises(bounded_http.TooSlow):
            bounded_http.request("GET", "http://nobody.invalid/daily", timeout=0.3)
        over.set()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (bounded_http.TooSlow("no whole answer within 3 s"), "no answer in time"),
        (bounded_http.NoConnection("no whole answer within 3 s"), "no connection came about"),
        (bounded_http.TooLarge("larger than"), "larger than"),
        (bounded_http.Redirected("sends us on"), "sends us on"),
        (requests.exceptions.JSONDecodeError("x", "x", 0), "not JSON"),
        (requests.exceptions.SSLError("x"), "no certificate that can be trusted"),
        (requests.exceptions.ProxyError("x"), "at the web proxy"),
        (requests.exceptions.ConnectionError("http://user:secret@host"), "the connection failed"),
        (requests.exceptions.ChunkedEncodingError("secret"), "the connection failed"),
    ],
)
def test_each_fault_has_words_without_addresses(error: requests.RequestException, words: str) -> None:
    told = bounded_http.fault_in_words(error)
    assert words in told
    assert "secret" not in told
