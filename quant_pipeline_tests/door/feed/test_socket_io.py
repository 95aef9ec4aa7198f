"""Socket.IO, by its real client over TCP: the stock scan's events, who is let in, and what becomes of who does not read."""

from __future__ import annotations

import json
import queue
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
import socketio
from socketio.exceptions import ConnectionError as NoConnection
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from quant_pipeline.door import keys
from quant_pipeline.door.keys import Scope
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.door.feed.conftest import Door
from quant_pipeline_tests.door.served import served
from quant_pipeline_tests.quotes.quotes import quote

PATIENCE = 30


class Listener:
    """A client that keeps what it is sent."""

    def __init__(self) -> None:
        self.client = socketio.Client(reconnection=False)
        self.sent: queue.Queue[dict[str, Any]] = queue.Queue()
        self.gone: queue.Queue[str] = queue.Queue()
        self.refused: list[Any] = []
        self.client.on("realtime_data", self.sent.put)
        self.client.on("disconnect", self.gone.put)
        self.client.on("connect_error", self.refused.append)

    def subscribe(self, *codes: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.call("subscribe", {"codes": list(codes)}, timeout=PATIENCE)
        return answer

    def prices(self) -> dict[str, float]:
        """What comes next."""
        return {each["ts_code"]: each["price"] for each in self.sent.get(timeout=PATIENCE)["data"]}


@contextmanager
def listening(url: str, **options: Any) -> Iterator[Listener]:
    listener = Listener()
    listener.client.connect(url, transports=["websocket"], wait_timeout=PATIENCE, **options)
    try:
        yield listener
    finally:
        listener.client.disconnect()


def refused(url: str, **options: Any) -> Any:
    listener = Listener()
    with pytest.raises(NoConnection):
        listener.client.connect(url, transports=["websocket"], wait_timeout=PATIENCE, **options)
    return listener.refused[-1]


def test_a_subscription_names_what_it_has_and_sends_the_last_quotes_at_once(door: Door) -> None:
    with listening(door.url) as listener:
        answer = listener.subscribe("600000", "sz000001", "688981.SH", "999999", "sh000001", "nonsense")
        assert answer["accepted"] == ["600000.SH", "000001.SZ", "688981.SH", "000001.SH"]
        assert answer["unknown"] == ["999999", "nonsense"]
        assert set(answer["without"]) == {"688981.SH", "000001.SH"}
        first = listener.sent.get(timeout=PATIENCE)
        assert first["snapshot"]
        told = {each["ts_code"]: each for each in first["data"]}
        assert set(told) == {"600000.SH", "000001.SZ"}
        share = told["600000.SH"]
        assert (share["price"], share["source"], share["stale"], share["age"]) == (10.5, "tencent", False, 1.0)
        assert (share["exchange_time"], share["bids"][0]) == ("2026-11-20T10:30:00+08:00", [10.49, 1200])


def test_what_is_published_by_another_process_comes_and_what_is_wanted_is_leased(door: Door) -> None:
    with listening(door.url) as listener:
        listener.subscribe("600000.SH")
        listener.prices()
        door.publish(quote("600000.SH", price=10.58), quote("000001.SZ", price=12.6))
        assert listener.prices() == {"600000.SH": 10.58}, "and nothing of a code that it does not want"
        while door.wanted() != {"600000.SH"}:
            pass
    while door.wanted():
        pass


def test_another_subscription_takes_the_place_of_the_first(door: Door) -> None:
    with listening(door.url) as listener:
        listener.subscribe("600000.SH")
        assert listener.prices() == {"600000.SH": 10.5}
        listener.subscribe("000001.SZ")
        assert listener.prices() == {"000001.SZ": 12.5}
        door.publish(quote("600000.SH", price=10.6))
        door.publish(quote("000001.SZ", price=12.6))
        assert listener.prices() == {"000001.SZ": 12.6}
        assert listener.client.call("unsubscribe", timeout=PATIENCE) == {"left": []}
        door.publish(quote("000001.SZ", price=12.7))
        listener.subscribe("600000.SH")
        assert listener.prices() == {"600000.SH": 10.6}


def test_two_clients_get_what_each_wants(door: Door) -> None:
    with listening(door.url) as one, listening(door.url) as two:
        one.subscribe("600000.SH", "000001.SZ")
        two.subscribe("000001.SZ")
        assert set(one.prices()) == {"600000.SH", "000001.SZ"}
        assert set(two.prices()) == {"000001.SZ"}
        door.publish(quote("000001.SZ", price=13.0))
        assert one.prices() == two.prices() == {"000001.SZ": 13.0}


@pytest.mark.parametrize("asked", [None, {}, {"codes": 7}, {"codes": [7]}, {"codes": ["600000"] * 501}])
def test_what_cannot_be_done_is_told_and_changes_nothing(door: Door, asked: Any) -> None:
    with listening(door.url) as listener:
        listener.subscribe("600000.SH")
        listener.prices()
        assert listener.client.call("subscribe", asked, timeout=PATIENCE)["error"]
        door.publish(quote("600000.SH", price=10.7))
        assert listener.prices() == {"600000.SH": 10.7}


def test_who_comes_again_gets_the_newest_at_once(door: Door) -> None:
    with listening(door.url) as listener:
        listener.subscribe("600000.SH")
        listener.prices()
    door.publish(quote("600000.SH", price=10.9))
    with listening(door.url) as listener:
        listener.subscribe("600000.SH")
        assert listener.prices() == {"600000.SH": 10.9}


def test_a_key_is_asked_for_once_there_is_one_in_the_payload_or_a_header(door: Door) -> None:
    key = keys.add(door.database, "desk", Scope.READ, None)
    told = refused(door.url)
    assert (told["data"]["status"], told["data"]["to_do"]) == (401, "quant-pipeline serve token add NAME")
    assert refused(door.url, auth={"token": key[:-1] + "!"})["data"]["status"] == 401
    for shown in ({"auth": {"token": key}}, {"headers": {"Authorization": f"Bearer {key}"}}):
        with listening(door.url, **shown) as listener:
            assert listener.subscribe("600000")["accepted"] == ["600000.SH"]


def test_an_address_that_others_reach_asks_for_a_key_always(warehouse: Database) -> None:
    with served(Settings(), warehouse, host="0.0.0.0") as url:
        url = url.replace("0.0.0.0", "127.0.0.1")
        assert refused(url)["data"]["status"] == 401
        with listening(url, auth={"token": keys.add(warehouse, "desk", Scope.READ, None)}) as listener:
            listener.subscribe()


@pytest.mark.parametrize("address", ["/socket.io/?EIO=4&transport=websocket", "/ws/quotes", "/quotes/feed"])
@pytest.mark.parametrize("origin", ["http://evil.example", "http://6.6.6.6", "null"])
def test_a_page_of_another_site_is_refused(door: Door, address: str, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        connect(f"{door.socket}{address}", additional_headers={"Origin": origin})
    assert refusal.value.response.status_code == 403
    connect(f"{door.socket}{address}", additional_headers={"Origin": door.url}).close()


def test_long_polling_is_told_what_to_do(door: Door) -> None:
    answer = requests.get(f"{door.url}/socket.io/?EIO=4&transport=polling", timeout=PATIENCE)
    assert answer.status_code == 400
    assert 'transports: ["websocket"]' in answer.json()["message"]


def test_where_quotes_are_off_it_says_so(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_QUOTES", "false")
    with served(Settings(), warehouse) as url:
        told = refused(url)
        assert told["data"]["status"] == 503
        assert "QUANT_QUOTES=true" in told["data"]["to_do"]


def test_who_does_not_read_grows_nothing_and_holds_up_nobody(door: Door) -> None:
    """Its receive buffer is small and never emptied: some hundred kilobytes fit on the way, and megabytes are published."""
    name = "浦" * 20_000
    with listening(door.url) as reader, stalled(door.url) as unread:
        reader.subscribe("600000.SH")
        assert reader.prices() == {"600000.SH": 10.5}
        unread.send(b'42["subscribe",{"codes":["600000.SH"]}]')
        for price in range(11, 111):
            door.publish(quote("600000.SH", price=float(price), name=name))
            assert reader.prices() == {"600000.SH": float(price)}
        told = unread.received_until(110.0)
        assert len(told) < 60, "it got what fitted on the way, and the newest"


class Stalled:
    """A client that connects and subscribes, and reads only when it is told to."""

    def __init__(self, url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect((host, int(port)))
        self._raw = raw
        self._socket = connect(f"ws://{host}:{port}/socket.io/?EIO=4&transport=websocket", sock=raw, max_size=None, max_queue=1)
        assert str(self._socket.recv(timeout=PATIENCE)).startswith("0")
        self._socket.send("40")
        assert str(self._socket.recv(timeout=PATIENCE)).startswith("40")

    def send(self, text: bytes) -> None:
        self._socket.send(text.decode())

    def received_until(self, last: float) -> list[float]:
        """The prices of all that was sent."""
        found: list[float] = []
        while last not in found:
            text = str(self._socket.recv(timeout=PATIENCE))
            if text.startswith("42"):
                found += [each["price"] for each in json.loads(text[2:])[1]["data"]]
        return found

    def close(self) -> None:
        self._socket.close()


@contextmanager
def stalled(url: str) -> Iterator[Stalled]:
    client = Stalled(url)
    try:
        yield client
    finally:
        client.close()


def test_the_end_of_the_door_is_told(warehouse: Database) -> None:
    with served(Settings(), warehouse) as url:
        listener = Listener()
        listener.client.connect(url, transports=["websocket"])
        listener.subscribe("600000")
    assert listener.gone.get(timeout=PATIENCE)
