"""The sandbox's life as those see it who need it: one detached process per home folder, found or started."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
import psutil
import requests
from filelock import FileLock, Timeout

from quant_pipeline.home import made
from quant_pipeline.market import clock
from quant_pipeline.sandbox.addresses import Addresses

IDLE = 15 * 60.0
"""Seconds without a request after which a detached sandbox ends itself."""
_START_LIMIT = 30.0
_STOP_LIMIT = 10.0


class SandboxError(RuntimeError):
    """The sandbox cannot be started or found; the text says why and what to do."""


@dataclass(frozen=True)
class Running:
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


def folder_of(home: Path) -> Path:
    return made(home / "sandbox")


def state_file(home: Path) -> Path:
    return home / "sandbox" / "server.json"


def token_file(home: Path) -> Path:
    """Where the running sandbox's control token stands, for its owner only."""
    return home / "sandbox" / "control.token"


def find(home: Path) -> Running | None:
    """The running sandbox of that home, if there is one."""
    try:
        running = Running(**orjson.loads(state_file(home).read_bytes()))
    except (FileNotFoundError, orjson.JSONDecodeError, TypeError):
        return None
    return running if running.alive() else None


def running_at(home: Path) -> Addresses | None:
    """Where this home's sandbox listens now; None while none runs: it is not started."""
    running = find(home.resolve())
    try:
        return None if running is None else running.addresses(home.resolve())
    except SandboxError:  # it is just ending
        return None


def ensure_running(home: Path) -> Addresses:
    """The addresses of this home's sandbox, which is started (detached) if it does not run; its clock is set to ours.

    SandboxError with the end of its log when it does not start within 30 s.
    """
    home = home.resolve()
    folder = folder_of(home)
    with FileLock(folder / "server.lock", timeout=2 * _START_LIMIT):
        running = find(home) or _start(home)
    addresses = running.addresses(home)
    moment = os.environ.get(clock.NOW_VARIABLE)
    answer = requests.post(
        f"{addresses.control_url}/clock", json={"now": moment}, headers=addresses.control_headers, timeout=_STOP_LIMIT
    )
    answer.raise_for_status()
    return addresses


def start_ahead(home: Path) -> threading.Thread:
    """Begins to start this home's sandbox, in the thread that it answers with, beside what the caller does until it needs it:
    `ensure_running` then waits for that, and tells what went wrong."""

    def start() -> None:
        with suppress(SandboxError, Timeout, OSError):  # requests' errors are OSErrors
            ensure_running(home)

    beside = threading.Thread(target=start, name="sandbox-start", daemon=True)
    beside.start()
    return beside


def _start(home: Path) -> Running:
    log = folder_of(home) / "server.log"
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
        running = find(home)
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
    running = find(home)
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
