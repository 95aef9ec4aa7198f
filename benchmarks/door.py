"""The Tushare door: an answer of 6,000 rows, rows a second by JSON and by Arrow, and codes asked for by 8 clients at once."""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import requests
from tushare.pro.client import DataApi

from benchmarks.workbench import LATEST, Workbench, workbench
from quant_pipeline.market.datasets import DAILY_KLINE

SESSIONS = 60
ROWS = 6_000
ROUNDS = 15
CLIENTS = 8
CALLS = 400
ARROW = {"Accept": "application/vnd.apache.arrow.stream"}


def main(argv: list[str]) -> None:
    del argv
    with workbench() as bench:
        sessions = bench.calendar.window(LATEST, SESSIONS)
        bench.reference(sessions)
        bench.sync(DAILY_KLINE, sessions)
        with serving(bench) as (url, process):
            whole_answers(url, process, f"{sessions[-2]:%Y%m%d}")
            codes = _ask(url, {"trade_date": f"{LATEST:%Y%m%d}"}).json()["data"]["items"]
            many_clients(url, process, [row[0] for row in codes], f"{sessions[0]:%Y%m%d}")


@contextmanager
def serving(bench: Workbench) -> Iterator[tuple[str, psutil.Process]]:
    """`quant-pipeline serve` over the workbench's database, and its process."""
    environment = os.environ | {"QUANT_HOME": str(bench.home)}
    command = [str(Path(sys.executable).with_name("quant-pipeline")), "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"], psutil.Process(process.pid)
        finally:
            process.terminate()


def whole_answers(url: str, process: psutil.Process, start: str) -> None:
    """6,000 rows of two sessions, by the unmodified client, and on the wire in both forms."""
    client: Any = DataApi("bench")
    client._DataApi__http_url = f"{url}/dataapi"
    asked = {"start_date": start, "end_date": f"{LATEST:%Y%m%d}", "limit": ROWS}
    forms: dict[str, Callable[[], int]] = {
        "by Tushare's client, a pandas frame": lambda: len(client.daily(**asked)),
        "JSON, on the wire": lambda: _ask(url, asked).json()["data"]["count"],
        "Arrow, a polars frame": lambda: pl.read_ipc_stream(io.BytesIO(_ask(url, asked, ARROW).content)).height,
    }
    for name, form in forms.items():
        form()
        used, taken = _cpu(process), []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            assert form() == ROWS
            taken.append(time.perf_counter() - started)
        cpu, median = (_cpu(process) - used) / ROUNDS, statistics.median(taken)
        reach = " (to reach: < 0.15 s)" if "client" in name else ""
        print(f"{ROWS:,} rows, {name}: {median:.3f} s, {ROWS / median:,.0f} rows/s; server's CPU {cpu:.3f} s{reach}")


def many_clients(url: str, process: psutil.Process, codes: list[str], start: str) -> None:
    """`daily` by code from several clients at once."""

    def one(code: str) -> int:
        return len(_ask(url, {"ts_code": code, "start_date": start}).json()["data"]["items"])

    wanted = (codes * (CALLS // len(codes) + 1))[:CALLS]
    used, started = _cpu(process), time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        rows = sum(clients.map(one, wanted))
    seconds, cpu = time.perf_counter() - started, (_cpu(process) - used) / CALLS
    print(
        f"daily by code, {CLIENTS} clients: {CALLS / seconds:,.0f} requests/s ({rows / CALLS:.0f} rows each); "
        f"server's CPU {cpu * 1000:.1f} ms a request"
    )


def _ask(url: str, params: dict[str, Any], headers: dict[str, str] | None = None) -> requests.Response:
    body = {"api_name": "daily", "token": "bench", "params": params, "fields": ""}
    return requests.post(url, json=body, headers=headers, timeout=60)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main([])
