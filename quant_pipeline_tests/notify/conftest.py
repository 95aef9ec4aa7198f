"""An outbox in a real database, and a sandbox's PushPlus to send from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from quant_pipeline.market import clock
from quant_pipeline.notify import outbox
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.notify.messages import Message
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket
from quant_pipeline.warehouse.database import Database

NOW = "2026-11-20T18:00"


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

    def deliver(self, client: PushPlus | None = None) -> outbox.Delivered:
        return outbox.deliver(self.database, client or self.client)

    def rows(self, columns: str) -> list[tuple[Any, ...]]:
        """These expressions over the messages, oldest first."""
        return self.execute(f"SELECT {columns} FROM messages ORDER BY id")

    def pass_time(self, interval: str) -> None:
        """Everything that the outbox remembers is so much longer ago."""
        by = f"- interval '{interval}'"
        self.execute(f"UPDATE messages SET sent_at = sent_at {by}, next_attempt_at = next_attempt_at {by} RETURNING id")
        self.execute(f"UPDATE source_state SET blocked_until = blocked_until {by} RETURNING source")

    def execute(self, query: str) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(query).fetchall()  # type: ignore[call-overload, no-any-return]

    def answers(self, api: str = "send") -> list[str]:
        """How the server answered its calls."""
        return [call["answer"] for call in self.sandbox.calls(api, server="pushplus")]


@pytest.fixture
def bench(warehouse: Database, sandbox: Rehearsal, client: PushPlus) -> Bench:
    return Bench(warehouse, sandbox, client)
