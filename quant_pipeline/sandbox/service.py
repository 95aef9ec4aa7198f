"""The sandbox as a process: its servers listen until it is ended, and its state file says where."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import psutil
from aiohttp import web

from quant_pipeline.sandbox.addresses import HOST, Addresses
from quant_pipeline.sandbox.assembly import Servers
from quant_pipeline.sandbox.simulation.interface import Market
from quant_pipeline.sandbox.starter import Running, SandboxError, find, folder_of, state_file, token_file

_WATCH = 1.0
"""Seconds between two looks at whether anybody still asks."""


def _ports_file(home: Path) -> Path:
    return home / "sandbox" / "ports.json"


@dataclass(frozen=True)
class Ports:
    """The ports of a sandbox; 0 is any free one."""

    http: int = 0
    baostock: int = 0
    proxy: int = 0


@asynccontextmanager
async def listening(servers: Servers, ports: Ports = Ports()) -> AsyncIterator[Addresses]:
    """Listens on the loopback interface until the block ends."""
    # a client that gives up ends its handler, so that a hanging fault holds nothing
    runner = web.AppRunner(servers.application(), handler_cancellation=True, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, HOST, ports.http).start()
    baostock_port = await servers.baostock.start(HOST, ports.baostock)
    proxy_port = await servers.web.start(HOST, ports.proxy)
    try:
        yield Addresses(runner.addresses[0][1], baostock_port, proxy_port, str(servers.ca_file), servers.control_token)
    finally:
        await servers.baostock.stop()
        await servers.web.stop()
        await runner.cleanup()
        servers.close()


def serve(
    market: Callable[[], Market],
    home: Path,
    *,
    port: int = 0,
    calls_a_minute: int | None = None,
    idle: float | None = None,
    announce: Callable[[Addresses], None] = lambda _addresses: None,
) -> int | None:
    """Runs this home's sandbox in this process until SIGINT or SIGTERM, or after `idle` seconds without a request.

    Answers with the signal that ended it. `announce` is told the addresses once it listens. SandboxError when another process
    already is this home's sandbox.
    """
    running = find(home)
    if running is not None and running.pid != os.getpid():
        raise SandboxError(f"the sandbox of {home} already runs (pid {running.pid}, {running.addresses(home).inbox_url})")
    quotas = {} if calls_a_minute is None else {"*": calls_a_minute}
    servers = Servers(market, quotas=quotas, store=folder_of(home) / "inbox.jsonl", ca_file=folder_of(home) / "ca.pem")
    # an answer is thousands of short-lived rows: looking for cycles among them costs as much as making them
    gc.set_threshold(200_000)
    return asyncio.run(_serve(servers, home, port, idle, announce))


def _ports(home: Path, port: int) -> Ports:
    """The ports that this home's sandbox had before, as far as they are free: a sync that goes on while the sandbox is
    started again finds it where it was, whichever client asks and in whatever process. `port` is what was wished for."""
    try:
        former = Ports(**orjson.loads(_ports_file(home).read_bytes()))
    except (FileNotFoundError, orjson.JSONDecodeError, TypeError):
        former = Ports()
    return Ports(port or _if_free(former.http), _if_free(former.baostock), _if_free(former.proxy))


def _if_free(port: int) -> int:
    with socket.socket() as attempt, suppress(OSError):
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        attempt.bind((HOST, port))
        return port
    return 0


async def _serve(
    servers: Servers, home: Path, port: int, idle: float | None, announce: Callable[[Addresses], None]
) -> int | None:
    ended, signals = asyncio.Event(), list[int]()

    def end(number: int) -> None:
        signals.append(number)
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    states = state_file(home)
    async with listening(servers, _ports(home, port)) as addresses:
        taken = Ports(addresses.port, addresses.baostock_port, addresses.proxy_port)
        _ports_file(home).write_bytes(orjson.dumps(asdict(taken)))
        _write_privately(token_file(home), addresses.control_token)
        places = {name: value for name, value in asdict(addresses).items() if name != "control_token"}
        state = Running(os.getpid(), psutil.Process().create_time(), **places)
        unfinished = states.with_suffix(".tmp")
        unfinished.write_bytes(orjson.dumps(asdict(state)))
        unfinished.replace(states)
        announce(addresses)
        try:
            while not ended.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_WATCH):
                        await ended.wait()
                if (idle is not None and servers.idle() > idle) or not states.exists():
                    break  # nobody asks any more, or the home folder was removed
        finally:
            states.unlink(missing_ok=True)
            token_file(home).unlink(missing_ok=True)
    return signals[0] if signals else None


def _write_privately(path: Path, text: str) -> None:
    """Writes a file that only its owner may read, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
