"""The proxy in front of the sandbox's web sites: TLS by its own authority, faults, a log, and no way out."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress

import pytest
import requests

from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

KLINES = "https://push2his.eastmoney.com/api/qt/stock/kline/get"
SPAN = {"beg": "20261102", "end": "20261120", "klt": "101", "fqt": "0"}
PATIENCE = 10


@pytest.fixture(scope="module")
def served(exchange: Exchange) -> Iterator[Rehearsal]:
    with running(exchange) as rehearsal:
        yield rehearsal


@pytest.fixture
def web(served: Rehearsal) -> Iterator[Rehearsal]:
    yield served
    served.clear_faults()


@pytest.fixture
def browser(web: Rehearsal) -> Iterator[requests.Session]:
    """Knows the proxy and its authority, and nothing of the machine's own settings."""
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = dict.fromkeys(("http", "https"), f"http://127.0.0.1:{web.proxy_port}")
        session.verify = web.ca_file
        yield session


@pytest.fixture
def secid(market: SimulatedMarket) -> str:
    days = market.frame("daily", {"start_date": "20261102"}, 100_000)
    code: str = days.filter(days["ts_code"].str.starts_with("60"))["ts_code"].mode()[0]
    return f"1.{code[:6]}"


def lines(answer: requests.Response) -> int:
    return len(answer.json()["data"]["klines"])


def test_a_site_answers_over_tls_and_in_the_clear(browser: requests.Session, secid: str) -> None:
    asked = {"secid": secid, **SPAN}
    secure = browser.get(KLINES, params=asked, timeout=PATIENCE)
    plain = browser.get(KLINES.replace("https", "http"), params=asked, timeout=PATIENCE)
    assert secure.status_code == plain.status_code == 200
    assert secure.headers["Content-Type"].startswith("application/json")
    assert lines(secure) == 15
    assert secure.content == plain.content


def test_its_certificate_is_good_for_its_own_authority_only(browser: requests.Session) -> None:
    browser.verify = True
    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        browser.get(KLINES, timeout=PATIENCE)


def test_a_tunnel_serves_one_request_after_the_other(web: Rehearsal, secid: str) -> None:
    line = http.client.HTTPSConnection(
        "127.0.0.1", web.proxy_port, timeout=PATIENCE, context=ssl.create_default_context(cafile=web.ca_file)
    )
    line.set_tunnel("push2his.eastmoney.com")
    sockets = set()
    for klt in ("101", "102"):
        line.request("GET", f"/api/qt/stock/kline/get?secid={secid}&beg=20261102&end=20261120&klt={klt}")
        answer = line.getresponse()
        assert json.loads(answer.read())["data"]["klines"]
        sockets.add(line.sock)
    assert len(sockets) == 1
    line.close()


@pytest.mark.parametrize("url", ["https://example.com/", "http://example.com/", "https://eastmoney.com.example.org/"])
def test_no_other_host_is_reached(browser: requests.Session, web: Rehearsal, url: str) -> None:
    before = len(web.calls(server="akshare"))
    answer = browser.get(url, timeout=PATIENCE)
    assert answer.status_code == 502
    assert answer.text.startswith("SANDBOX: no such site here")
    assert len(web.calls(server="akshare")) == before


def test_what_a_site_does_not_have_is_said(browser: requests.Session, web: Rehearsal, secid: str) -> None:
    assert browser.get("https://push2his.eastmoney.com/api/other", timeout=PATIENCE).status_code == 404
    assert web.calls("eastmoney", server="akshare")[-1]["answer"] == "unknown_api"
    noon = browser.get(KLINES, params={"secid": secid, **SPAN, "beg": "noon"}, timeout=PATIENCE)
    assert (noon.status_code, web.calls("eastmoney", server="akshare")[-1]["answer"]) == (400, "parameters")
    wrong = browser.get("https://82.push2.eastmoney.com/api/qt/clist/get?fs=m:0+t:6&pn=first", timeout=PATIENCE)
    assert wrong.status_code == 400
    assert "SANDBOX" in wrong.text


