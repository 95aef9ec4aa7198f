"""Who may control a sandbox, and what becomes of an order that is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from quant_pipeline.sandbox.rehearsal import Rehearsal

_FAULT = {"kind": "empty"}


def ask(sandbox: Rehearsal, what: str, order: object = None, **headers: str) -> requests.Response:
    method = "GET" if order is None else "POST"
    sent = {**sandbox.control_headers, "Content-Type": "application/json", **headers}
    body = None if order is None else order if isinstance(order, bytes) else json.dumps(order).encode()
    return requests.request(method, f"{sandbox.control_url}/{what}", data=body, headers=sent, timeout=10)


def listed(sandbox: Rehearsal) -> list[dict[str, Any]]:
    faults: list[dict[str, Any]] = ask(sandbox, "faults").json()
    return faults


def test_whoever_has_the_token_gives_orders(sandbox: Rehearsal) -> None:
    assert ask(sandbox, "faults", _FAULT).status_code == 200
    assert [order["kind"] for order in listed(sandbox)] == ["empty"]
    own = f"http://127.0.0.1:{sandbox.port}"
    assert ask(sandbox, "faults", _FAULT, Origin=own).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status", "why"),
    [
        ({"Authorization": ""}, 401, "token"),
        ({"Authorization": "Bearer sandbox-token"}, 401, "token"),
        ({"Authorization": "Bearer 口令"}, 401, "token"),
        ({"Host": "evil.example:80"}, 403, "this machine"),
        ({"Origin": "https://evil.example"}, 403, "evil.example"),
        ({"Origin": "null"}, 403, "page"),
        ({"Content-Type": "text/plain"}, 415, "application/json"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "application/json"),
    ],
)
def test_nobody_else_does(sandbox: Rehearsal, headers: dict[str, Any], status: int, why: str) -> None:
    headers = {name: value.encode() for name, value in headers.items()}
    refused = ask(sandbox, "faults", _FAULT, **headers)
    assert (refused.status_code, why in refused.json()["error"]) == (status, True)
    assert sandbox.control_token not in refused.text
    assert listed(sandbox) == []


@pytest.mark.parametrize("what", ["health", "faults", "calls", "stats"])
def test_reading_wants_the_token_too(sandbox: Rehearsal, what: str) -> None:
    assert requests.get(f"{sandbox.control_url}/{what}", timeout=10).status_code == 401


@pytest.mark.parametrize(
    ("what", "order", "why"),
    [
        ("clock", {"now": 5}, "now"),
        ("clock", {"now": "noon"}, "noon"),
        ("clock", {"now": None, "when": "2026-11-20"}, "when"),
        ("clock", {}, "now"),
        ("clock", [], "object"),
        ("clock", b"{", "JSON"),
        ("faults", b"kind=empty", "JSON"),
        ("faults", ["empty"], "object"),
        ("faults", {"kind": "empty", "times": "x"}, "times"),
        ("quota", {"calls": "many"}, "calls"),
        ("quota", {"api": 5, "calls": 1}, "api"),
        ("quota", {"per": "century"}, "per"),
        ("quota", {"server": "nobody"}, "server"),
    ],
)
def test_an_order_that_is_wrong_is_refused_and_changes_nothing(sandbox: Rehearsal, what: str, order: object, why: str) -> None:
    before = ask(sandbox, "health").json(), listed(sandbox)
    refused = ask(sandbox, what, order)
    assert (refused.status_code, why in refused.json()["error"]) == (400, True)
    assert (ask(sandbox, "health").json(), listed(sandbox)) == before


def test_a_window_is_a_number(sandbox: Rehearsal) -> None:
    assert ask(sandbox, "stats?window=soon").status_code == 400
    assert ask(sandbox, "stats?window=5").status_code == 200
