"""The poller over real sockets and a real database: whom it asks, when, and what it does when they fail or it dies."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from quant_pipeline.market import clock
from quant_pipeline.market.xshg import xshg
from quant_pipeline.quotes.hosts import Hosts
from quant_pipeline.quotes.poller import PLACE, Poller, Sources, run, sources
from quant_pipeline.quotes.store import CHANNEL, Store
from quant_pipeline.sandbox.rehearsal import Rehearsal
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence


@pytest.fixture
def codes(market: SimulatedMarket) -> list[str]:
    """Some listed shares of each exchange, none of them halted."""
    frame = market.frame("quotes", {}, 1_000)
    return [code for code, halted in zip(frame["ts_code"], frame["halted"], strict=True) if not halted]


@pytest.fixture
def store(warehouse: Database) -> Store:
    return Store(warehouse)


@pytest.fixture
def poller(warehouse: Database, store: Store, hosts: Hosts, codes: list[str]) -> Iterator[Poller]:
    free = Hosts(hosts.tencent, hosts.ranks, hosts.sina)
    with closing(Presence(warehouse.connect())) as presence:
        limiter = Limiter(warehouse.pool, presence)
        yield Poller(store, "host:1", lambda: sources(free, limiter, lambda: codes), xshg)


def asked(sandbox: Rehearsal, server: str) -> list[str]:
    """What the site was asked for since the beginning of the test, call by call."""
    return [call["params"]["codes"] for call in sandbox.calls("quotes", server=server)]


@pytest.fixture
def calls(sandbox: Rehearsal) -> Callable[[str], list[str]]:
    before = {server: len(asked(sandbox, server)) for server in ("tencent", "sina")}
    return lambda server: asked(sandbox, server)[before[server] :]


def test_two_subscribers_are_one_poll(
    store: Store, poller: Poller, codes: list[str], calls: Callable[[str], list[str]]
) -> None:
    first, second = codes[0], codes[-1]
    store.subscribe("a", [first, second])
    store.subscribe("b", [second, "000001.SH"])
    assert poller.poll() == {first, second, "000001.SH"}
    (call,) = calls("tencent")
    assert len(call.split(",")) == 3
    assert poller.poll() == frozenset()  # nothing moved in a clock that stands
    state = store.state()
    assert (state.source, state.error, state.last_success) == ("tencent", None, clock.now())


def test_nothing_is_asked_where_nobody_wants_or_the_exchange_is_shut(
    store: Store, poller: Poller, codes: list[str], calls: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert poller.poll() == frozenset()
    star = next(code for code in codes if code.startswith("688"))
    main = next(code for code in codes if code.startswith("600"))
    store.subscribe("a", [main, star])
    store.ask_for_market("a")
    for closed in ("2026-11-20T09:14:59", "2026-11-20T12:00", "2026-11-20T15:31", "2026-11-21T10:30", "2026-10-01T10:30"):
        monkeypatch.setenv(clock.NOW_VARIABLE, closed)
        assert poller.poll() == frozenset()
    assert calls("tencent") == []
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T15:20")
    assert poller.poll() == {star}


def test_sina_answers_while_tencent_fails_and_tencent_again_when_it_recovers(
    sandbox: Rehearsal, store: Store, poller: Poller, codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.subscribe("a", codes[:2])
    sandbox.order_fault("status", server="tencent", status=502, times=2)
    assert poller.poll() == set(codes[:2])
    state = store.state()
    assert state.source == "sina"
    assert "502" in (state.error or "")
    assert {quote.source for quote in store.latest().values()} == {"sina"}
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T10:31:00")
    poller.poll()
    assert store.state().source == "sina"
    poller.poll()
    state = store.state()
    assert (state.source, state.error) == ("tencent", None)


def test_where_all_fail_the_last_snapshot_stays_and_grows_stale(
    sandbox: Rehearsal, store: Store, poller: Poller, codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.subscribe("a", codes[:1])
    poller.poll()
    good, succeeded = store.latest(), store.state().last_success
    for server in ("tencent", "sina"):
        sandbox.order_fault("status", server=server, status=403, times=1)
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T10:30:20")
    assert poller.poll() == frozenset()
    assert store.latest() == good
    assert good[codes[0]].is_stale()
    state = store.state()
    assert state.last_success == succeeded
    assert state.next_retry is not None
    assert state.next_retry > clock.now()
    assert "403" in (state.error or "")
    assert poller.poll() == set(codes[:1])
    assert not store.latest()[codes[0]].is_stale()


def test_a_code_that_nobody_has_is_named_and_stops_no_other(store: Store, poller: Poller, codes: list[str]) -> None:
    store.subscribe("a", [codes[0], "699999.SH", "nonsense"])
    assert poller.poll() == {codes[0]}
    assert {"699999.SH", "nonsense"} == set(store.state().refused)
    assert "699999.SH" in store.state().refused


def test_the_whole_market_comes_on_request(store: Store, poller: Poller, codes: list[str], market: SimulatedMarket) -> None:
    store.ask_for_market("a")
    store.subscribe("a", codes[:1])
    every = set(market.frame("quotes", {}, 1_000)["ts_code"])
    assert poller.poll() == every
    latest = store.latest()
    assert latest[codes[0]].bids
    assert latest[codes[1]].volume


def test_the_whole_market_comes_from_sina_where_tencent_s_list_fails(
    sandbox: Rehearsal, store: Store, poller: Poller, codes: list[str]
) -> None:
    store.ask_for_market("a")
    sandbox.order_fault("status", server="tencent", api="ranks", after=1, status=502)
    assert poller.poll() == set(codes)
    assert store.state().source == "sina"


def test_what_was_asked_for_by_code_does_not_wait_for_the_market(
    warehouse: Database, sandbox: Rehearsal, store: Store, poller: Poller, codes: list[str]
) -> None:
    store.ask_for_market("a")
    store.subscribe("a", codes[:1])
    sandbox.order_fault("slow", server="tencent", api="ranks", seconds=1)
    with warehouse.connect(autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        thread = threading.Thread(target=poller.poll)
        thread.start()
        (told,) = listener.notifies(timeout=20, stop_after=1)
        assert store.changed_since(0)[1] == int(told.payload)
        assert set(store.latest()) == set(codes[:1])
        thread.join(30)
    assert set(codes) <= set(store.latest())


def test_a_poll_never_raises(store: Store, codes: list[str]) -> None:
    def nowhere() -> Sources:
        raise RuntimeError("the sandbox did not start")

    store.subscribe("a", codes[:1])
    assert Poller(store, "host:1", nowhere, xshg).poll() == frozenset()
    assert store.state().error == "the sandbox did not start"


_HOLDER = """
import sys
from quant_pipeline.settings import Mode
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
presence = Presence(Database(sys.argv[1], Mode.SANDBOX).connect())
assert presence.claim(int(sys.argv[2]))
print("holds", flush=True)
sys.stdin.read()
"""


def test_when_the_process_that_polls_is_killed_the_next_one_takes_over(
    warehouse: Database, store: Store, hosts: Hosts, codes: list[str], calls: Callable[[str], list[str]]
) -> None:
    store.subscribe("a", codes[:1])
    stop = threading.Event()
    command = [sys.executable, "-c", _HOLDER, warehouse.url, str(PLACE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holds\n"
        with warehouse.connect(autocommit=True) as listener:
            listener.execute(f"LISTEN {CHANNEL}")
            thread = threading.Thread(
                target=run, args=(stop, warehouse, lambda: hosts, xshg, lambda: codes), kwargs={"period": 0.1}
            )
            thread.start()
            try:
                assert list(listener.notifies(timeout=0.5)) == []
                assert calls("tencent") == []
                holder.kill()
                assert len(list(listener.notifies(timeout=20, stop_after=1))) == 1
            finally:
                stop.set()
                thread.join(20)
    assert set(store.latest()) == set(codes[:1])
