"""The sandbox's life: in the foreground, as one detached process per home folder, found by all who need it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import psutil
import requests
from aiohttp import web
from filelock import FileLock

from quant_pipeline.home import made
from quant_pipeline.market import clock
from quant_pipeline.sandbox.addresses import HOST, Addresses
from quant_pipeline.sandbox.assembly import Servers
from quant_pipeline.sandbox.simulation.interface import Market

IDLE = 15 * 60.0
"""Seconds without a request after which a detached sandbox ends itself."""
_START_LIMIT = 30.0
_STOP_LIMIT = 10.0
_WATCH = 1.0


class SandboxError(RuntimeError):
    """The sandbox cannot be started or found; the text says why and what to do."""


@dataclass(frozen=True)
class _Running:
    """What stands in the state file: the process, its start (a later process of that pid has another), the addresses."""

    pid: int
    created: float
    port: int
    baostock_port: int
    proxy_port: int
    ca_file: str

    def addresses(self, home: Path) -> Addresses:
        try:
            token = token_file(home).read_text(encoding="ascii")
        except FileNotFoundError:
            why = f"the sandbox of {home} (pid {self.pid}) has no control token in {token_file(home)}"
            raise SandboxError(f"{why}: it is ending, or of a former version; end it and try again") from None
        return Addresses(self.port, self.baostock_port, self.proxy_port, self.ca_file, token)

    def alive(self) -> bool:
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.created) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
        return False


def _folder(home: Path) -> Path:
    return made(home / "sandbox")


def _state_file(home: Path) -> Path:
    return home / "sandbox" / "server.json"


def _ports_file(home: Path) -> Path:
    return home / "sandbox" / "ports.json"


def token_file(home: Path) -> Path:
    """Where the running sandbox's control token stands, for its owner only."""
    return home / "sandbox" / "control.token"


def _find(home: Path) -> _Running | None:
    """The running sandbox of that home, if there is one."""
    try:
        running = _Running(**orjson.loads(_state_file(home).read_bytes()))
    except (FileNotFoundError, orjson.JSONDecodeError, TypeError):
        return None
    return running if running.alive() else None


def running_at(home: Path) -> Addresses | None:
    """Where this home's sandbox listens now; None while none runs: it is not started."""
    running = _find(home.resolve())
    try:
        return None if running is None else running.addresses(home.resolve())
    except SandboxError:  # it is just ending
        return None


def ensure_running(home: Path) -> Addresses:
    """The addresses of this home's sandbox, which is started (detached) if it does not run; its clock is set to ours.

    SandboxError with the end of its log when it does not start within 30 s.
    """
    home = home.resolve()
    folder = _folder(home)
    with FileLock(folder / "server.lock", timeout=2 * _START_LIMIT):
        running = _find(home) or _start(home)
    addresses = running.addresses(home)
    moment = os.environ.get(clock.NOW_VARIABLE)
    answer = requests.post(
        f"{addresses.control_url}/clock", json={"now": moment}, headers=addresses.control_headers, timeout=_STOP_LIMIT
    )
    answer.raise_for_status()
    return addresses


def _start(home: Path) -> _Running:
    log = _folder(home) / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "quant_pipeline.sandbox", "--home", str(home), f"--idle={IDLE:g}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_LIMIT
    while time.monotonic() < deadline:
        running = _find(home)
        if running is not None:
            return running
        if process.poll() is not None:
            break
        time.sleep(0.02)
    else:
        process.kill()
    tail = log.read_text(encoding="utf-8", errors="replace")[-1_500:]
    raise SandboxError(f"the sandbox did not start; the end of {log}:\n{tail}")


def stop(home: Path) -> bool:
    """Ends this home's sandbox; False when none runs."""
    running = _find(home)
    if running is None:
        return False
    process = psutil.Process(running.pid)
    process.terminate()
    try:
        process.wait(_STOP_LIMIT)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(_STOP_LIMIT)
    return True


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
    running = _find(home)
    if running is not None and running.pid != os.getpid():
        raise SandboxError(f"the sandbox of {home} already runs (pid {running.pid}, {running.addresses(home).inbox_url})")
    quotas = {} if calls_a_minute is None else {"*": calls_a_minute}
    servers = Servers(market, quotas=quotas, store=_folder(home) / "inbox.jsonl", ca_file=_folder(home) / "ca.pem")
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
    state_file = _state_file(home)
    async with listening(servers, _ports(home, port)) as addresses:
        taken = Ports(addresses.port, addresses.baostock_port, addresses.proxy_port)
        _ports_file(home).write_bytes(orjson.dumps(asdict(taken)))
        _write_privately(token_file(home), addresses.control_token)
        places = {name: value for name, value in asdict(addresses).items() if name != "control_token"}
        state = _Running(os.getpid(), psutil.Process().create_time(), **places)
        unfinished = state_file.with_suffix(".tmp")
        unfinished.write_bytes(orjson.dumps(asdict(state)))
        unfinished.replace(state_file)
        announce(addresses)
        try:
            while not ended.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_WATCH):
                        await ended.wait()
                if (idle is not None and servers.idle() > idle) or not state_file.exists():
                    break  # nobody asks any more, or the home folder was removed
        finally:
            state_file.unlink(missing_ok=True)
            token_file(home).unlink(missing_ok=True)
    return signals[0] if signals else None


def _write_privately(path: Path, text: str) -> None:
    """Writes a file that only its owner may read, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
