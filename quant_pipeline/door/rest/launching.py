"""Starts a command as a process of its own: it goes on when the door ends, and is in the history as any other."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import IO

from quant_pipeline.door.errors import PageError
from quant_pipeline.sync.ledger import COMMAND_ID_VARIABLE
from quant_pipeline.sync.slot import SyncSlot
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

_BEGUN = "SELECT EXISTS (SELECT FROM sync_runs WHERE command_id = %s)"
_LOOK = 0.1
_LONGEST = 30.0
"""Seconds until the first run of the command is on record: a long plan is made before it."""
_TAKEN, _NOTHING = 2, 3
"""Exit codes: a sync is running; the schedule starts nothing now (cli/tick.py)."""
_WORDS = 1_000


@dataclass(frozen=True)
class Started:
    """A command that was started; `running`: whether it goes on, or has found nothing to do."""

    id: str
    running: bool


def start(database: Database, arguments: Sequence[str]) -> Started:
    """Starts `quant-pipeline ARGUMENTS`. PageError 429 where a sync is running (unless it is to queue: `--force`), 400 for
    what the command refuses, in its words."""
    if "--force" not in arguments:
        with closing(Presence(database.connect())) as presence:
            if (words := SyncSlot(database, presence).busy()) is not None:
                raise _busy(words)
    id_ = _new_id()
    return _follow(["quant_pipeline", *arguments, "--json"], id_, lambda: _begun(database, id_))


def tick(database: Database, job: str) -> Started:
    """Starts what the job's schedule would start now. PageError 409 where that is nothing (a closed day), in its words, 429
    where it syncs and a sync is running, 400 for what cannot be run."""
    from quant_pipeline.resources.dagster_private.run_list import has_run

    def begun() -> bool:
        with database.pool.connection() as connection:
            return has_run(connection, id_)

    id_ = _new_id()
    return _follow(["quant_pipeline.cli.tick", job, id_], id_, begun)


def _new_id() -> str:
    return uuid.uuid4().hex[:12]


def _follow(module: Sequence[str], id_: str, begun: Callable[[], bool]) -> Started:
    """Runs `python -m MODULE …` until it has `begun`, or has ended before."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=os.environ | {COMMAND_ID_VARIABLE: id_},
            start_new_session=True,
        )
        deadline = time.monotonic() + _LONGEST
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return _ended(id_, process.returncode, said, begun=begun())
            if begun():
                break
            time.sleep(_LOOK)
    return Started(id_, running=True)


def _ended(id_: str, code: int, said: IO[bytes], *, begun: bool) -> Started:
    if code == 0 or begun:
        return Started(id_, running=False)
    said.seek(0)
    text = said.read().decode(errors="replace").strip()
    words = text.rpartition("quant-pipeline: ")[2][-_WORDS:]
    if code == _TAKEN and not text.startswith("Usage:"):
        raise _busy(words)
    if code == _NOTHING:
        raise PageError(409, "该任务此刻没有可运行的 Its schedule starts nothing now", why=words)
    raise PageError(400, "命令未接受 The command refused it", why=words)


def _busy(words: str) -> PageError:
    return PageError(
        429, "已有同步在运行 A sync is running", why=words, to_do="等待它结束，或用 force 排在其后。Wait, or force."
    )


def _begun(database: Database, id_: str) -> bool:
    with database.pool.connection() as connection:
        row = connection.execute(_BEGUN, (id_,)).fetchone()
    return bool(row and row[0])
