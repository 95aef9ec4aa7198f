"""Quotes that are kept for later: what changed and no more, whoever polls and however he ends; the live ones go on."""

from __future__ import annotations

import datetime as dt
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import polars as pl
import pytest

from quant_pipeline.market import clock
from quant_pipeline.market.datasets import INTRADAY_QUOTES
from quant_pipeline.market.xshg import xshg
from quant_pipeline.quotes.hosts import Hosts
from quant_pipeline.quotes.kept import keep
from quant_pipeline.quotes.poller import Poller, run, sources
from quant_pipeline.quotes.store import CHANNEL, Store
from quant_pipeline.resources import quotes as resource
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket
from quant_pipeline.settings import Settings
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline.warehouse.reads import read
from quant_pipeline_tests.quotes.quotes import MORNING, quote

DAY = dt.date(2026, 11, 20)
SOON = dt.timedelta(seconds=3)


@pytest.fixture
def store(warehouse: Database) -> Store:
    return Store(warehouse)


@pytest.fixture
def codes(market: SimulatedMarket) -> list[str]:
    frame = market.frame("quotes", {}, 1_000)
    return frame.filter(~pl.col("halted"))["ts_code"].to_list()


@pytest.fixture
def poller(warehouse: Database, store: Store, hosts: Hosts, codes: list[str]) -> Iterator[Poller]:
    free = Hosts(hosts.tencent, hosts.ranks, hosts.sina)
    with closing(Presence(warehouse.connect())) as presence:
        limiter = Limiter(warehouse.pool, presence)
        yield Poller(store, "host:1", lambda: sources(free, limiter, lambda: codes), xshg, keep=partial(keep, warehouse))


def rows(warehouse: Database) -> list[dict[str, object]]:
    return read(warehouse, INTRADAY_QUOTES, columns=[*INTRADAY_QUOTES.column_names, "source"]).to_dicts()


def test_a_quote_is_kept_whole_once_and_again_when_it_changed(warehouse: Database) -> None:
    first = quote()
    assert keep(warehouse, [first]) == 1
    assert keep(warehouse, [first]) == 0
    assert keep(warehouse, [quote(received_at=MORNING + SOON, source="sina")]) == 0, "it says the same"
    assert keep(warehouse, [quote(price=10.51, exchange_time=MORNING + SOON)]) == 1
    assert keep(warehouse, [first]) == 0, "an older one takes nothing back"
    begun, moved = rows(warehouse)
    assert begun == {
        "ts_code": "600000.SH",
        "trade_date": DAY,
        "quote_time": "10:30:00",
        "price": 10.5,
        "pre_close": 10.0,
        "open": 10.1,
        "high": 10.6,
        "low": 10.05,
        "volume": 1_234_500,
        "amount": 12_900_000.5,
        "bids": "[[10.49, 1200], [10.48, 300]]",
        "asks": "[[10.5, 900]]",
        "status": "trading",
        "source": "tencent",
    }
    assert (moved["quote_time"], moved["price"]) == ("10:30:03", 10.51)


def test_two_answers_of_one_second_are_one_row_the_last_one(warehouse: Database) -> None:
    assert keep(warehouse, [quote(), quote("000001.SZ", exchange_time=None, bids=(), price=None)]) == 2
    assert keep(warehouse, [quote(volume=1_234_600)]) == 1
    other, own = rows(warehouse)
    assert (own["quote_time"], own["volume"]) == ("10:30:00", 1_234_600)
    assert (other["quote_time"], other["bids"], other["price"]) == ("10:30:01", None, None), "when it was received"


