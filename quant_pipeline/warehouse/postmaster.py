"""What runs on a data directory: told by its pid file, its socket and the system's processes together.

The pid file alone lies: after a crash it names a process that is gone, a zombie, or another program by now.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psutil
from psycopg import pq

from quant_pipeline.warehouse.cluster import ServerError, log_tail

START_SECONDS = 600
"""The longest start that is waited for: crash recovery after a bulk load can take minutes."""
ORPHAN_SECONDS = 60
"""How long the children of a killed server may take to notice and end."""
SILENT_SECONDS = 60
"""How long a live server may not answer at its socket: it opens that before anything else."""
_LOOK_AGAIN = 0.05


def answering(data: Path) -> str | None:
    """The URL of the server on `data`, waiting for one that starts or recovers; None when there is none.

    ServerError when it is not ready after START_SECONDS, or silent for SILENT_SECONDS.
    """
    began = time.monotonic()
    while (socket := _socket_directory(data)) is not None:
        address = f"host='{socket}' user=postgres dbname=postgres connect_timeout=5"
        answer = pq.PGconn.ping(address.encode())
        if answer == pq.Ping.OK:
            return f"postgresql://postgres@/postgres?host={quote(str(socket))}"
        # REJECT is a server that starts up, recovers or shuts down; NO_RESPONSE may be one in its first moments.
        if answer != pq.Ping.REJECT and find(data) is None:
            return None
        patience = START_SECONDS if answer == pq.Ping.REJECT else SILENT_SECONDS
        if time.monotonic() > began + patience:
            raise ServerError(f"the embedded PostgreSQL is not ready after {patience} s{log_tail(data)}")
        time.sleep(_LOOK_AGAIN)
    return None


def find(data: Path) -> psutil.Process | None:
    """The live server on `data`: no zombie, and no other process that was given a dead server's number."""
    lines = _pid_file(data)
    if not lines or not lines[0].strip().isdigit():
        return None
    try:
        process = psutil.Process(int(lines[0]))
    except psutil.NoSuchProcess:
        return None
    return process if _works_in(process, data) else None


def bury(data: Path) -> None:
    """Clears away a dead server's pid file, once no child of that server is left that could still write to `data`.

    ServerError when such children do not end.
    """
    deadline = time.monotonic() + ORPHAN_SECONDS
    while (data / "postmaster.pid").exists() and (left := list(_children(data))):
        if time.monotonic() > deadline:
            raise ServerError(f"processes of a dead embedded PostgreSQL do not end: {left}{log_tail(data)}")
        time.sleep(_LOOK_AGAIN)
    (data / "postmaster.pid").unlink(missing_ok=True)


def end_homeless(data: Path) -> None:
    """Ends the server whose `data` were removed while it ran (`rm -r .quant`), before there is a new one at the same place.

    Within a minute it would notice by itself, and remove the new server's socket as it ends: a `run` then stood still at 50 %.
    ServerError when it does not end.
    """
    deadline = time.monotonic() + ORPHAN_SECONDS
    while left := [process for process in psutil.process_iter() if _lost(process, data)]:
        if time.monotonic() > deadline:
            raise ServerError(f"the server whose data were removed from {data} does not end: {[each.pid for each in left]}")
        for process in left:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                process.kill()
        time.sleep(_LOOK_AGAIN)


def _pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []
    except PermissionError:
        raise ServerError(f"{data} belongs to another user: set QUANT_HOME to a directory of yours") from None


def _socket_directory(data: Path) -> Path | None:
    """Line 5 of the pid file; None when that is not written (a server writes it in its first moments)."""
    lines = _pid_file(data)
    return Path(lines[4]) if len(lines) > 4 and lines[4].startswith("/") else None


def _children(data: Path) -> Iterator[int]:
    return (process.pid for process in psutil.process_iter() if _works_in(process, data))


def _lost(process: psutil.Process, data: Path) -> bool:
    """Whether it is a server's process whose working directory, once `data`, is removed, as Linux says. A server that lives at
    the same path of another file system (in a container, seen by root from outside) is none."""
    try:
        return "postgres" in process.name() and str(Path(f"/proc/{process.pid}/cwd").readlink()) == f"{data} (deleted)"
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False


def _works_in(process: psutil.Process, data: Path) -> bool:
    """Whether it is a live process of a server on `data`: each of them has it as its working directory."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "postgres" in process.name() and process.cwd() == str(data)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
