"""A sandbox that dies in the middle of a sync and is started again is found by the sources that are at work."""

from __future__ import annotations

import datetime as dt
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import requests

from quant_pipeline.market.datasets import THS_INDUSTRIES, TRADE_CALENDAR
from quant_pipeline.market.xshg import xshg
from quant_pipeline.resources import upstream
from quant_pipeline.resources.sources import SourcesResource
from quant_pipeline.sandbox import starter
from quant_pipeline.sandbox.addresses import Addresses
from quant_pipeline.settings import load
from quant_pipeline.sources.baostock import BaostockSource
from quant_pipeline.sources.base import Source, Tally
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.tushare import TushareSettings, TushareSource
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

SESSION = dt.date(2026, 11, 20)
PATIENT = RatePolicy(per_minute=None, per_second=None, retries=8, backoff=0.2, timeout=60, trip=20)
ASKED = {"tushare": TRADE_CALENDAR, "baostock": TRADE_CALENDAR, "akshare": TRADE_CALENDAR, "ths": THS_INDUSTRIES}
Made = Callable[[Addresses, Limiter], Source]


def of_tushare(at: Addresses, limiter: Limiter) -> Source:
    return TushareSource(at.token, at.tushare_url, xshg(), limiter, {"tushare": {"*": PATIENT}})


def of_baostock(at: Addresses, limiter: Limiter) -> Source:
    return BaostockSource(at.host, at.baostock_port, "anonymous", "123456", xshg(), limiter, {"baostock": {"*": PATIENT}})


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T20:00")
    yield tmp_path
    starter.stop(tmp_path)


@pytest.mark.parametrize("made", [of_tushare, of_baostock])
def test_a_call_that_a_dying_sandbox_cut_is_made_again_to_the_next_one(own_home: Path, limiter: Limiter, made: Made) -> None:
    first = starter.ensure_running(own_home)
    source = made(first, limiter)
    control = {"headers": first.control_headers, "timeout": 30}
    pid = requests.get(f"{first.control_url}/health", **control).json()["pid"]
    fault = {"kind": "hang", "server": source.name, "seconds": 3_600}
    requests.post(f"{first.control_url}/faults", json=fault, **control).raise_for_status()

    def replace() -> None:
        """Once the call hangs in the first sandbox, it is killed, and another takes its place."""
        arrived = threading.Event()
        while not requests.get(f"{first.control_url}/calls?server={source.name}", **control).json():
            arrived.wait(0.05)
        process = psutil.Process(pid)
        process.kill()
        process.wait(60)
        starter.ensure_running(own_home)

    replacing = threading.Thread(target=replace)
    replacing.start()
    try:
        rows = source.fetch(TRADE_CALENDAR, Unit(Grain.SNAPSHOT, SESSION, SESSION), Tally())
    finally:
        replacing.join()
        source.close()
    assert len(rows) > 13_000


def test_one_that_had_to_take_other_ports_is_found_by_every_source_at_its_next_call(
    own_home: Path, warehouse: Database, presence: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The former ports are taken by strangers meanwhile, who refuse: each source looks where the sandbox listens now."""
    monkeypatch.setenv("QUANT_HOME", str(own_home))
    limits = own_home / "limits.toml"
    limits.write_text("".join(f"[{name}.'*']\nquota = false\nretries = 8\nbackoff = 0.05\n" for name in ASKED))
    monkeypatch.setenv("QUANT_RATE_LIMITS", str(limits))
    with SourcesResource().opened(warehouse, xshg(), presence) as (sources, _), ExitStack() as strangers:
        by_name = {source.name: source for source in sources}
        first = starter.ensure_running(own_home)
        pid = requests.get(f"{first.control_url}/health", headers=first.control_headers, timeout=30).json()["pid"]
        process = psutil.Process(pid)
        process.kill()
        process.wait(60)
        for port in (first.port, first.baostock_port, first.proxy_port):
            taken = strangers.enter_context(socket.socket())
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((first.host, port))  # it does not listen: who comes is refused
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        second = starter.ensure_running(own_home)
        assert {second.port, second.baostock_port, second.proxy_port}.isdisjoint(
            {first.port, first.baostock_port, first.proxy_port}
        )
        for name, dataset in ASKED.items():
            assert not by_name[name].fetch(dataset, Unit(Grain.SNAPSHOT, SESSION, SESSION), Tally()).is_empty(), name


def test_a_server_that_was_set_by_hand_stays_where_it_is(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_HOME", str(own_home))
    assert upstream.settings_now(TushareSource, load()) is None, "none runs, and none is started"
    at = starter.ensure_running(own_home)
    found = upstream.settings_now(TushareSource, load())
    assert isinstance(found, TushareSettings)
    assert found.url == at.tushare_url
    monkeypatch.setenv("TUSHARE_URL", "http://127.0.0.1:9/dataapi")
    assert upstream.settings_now(TushareSource, load()) is None
    monkeypatch.delenv("TUSHARE_URL")
    monkeypatch.setenv("QUANT_MODE", "live")
    assert upstream.settings_now(TushareSource, load()) is None
