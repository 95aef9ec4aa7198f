"""The hub of live quotes: 500 Socket.IO clients of 50 codes each for a minute, beside one that never reads."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import socketio
from websockets.sync.client import connect

from benchmarks.door import serving
from benchmarks.workbench import workbench
from quant_pipeline.market import clock
from quant_pipeline.market.datasets import STOCK_LIST
from quant_pipeline.quotes.quote import Quote
from quant_pipeline.quotes.store import Store
from quant_pipeline.warehouse.reads import read

CLIENTS, CODES, GROUPS = 500, 50, 10
SECONDS = 60
PERIOD = 3.0
"""The exchange's own, between two snapshots."""
_MB = 1e6


def main(argv: list[str]) -> None:
    del argv
    with workbench() as bench:
        bench.sync(STOCK_LIST)
        codes = read(bench.database, STOCK_LIST, columns=["ts_code"])["ts_code"].sort().to_list()[: CODES * GROUPS]
        store = Store(bench.database)
        _publish(store, codes, 0)
        with serving(bench) as (url, process), _clients(url, codes) as others, _stalled(url, codes[:CODES]):
            assert others.stdout is not None
            assert others.stdout.readline() == "all are in\n"
            memory, used = [process.memory_info().rss / _MB], _cpu(process)
            for round_ in range(1, int(SECONDS / PERIOD) + 1):
                began = time.monotonic()
                _publish(store, codes, round_)
                time.sleep(max(0.0, PERIOD - (time.monotonic() - began)))
                memory.append(process.memory_info().rss / _MB)
            used = _cpu(process) - used
            others.terminate()
            told = json.loads(others.stdout.read())
        late = sorted(told["late"])
        print(
            f"{CLIENTS} Socket.IO clients x {CODES} codes, a snapshot every {PERIOD:.0f} s for {SECONDS} s, one more that "
            "never reads"
        )
        print(f"quotes that came: {told['quotes']:,} of {CLIENTS * CODES * (len(memory) - 1):,}")
        print(
            f"from published to received: median {statistics.median(late) * 1000:.0f} ms, "
            f"95 % {late[int(len(late) * 0.95)] * 1000:.0f} ms, the last {late[-1] * 1000:.0f} ms"
        )
        print(
            f"the door's memory: {memory[0]:.0f} MB once all are in, then every 15 s "
            f"{', '.join(f'{each:.0f}' for each in memory[5::5])} MB; its CPU {used / SECONDS * 100:.0f} % of a core"
        )


def _publish(store: Store, codes: list[str], round_: int) -> None:
    """Every code has another price; its amount is the moment, for the clients to tell how late it comes."""
    now = clock.now() + dt.timedelta(seconds=round_)
    store.publish(
        Quote(
            ts_code=code, name="基准股份", price=10 + round_ / 100, pre_close=10.0, open=10.0, high=11.0, low=9.0,
            volume=1_000_000 + round_, amount=time.time(), bids=tuple((10 - level / 100, 1_000) for level in range(5)),
            asks=tuple((10 + level / 100, 1_000) for level in range(5)), exchange_time=now, received_at=now, source="bench",
            status="trading",
        )
        for code in codes
    )  # fmt: skip


@contextmanager
def _clients(url: str, codes: list[str]) -> Iterator[subprocess.Popen[str]]:
    """All of them in a process of their own, which tells what came when it is ended."""
    command = [sys.executable, "-m", "benchmarks.quotes", url, ",".join(codes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextmanager
def _stalled(url: str, codes: list[str]) -> Iterator[None]:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect((host, int(port)))
        client = connect(f"ws://{host}:{port}/socket.io/?EIO=4&transport=websocket", sock=raw, max_queue=1, ping_interval=None)
        client.recv()
        client.send("40")
        client.recv()
        client.send(f"42{json.dumps(['subscribe', {'codes': codes}])}")
        yield


async def _listen(url: str, codes: list[str]) -> None:
    late: list[float] = []
    quotes = 0
    coming = False

    def came(message: dict[str, list[dict[str, float]]]) -> None:
        nonlocal quotes
        if coming:
            late.append(time.time() - message["data"][0]["amount"])
            quotes += len(message["data"])

    async def one(number: int) -> socketio.AsyncClient:
        client = socketio.AsyncClient(reconnection=False)
        client.on("realtime_data", came)
        await client.connect(url, transports=["websocket"], wait_timeout=60)
        first = number % GROUPS * CODES
        answer = await client.call("subscribe", {"codes": codes[first : first + CODES]}, timeout=60)
        assert len(answer["accepted"]) == CODES, answer
        return client

    clients = []
    for start in range(0, CLIENTS, 50):
        clients += await asyncio.gather(*(one(number) for number in range(start, start + 50)))
    await asyncio.sleep(2)  # what was sent at once is here
    coming = True
    print("all are in", flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(15, ended.set)
    await ended.wait()
    print(json.dumps({"late": late, "quotes": quotes}), flush=True)
    await asyncio.gather(*(client.disconnect() for client in clients))


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(_listen(sys.argv[1], sys.argv[2].split(",")))
    else:
        main([])