def test_calls_are_logged_under_the_sites_name(browser: requests.Session, web: Rehearsal, secid: str) -> None:
    browser.get(KLINES, params={"secid": secid, **SPAN}, timeout=PATIENCE)
    call = web.calls("eastmoney", server="akshare")[-1]
    assert (call["answer"], call["rows"]) == ("ok", 15)
    assert call["params"] == {
        "host": "push2his.eastmoney.com",
        "path": "/api/qt/stock/kline/get",
        "secid": secid,
        **SPAN,
    }


def test_who_speaks_no_http_is_hung_up_on_and_the_others_are_not(web: Rehearsal, browser: requests.Session, secid: str) -> None:
    for said in (b"\x16\x03\x01 nonsense\r\n\r\n", b"GET\r\n\r\n", b"x" * 200_000):
        with socket.create_connection(("127.0.0.1", web.proxy_port), timeout=PATIENCE) as line:
            line.sendall(said)
            with suppress(ConnectionResetError):
                assert line.recv(100) == b""
    assert lines(browser.get(KLINES, params={"secid": secid, **SPAN}, timeout=PATIENCE)) == 15


def test_a_cut_line_and_a_hang_are_no_answer(browser: requests.Session, web: Rehearsal) -> None:
    web.order_fault("disconnect", server="akshare", api="eastmoney")
    with pytest.raises(requests.exceptions.ConnectionError):
        browser.get(KLINES, timeout=PATIENCE)
    web.order_fault("hang", server="akshare", api="eastmoney", seconds=600)
    with pytest.raises(requests.exceptions.ReadTimeout):
        browser.get(KLINES, timeout=0.3)
    assert [call["answer"] for call in web.calls("eastmoney", server="akshare")[-2:]] == ["disconnect", "hang"]


@pytest.mark.parametrize(("kind", "status"), [("html", 200), ("status", 502)])
def test_a_page_for_people_comes_in_place_of_data(
    browser: requests.Session, web: Rehearsal, secid: str, kind: str, status: int
) -> None:
    web.order_fault(kind, server="akshare", api="eastmoney")
    blocked = browser.get(KLINES, params={"secid": secid, **SPAN}, timeout=PATIENCE)
    assert blocked.status_code == status
    assert blocked.headers["Content-Type"].startswith("text/html")
    assert "频繁" in blocked.text
    assert lines(browser.get(KLINES, params={"secid": secid, **SPAN}, timeout=PATIENCE)) == 15


def test_rows_are_lost_or_late_as_ordered(browser: requests.Session, web: Rehearsal, secid: str) -> None:
    asked = {"secid": secid, **SPAN}
    whole = browser.get(KLINES, params=asked, timeout=PATIENCE)
    web.order_fault("slow", server="akshare", api="eastmoney", seconds=0.01)
    assert browser.get(KLINES, params=asked, timeout=PATIENCE).content == whole.content
    web.order_fault("wrong_rows", server="akshare", api="eastmoney")
    assert lines(browser.get(KLINES, params=asked, timeout=PATIENCE)) == 12
    web.order_fault("empty", server="akshare", api="*")
    assert browser.get(KLINES, params=asked, timeout=PATIENCE).json()["data"] is None


def test_a_fault_of_one_site_leaves_the_others_alone(browser: requests.Session, web: Rehearsal, secid: str) -> None:
    web.order_fault("html", server="akshare", api="sina", times=None)
    assert lines(browser.get(KLINES, params={"secid": secid, **SPAN}, timeout=PATIENCE)) == 15
    factors = f"https://finance.sina.com.cn/realstock/company/sh{secid[2:]}/hfq.js"
    assert "频繁" in browser.get(factors, timeout=PATIENCE).text
