"""Leases, publications, and what a listener of another process gets, in a real database."""

from __future__ import annotations

import dataclasses
import datetime as dt

from quant_pipeline.quotes.store import CHANNEL, PollerState, Store
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.quotes.quotes import MORNING, QUOTE, quote


def test_subscriptions_are_leases_of_their_subscribers(warehouse: Database) -> None:
    store = Store(warehouse)
    store.subscribe("a", ["600000.SH", "000001.SZ"])
    store.subscribe("b", ["000001.SZ", "000001.SH"])
    assert store.wanted() == {"600000.SH", "000001.SZ", "000001.SH"}
    store.subscribe("a", ["688981.SH"])
    assert store.wanted() == {"688981.SH", "000001.SZ", "000001.SH"}
    store.unsubscribe("b")
    now = dt.datetime.now(dt.UTC)
    assert store.wanted(now + dt.timedelta(seconds=55)) == {"688981.SH"}
    assert store.wanted(now + dt.timedelta(seconds=65)) == frozenset()


def test_the_whole_market_is_a_lease_beside_the_codes(warehouse: Database) -> None:
    store = Store(warehouse)
    assert not store.market_wanted()
    store.ask_for_market("a")
    store.subscribe("a", ["600000.SH"])
    now = dt.datetime.now(dt.UTC)
    assert store.market_wanted()
    assert not store.market_wanted(now + dt.timedelta(seconds=65))
    store.unsubscribe("a")
    assert not store.market_wanted()
    assert not store.wanted()


def test_a_quote_comes_back_as_it_was_published(warehouse: Database) -> None:
    store = Store(warehouse)
    bare = quote(
        "000001.SZ", name=None, price=None, open=None, volume=None, amount=None, bids=(), exchange_time=None, status="suspended"
    )
    assert store.publish([QUOTE, bare]) == {"600000.SH", "000001.SZ"}
    assert store.latest(["600000.SH", "000001.SZ", "000001.SH"]) == {"600000.SH": QUOTE, "000001.SZ": bare}
    assert set(store.latest()) == {"600000.SH", "000001.SZ"}


def test_only_what_changed_is_told_and_the_rest_is_fresh_again(warehouse: Database) -> None:
    store = Store(warehouse)
    store.publish([QUOTE, quote("000001.SZ")])
    _, sequence = store.changed_since(0)
    later = MORNING + dt.timedelta(seconds=4)
    with warehouse.connect(autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        same = dataclasses.replace(QUOTE, received_at=later)
        moved = quote("000001.SZ", price=10.51, received_at=later)
        assert store.publish([same]) == frozenset()
        assert store.publish([same, moved]) == {"000001.SZ"}
        (told,) = listener.notifies(timeout=10, stop_after=1)
    assert store.changed_since(sequence) == ([moved], int(told.payload))
    assert store.changed_since(sequence, ["600000.SH"]) == ([], sequence)
    assert store.latest(["600000.SH"])["600000.SH"].received_at == later


def test_an_older_snapshot_takes_nothing_back(warehouse: Database) -> None:
    store = Store(warehouse)
    store.publish([QUOTE])
    lagging = quote(price=9.9, exchange_time=MORNING - dt.timedelta(seconds=30), source="sina")
    assert store.publish([lagging]) == frozenset()
    assert store.latest(["600000.SH"]) == {"600000.SH": QUOTE}


def test_the_poller_s_failure_leaves_its_last_success(warehouse: Database) -> None:
    store = Store(warehouse)
    assert store.state() == PollerState()
    store.publish([QUOTE])
    store.record("host:1", source="tencent", last_success=MORNING)
    store.record("host:2", next_retry=MORNING + dt.timedelta(minutes=1), error="Tencent answered with HTTP 502")
    state = store.state()
    assert (state.sequence, state.process, state.source, state.last_success) == (1, "host:2", "tencent", MORNING)
    assert state.error == "Tencent answered with HTTP 502"
    assert state.next_retry == MORNING + dt.timedelta(minutes=1)
    store.record("host:2", source="sina", last_success=MORNING)
    assert store.state().error is None
