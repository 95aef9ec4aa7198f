"""The plain WebSocket, by a real client over TCP; the other is Socket.IO's (test_socket_io), and both share their clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from quant_pipeline.door import keys
from quant_pipeline.door.keys import Scope
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.door.feed.conftest import Door
from quant_pipeline_tests.door.served import served
from quant_pipeline_tests.quotes.quotes import quote

PATIENCE = 30


class Talk:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def say(self, message: Any) -> None:
        self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    def heard(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.socket.recv(timeout=PATIENCE))
        return told

    def subscribe(self, *codes: str) -> dict[str, Any]:
        self.say({"type": "subscribe", "codes": list(codes)})
        return self.heard()


@contextmanager
def talking(door: Door, path: str = "/ws/quotes", **options: Any) -> Iterator[Talk]:
    with connect(f"{door.socket}{path}", **options) as socket:
        yield Talk(socket)


def prices(message: dict[str, Any]) -> dict[str, float]:
    return {each["ts_code"]: each["price"] for each in message["data"]}


def refused(door: Door, path: str = "/ws/quotes", **options: Any) -> tuple[int, dict[str, Any]]:
    with pytest.raises(InvalidStatus) as refusal:
        connect(f"{door.socket}{path}", **options)
    response = refusal.value.response
    return response.status_code, json.loads(response.body or b"{}")


def test_the_first_message_is_the_snapshot_and_then_what_changes(door: Door) -> None:
    with talking(door) as talk:
        first = talk.subscribe("600000", "999999", "688981.SH")
        assert first["type"] == "snapshot"
        assert (first["accepted"], first["unknown"]) == (["600000.SH", "688981.SH"], ["999999"])
        assert "999999" in first["message"]
        assert prices(first) == {"600000.SH": 10.5}
        assert set(first["without"]) == {"688981.SH"}
        door.publish(quote("688981.SH", price=88.0))
        told = talk.heard()
        assert (told["type"], prices(told)) == ("quotes", {"688981.SH": 88.0})
        assert prices(talk.subscribe("000001.SZ")) == {"000001.SZ": 12.5}
        door.publish(quote("600000.SH", price=11.0), quote("000001.SZ", price=12.6))
        assert prices(talk.heard()) == {"000001.SZ": 12.6}
        talk.say({"type": "unsubscribe"})
        assert talk.heard() == {"type": "unsubscribed", "left": []}
        talk.say({"type": "ping"})
        assert talk.heard() == {"type": "pong"}


@pytest.mark.parametrize(
    "message", ["{", "[]", '"x"', {"type": "buy"}, {"type": "subscribe"}, {"type": "subscribe", "codes": ["600000"] * 501}]
)
def test_what_cannot_be_done_is_told_and_the_rest_goes_on(door: Door, message: Any) -> None:
    with talking(door) as talk:
        talk.subscribe("600000.SH")
        talk.say(message)
        assert talk.heard()["type"] == "error"
        door.publish(quote("600000.SH", price=10.7))
        assert prices(talk.heard()) == {"600000.SH": 10.7}


@pytest.mark.parametrize("message", [b"bytes", "x" * 70_000])
def test_what_is_no_text_or_too_large_ends_it(door: Door, message: Any) -> None:
    with talking(door) as talk:
        talk.say(message)
        with pytest.raises(ConnectionClosed):
            talk.heard()


def test_the_key_is_the_one_of_the_rest_paths(door: Door) -> None:
    key = keys.add(door.database, "desk", Scope.READ, None)
    status, told = refused(door)
    assert (status, told["success"], told["error"]["to_do"]) == (401, False, "quant-pipeline serve token add NAME")
    assert refused(door, f"/ws/quotes?token={key}")[0] == 401, "never in the address"
    with talking(door, additional_headers={"X-API-Key": key}) as talk:
        assert talk.subscribe("600000")["type"] == "snapshot"
    with talking(door, "/quotes/feed") as talk:
        assert talk.subscribe("600000")["type"] == "snapshot", "our own pages are for whoever sits here"


def test_a_connection_ends_with_the_key_that_opened_it(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quant_pipeline.door.feed.feeds._LOOK", 0.05)
    kept, lost = (keys.add(door.database, name, Scope.READ, None) for name in ("kept", "lost"))
    with (
        talking(door, additional_headers={"X-API-Key": kept}) as other,
        talking(door, additional_headers={"X-API-Key": lost}) as talk,
    ):
        talk.subscribe("600000")
        keys.revoke(door.database, "lost")
        with pytest.raises(ConnectionClosed):
            talk.heard()
        assert talk.socket.close_code == 1008
        assert other.subscribe("600000")["type"] == "snapshot"


def test_where_quotes_are_off_it_says_so(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_QUOTES", "false")
    with served(Settings(), warehouse) as url:
        status, told = refused(Door(url, warehouse))
        assert status == 503
        assert "QUANT_QUOTES=true" in told["error"]["to_do"]


def test_no_more_clients_than_there_may_be(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quant_pipeline.quotes.hub.MOST_READERS", 1)
    with talking(door) as talk:
        talk.subscribe("600000")
        assert refused(door)[0] == 503
    while True:
        try:
            connect(f"{door.socket}/ws/quotes").close()
        except InvalidStatus:
            continue
        return


def test_the_end_of_the_door_closes_it(warehouse: Database) -> None:
    with served(Settings(), warehouse) as url:
        socket = connect(f"{url.replace('http', 'ws')}/ws/quotes")
    with pytest.raises(ConnectionClosed):
        socket.recv(timeout=PATIENCE)
    assert socket.close_code == 1012