def test_a_session_is_kept_as_it_goes_by_up_to_the_day_s_bar(
    warehouse: Database,
    store: Store,
    poller: Poller,
    codes: list[str],
    market: SimulatedMarket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = codes[:2]
    store.subscribe("a", watched)
    times = ["10:30:00", "10:30:30", "11:20:00", "14:59:00", "15:00:00"]
    for at in times:
        monkeypatch.setenv(clock.NOW_VARIABLE, f"2026-11-20T{at}")
        poller.poll()
        poller.poll()  # nothing moved in a clock that stands
    found = read(warehouse, INTRADAY_QUOTES, codes=watched[:1])
    assert found["quote_time"].to_list() == times
    assert found["price"].n_unique() > 2
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T18:00:00")
    bar = market.frame("daily", {"trade_date": "20261120", "ts_code": watched[0]}, 10).row(0, named=True)
    last = found.row(-1, named=True)
    assert (last["price"], last["high"], last["low"]) == (bar["close"], bar["high"], bar["low"])
    assert last["volume"] == pytest.approx(bar["vol"] * 100, abs=100)


def test_the_market_is_kept_too_where_somebody_wants_it(
    warehouse: Database, store: Store, poller: Poller, codes: list[str]
) -> None:
    store.ask_for_market("a")
    poller.poll()
    assert {row["ts_code"] for row in rows(warehouse)} >= set(codes)


def test_the_live_quotes_go_on_where_the_table_cannot_be_written_and_it_is_told_once(
    warehouse: Database,
    store: Store,
    poller: Poller,
    codes: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "quant_pipeline.quotes.poller")
    store.subscribe("a", codes[:1])
    with warehouse.connect() as other:  # a backup, an ALTER TABLE that waits
        other.execute("LOCK TABLE intraday_quotes IN ACCESS EXCLUSIVE MODE")
        assert poller.poll() == set(codes[:1])
        monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T10:31:00")
        assert poller.poll() == set(codes[:1])
        assert "not kept in intraday_quotes" in (store.state().error or "")
        other.rollback()
    assert [each.levelname for each in caplog.records] == ["WARNING"]
    assert poller.poll() == frozenset()
    assert store.state().error is None
    assert [row["quote_time"] for row in rows(warehouse)] == ["10:31:00"], "kept as soon as it can be, though it is not new"
    assert [each.levelname for each in caplog.records] == ["WARNING", "INFO"]


_POLLER = """
import sys, threading
from functools import partial
from quant_pipeline.market.xshg import xshg
from quant_pipeline.quotes.hosts import Hosts
from quant_pipeline.quotes.kept import keep
from quant_pipeline.quotes.poller import run
from quant_pipeline.settings import Mode
from quant_pipeline.warehouse.database import Database
database = Database(sys.argv[1], Mode.SANDBOX)
hosts = Hosts(*sys.argv[2:])
run(threading.Event(), database, lambda: hosts, xshg, list, period=0.1, keep=partial(keep, database))
"""
_WAITS = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def test_a_poller_killed_while_it_writes_loses_and_doubles_nothing_and_the_next_goes_on(
    warehouse: Database, store: Store, hosts: Hosts, codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = codes[:3]
    store.subscribe("a", watched)
    command = [sys.executable, "-c", _POLLER, warehouse.url, hosts.tencent, hosts.ranks, hosts.sina]

    def until(seen: Callable[[], bool]) -> None:
        with warehouse.connect(autocommit=True) as listener:
            listener.execute(f"LISTEN {CHANNEL}")
            while not seen():
                assert process.poll() is None or thread is not None
                list(listener.notifies(timeout=0.2, stop_after=1))

    thread, stop = None, threading.Event()
    with subprocess.Popen(command) as process, warehouse.connect() as blocker, warehouse.connect(autocommit=True) as looker:
        until(lambda: len(rows(warehouse)) == 3)
        blocker.execute("LOCK TABLE intraday_quotes IN SHARE ROW EXCLUSIVE MODE")
        monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T10:31:00")  # the exchange's; the process has a clock of its own
        until(lambda: looker.execute(_WAITS).fetchone() is not None)
        process.kill()
        process.wait(20)
        blocker.rollback()
    assert len(rows(warehouse)) == 3, "half a write is none"
    assert {each.exchange_time for each in store.latest().values()} == {MORNING + dt.timedelta(minutes=1)}
    thread = threading.Thread(
        target=run,
        args=(stop, warehouse, lambda: hosts, xshg, list),
        kwargs={"period": 0.1, "keep": partial(keep, warehouse)},
    )
    thread.start()
    try:
        until(lambda: len(rows(warehouse)) == 6)
        monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T10:32:00")
        until(lambda: len(rows(warehouse)) == 9)
    finally:
        stop.set()
        thread.join(20)
    kept = read(warehouse, INTRADAY_QUOTES)
    assert kept.select("ts_code", "quote_time").rows() == [
        (code, at) for code in watched for at in ("10:30:00", "10:31:00", "10:32:00")
    ]


@pytest.mark.parametrize("stored", [None, "true"])
def test_nothing_is_kept_unless_the_setting_says_so(
    warehouse: Database, monkeypatch: pytest.MonkeyPatch, stored: str | None
) -> None:
    given: list[object] = []
    monkeypatch.setattr(resource.poller, "run", lambda *_, keep, **__: given.append(keep))
    if stored:
        monkeypatch.setenv("QUANT_QUOTES_STORE", stored)
    resource.poll(Settings(), lambda: warehouse, xshg, threading.Event())
    assert [each is not None for each in given] == [stored is not None]
