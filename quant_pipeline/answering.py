"""Where the web pages answer now: each `ui` and each `serve` says so in the home for as long as it lives.

A file per process. One that was killed leaves its file behind, and that does not count: it names a process that is no more.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from quant_pipeline.home import HomeError, made

_FOLDER = "answering"
_PATIENCE = 10.0
"""Seconds for an answer of what listens: a busy machine's first page is late. Where nothing listens none of them passes."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answering:
    """Addresses as a browser on this machine takes them. `pages`: of our own pages · `ui`: of Dagster's, where it runs."""

    pages: str
    ui: str | None = None


def address(host: str, port: int) -> str:
    """The URL of what listens there, as a browser on this machine takes it."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


@contextmanager
def said(home: Path, mode: str, where: Answering) -> Iterator[None]:
    """While the block lasts, whoever looks for the pages of this home and mode finds these."""
    file = home / _FOLDER / f"{os.getpid()}.json"
    try:
        _write(file, {"mode": mode, "created": _created(os.getpid()), **asdict(where)})
    except (HomeError, OSError) as error:
        _logger.warning("%s", error)  # the pages answer all the same; links name their usual address
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def found(home: Path, mode: str) -> Answering | None:
    """What answers now, `ui` before `serve`, the latest before others; None where nothing does."""
    try:
        files = list((home / _FOLDER).glob("*.json"))
    except OSError:  # a home that cannot be, of which others speak
        return None
    living = [_living(file, mode) for file in files]
    there = sorted((each for each in living if each is not None), key=lambda each: (each[1].ui is not None, each[0]))
    return there[-1][1] if there else None


def pages_answer(base: str) -> bool:
    """Whether our pages answer at this address: their style is theirs alone."""
    return answers(f"{base}/look/style.css")


def answers(url: str) -> bool:
    """Whether a GET of this URL is answered with 200. No proxy is asked for it."""
    import http.client  # 60 ms, which the commands that ask nothing do not pay
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_PATIENCE)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _living(file: Path, mode: str) -> tuple[float, Answering] | None:
    try:
        content = json.loads(file.read_bytes())
        created = _created(int(file.stem))
        if content["mode"] != mode or created is None or abs(created - content["created"]) > 1.0:
            return None
        return created, Answering(content["pages"], content["ui"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _created(pid: int) -> float | None:
    """When the process of that number began; None where there is none. A later process of the same number has another."""
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    return None


def _write(file: Path, content: dict[str, object]) -> None:
    for former in made(file.parent).glob("*.json"):
        if _created(int(former.stem)) is None:
            former.unlink(missing_ok=True)
    unfinished = file.with_suffix(".tmp")
    unfinished.write_text(json.dumps(content), encoding="ascii")
    unfinished.replace(file)
