"""The hub over a real database: what waits for a reader, when a quote is told to be stale, and a listener that comes back."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Awaitable, Callable

import orjson
import pytest

from quant_pipeline.market import clock
from quant_pipeline.quotes.hub import Hub, Reader
from quant_pipeline.quotes.quote import Quote
from quant_pipeline.quotes.store import Store
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.quotes.quotes import MORNING, quote

PATIENCE = 30


@pytest.fixture(autouse=True)
def morning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T10:30:02")


def in_a_hub(database: Database, work: Callable[[Hub, Store], Awaitable[None]], look: float = 0.05) -> None:
    async def run() -> None:
        hub = Hub(lambda: database, look=look)
        try:
            await asyncio.wait_for(work(hub, Store(database)), PATIENCE)
        finally:
            await hub.close()

    asyncio.run(run())


async def after(reader: Reader) -> list[Quote]:
    await reader.offered()
    return reader.take()


@pytest.mark.parametrize("steps", range(5))
def test_it_ends_when_it_is_asked_to_however_soon_after_a_change(warehouse: Database, steps: int) -> None:
    """A change that wakes what is cancelled at that moment must not swallow that it is."""

    async def run() -> None:
        hub = Hub(lambda: warehouse)
        reader = hub.join()
        await hub.want(reader, ["600000.SH"])
        while "600000.SH" not in Store(warehouse).wanted():
            await asyncio.sleep(0.01)
        while not hub._changed._waiters:  # type: ignore[attr-defined]
            await asyncio.sleep(0.01)
        hub.leave(reader)
        for _ in range(steps):
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            await hub.close()

    asyncio.run(run())


def test_of_each_code_the_newest_alone_waits() -> None:
    async def run() -> list[Quote]:
        reader = Reader()
        for price in range(1, 1000):
            reader.offer(quote("600000.SH", price=float(price)))
        reader.offer(quote("000001.SZ"))
        reader.wants(frozenset({"600000.SH"}))
        return reader.take()

    assert asyncio.run(run()) == [quote("600000.SH", price=999.0)]


def test_what_is_stale_is_told_once_and_its_recovery_too(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(hub: Hub, store: Store) -> None:
        store.publish([quote()])
        reader = hub.join()
        await hub.want(reader, ["600000.SH", "000001.SZ"])
        (first,) = await after(reader)
        assert not first.is_stale()
        monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T10:31:00")
        (second,) = await after(reader)
        assert second == first
        assert json.loads(orjson.dumps(hub.told(second)))["stale"]
        other = quote("000001.SZ", received_at=clock.now())
        store.publish([other])
        assert await after(reader) == [other], "the stale one is not told again"
        fresh = quote(received_at=MORNING + dt.timedelta(seconds=59))
        assert not store.publish([fresh]), "the same figures: no change, and nobody is told of one"
        assert await after(reader) == [fresh]

    in_a_hub(warehouse, work)


def test_it_listens_again_after_the_server_cut_it_off(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quant_pipeline.quotes.hub._AGAIN", 0.05)

    async def work(hub: Hub, store: Store) -> None:
        reader = hub.join()
        await hub.want(reader, ["600000.SH"])
        with warehouse.connect(autocommit=True) as connection:
            cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%' AND datname = %s"
            while not connection.execute(cut, (warehouse.name,)).fetchall()[0][0]:
                await asyncio.sleep(0.01)
            store.publish([quote(price=11.0)])
        assert [each.price for each in await after(reader)] == [11.0]

    in_a_hub(warehouse, work, look=3600)


def test_who_asks_once_gets_what_comes_in_time_and_the_code_is_polled_on(warehouse: Database) -> None:
    async def work(hub: Hub, store: Store) -> None:
        asking = asyncio.create_task(hub.ask(["600000.SH"], patience=PATIENCE))
        while "600000.SH" not in store.wanted():
            await asyncio.sleep(0.01)
        store.publish([quote()])
        assert await asking == {"600000.SH": quote()}
        assert "600000.SH" in store.wanted()
        assert await hub.ask(["000001.SZ"], patience=0.01) == {}

    in_a_hub(warehouse, work)


def test_when_the_exchange_is_closed_nothing_is_waited_for(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-21T10:30:00")

    async def work(hub: Hub, _: Store) -> None:
        assert await hub.ask(["600000.SH"], patience=3600) == {}

    in_a_hub(warehouse, work)
