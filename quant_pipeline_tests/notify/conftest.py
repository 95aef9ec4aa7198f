"""An outbox in a real database, and a sandbox's PushPlus to send from it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from quant_pipeline.market import clock
from quant_pipeline.notify import asking, outbox
from quant_pipeline.notify.channels.contract import Channel
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.notify.messages import Message
from quant_pipeline.notify.routing import routes_of
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket
from quant_pipeline.warehouse.database import Database

_CONTENT = re.compile(r"&lt;p&gt;(.*?)&lt;/p&gt;")
NOW = "2026-11-20T18:00"
_MOMENTS = {
    "messages": ("created_at",),
    "deliveries": ("not_before", "ask_at", "sent_at"),
    "delivery_attempts": ("started_at", "finished_at"),
    "channel_state": ("retry_at", "day_until"),
}
"""What the outbox remembers."""


@pytest.fixture(scope="session")
def market() -> SimulatedMarket:
    """A market that no test here looks at."""
    return SimulatedMarket(Exchange(codes=60, first_year=2025))


@pytest.fixture
def sandbox(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setenv(clock.NOW_VARIABLE, NOW)
    with running(market) as rehearsal:
        yield rehearsal


@pytest.fixture
def client(sandbox: Rehearsal) -> PushPlus:
    return PushPlus(sandbox.pushplus_token, sandbox.pushplus_url, sandbox.pushplus_secret)


@pytest.fixture
def mute(sandbox: Rehearsal) -> PushPlus:
    """A client without the secret key."""
    return PushPlus(sandbox.pushplus_token, sandbox.pushplus_url)


@dataclass
class Bench:
    """What a test of the outbox works with."""

    database: Database
    sandbox: Rehearsal
    client: PushPlus

    def enqueue(self, *keys: str) -> None:
        """A message for each key, with the key as its content."""
        for key in keys:
            assert self.put(key, Message("标题", key))

    def put(self, key: str, message: Message) -> bool:
        with self.database.connect() as connection:
            return outbox.enqueue(connection, key, message)

    def deliver(self, *channels: Channel, routes: Mapping[str, Any] | None = None) -> outbox.Delivered:
        """Over these channels (default: PushPlus); `routes`: as a file of channels has them."""
        over = channels or (self.client,)
        return outbox.deliver(self.database, over, routes_of(routes or {}, over))

    def rows(self, columns: str) -> list[tuple[Any, ...]]:
        """These expressions over the messages, oldest first."""
        return self.execute(f"SELECT {columns} FROM messages ORDER BY id")

    def deliveries(self, columns: str) -> list[tuple[Any, ...]]:
        """These expressions over the deliveries, in the order in which they were made."""
        return self.execute(f"SELECT {columns} FROM deliveries ORDER BY id")

    def pass_time(self, interval: str) -> None:
        """Everything that the outbox remembers is so much longer ago."""
        by = f"- interval '{interval}'"
        for table, moments in _MOMENTS.items():
            earlier = ", ".join(f"{moment} = {moment} {by}" for moment in moments)
            self.execute(f"UPDATE {table} SET {earlier} RETURNING 1")

    def execute(self, query: str) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(query).fetchall()  # type: ignore[call-overload, no-any-return]

    def inbox(self) -> list[str]:
        """The contents that PushPlus took, in the order in which they arrived."""
        page = requests.get(self.sandbox.inbox_url, timeout=10).text
        return [html.unescape(html.unescape(text)) for text in reversed(_CONTENT.findall(page))]

    def answers(self, api: str = "send") -> list[str]:
        """How the server answered its calls."""
        return [call["answer"] for call in self.sandbox.calls(api, server="pushplus")]


@pytest.fixture
def bench(warehouse: Database, sandbox: Rehearsal, client: PushPlus, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(asking, "PATIENCE", 30.0)  # a busy machine is no undelivered message
    return Bench(warehouse, sandbox, client)
