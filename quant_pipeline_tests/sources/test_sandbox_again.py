"""A sandbox that dies in the middle of a sync and is started again is found by the sources that are at work."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import requests

from quant_pipeline.market.datasets import TRADE_CALENDAR
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox import service
from quant_pipeline.sandbox.addresses import Addresses
from quant_pipeline.sources.baostock import BaostockSource
from quant_pipeline.sources.base import Source, Tally
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sources.units import Grain, Unit

SESSION = dt.date(2026, 11, 20)
PATIENT = RatePolicy(per_minute=None, per_second=None, retries=8, backoff=0.2, timeout=60, trip=20)
Made = Callable[[Addresses, Limiter], Source]


def of_tushare(at: Addresses, limiter: Limiter) -> Source:
    return TushareSource(at.token, at.tushare_url, xshg(), limiter, {"tushare": {"*": PATIENT}})


def of_baostock(at: Addresses, limiter: Limiter) -> Source:
    return BaostockSource(at.host, at.baostock_port, "anonymous", "123456", xshg(), limiter, {"baostock": {"*": PATIENT}})


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T20:00")
    yield tmp_path
    service.stop(tmp_path)


@pytest.mark.parametrize("made", [of_tushare, of_baostock])
def test_a_call_that_a_dying_sandbox_cut_is_made_again_to_the_next_one(own_home: Path, limiter: Limiter, made: Made) -> None:
    first = service.ensure_running(own_home)
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
        process.wait(10)
        service.ensure_running(own_home)

    replacing = threading.Thread(target=replace)
    replacing.start()
    try:
        rows = source.fetch(TRADE_CALENDAR, Unit(Grain.SNAPSHOT, SESSION, SESSION), Tally())
    finally:
        replacing.join()
        source.close()
    assert len(rows) > 13_000
