"""The log file: what commands and runs of the platform log, a file a day under QUANT_HOME/logs, kept for thirty days.

Each day has a file of its own, which any number of processes append to. (The standard library's rolling handler renames
the file while other processes still write to it.) Only the owner can read them, and no secret stands in them.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections import deque
from pathlib import Path
from typing import TextIO
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from quant_pipeline.configuration import environment
from quant_pipeline.settings import Settings

KEPT_DAYS = 30
_NAME = "quant-pipeline-{day}.log"
_PLATFORM = "quant_pipeline"
_ZONE = ZoneInfo("Asia/Shanghai")
_FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
_TELLING = ("TOKEN", "PASSWORD", "SECRET", "COOKIE", "_KEY")
"""A variable whose name holds one of these holds a secret."""
_SHORTEST = 5
"""Shorter values are no secrets, and would blot out half of the log."""


def keep(settings: Settings) -> None:
    """From now on what this process's platform loggers say is written to the log file too; calling it again is harmless."""
    logger = logging.getLogger(_PLATFORM)
    folder = folder_of(settings)
    for handler in [each for each in logger.handlers if isinstance(each, _DayFile)]:
        if handler.folder == folder:
            return
        logger.removeHandler(handler)
        handler.close()
    handler = _DayFile(folder)
    handler.setFormatter(_Plain(_secrets_of(settings)))
    logger.addHandler(handler)
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)


def folder_of(settings: Settings) -> Path:
    """Where the log files are."""
    return settings.home / "logs"


def last_lines(settings: Settings, count: int) -> list[str]:
    """The log's last lines, the latest last, over as many days as it takes."""
    found: deque[str] = deque()
    for path in sorted(folder_of(settings).glob(_NAME.format(day="*")), reverse=True):
        if len(found) >= count:
            break
        with path.open(encoding="utf-8", errors="replace") as file:
            found.extendleft(reversed(deque(map(str.rstrip, file), count - len(found))))
    return list(found)


class _DayFile(logging.Handler):
    """Appends to the file of the record's day."""

    def __init__(self, folder: Path) -> None:
        super().__init__(logging.INFO)
        self.folder = folder
        self._day: dt.date | None = None
        self._file: TextIO | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING and logging.lastResort is not None and self._is_alone(record):
            logging.lastResort.handle(record)  # as without this file: the terminal shows what nobody else does
        try:
            day = dt.datetime.fromtimestamp(record.created, _ZONE).date()
            if self._file is None or day != self._day:
                self._open(day)
            assert self._file is not None
            self._file.write(self.format(record) + "\n")  # one write of a whole line: other processes write here too
            self._file.flush()
        except OSError:
            self._file = None  # a full disk stops no sync for its log's sake

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        super().close()

    def _open(self, day: dt.date) -> None:
        if self._file is not None:
            self._file.close()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)
        path = self.folder / _NAME.format(day=day)
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8")
        self._day = day
        oldest = _NAME.format(day=day - dt.timedelta(days=KEPT_DAYS - 1))
        for old in self.folder.glob(_NAME.format(day="*")):
            if old.name < oldest:
                old.unlink(missing_ok=True)

    def _is_alone(self, record: logging.LogRecord) -> bool:
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return False
            logger = logger.parent if logger.propagate else None
        return True


class _Plain(logging.Formatter):
    """A line per record (a traceback's lines follow it), in exchange time, every secret blotted out."""

    def __init__(self, secrets: list[str]) -> None:
        super().__init__(_FORMAT)
        self._secrets = secrets

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        return dt.datetime.fromtimestamp(record.created, _ZONE).isoformat(sep=" ", timespec="milliseconds")

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _secrets_of(settings: Settings) -> list[str]:
    """Every secret that the settings or the environment hold; the longest first, for one may hold another."""
    held = [
        value.get_secret_value()
        for name, field in Settings.model_fields.items()
        if isinstance(value := getattr(settings, name), SecretStr) and value != field.default
    ]
    found = {value for name, value in environment().items() if value and any(part in name.upper() for part in _TELLING)}
    found |= set(held)
    if settings.database_url is not None:
        found |= _passwords_in(settings.database_url.get_secret_value())
    return sorted((value for value in found if len(value) >= _SHORTEST), key=len, reverse=True)


def _passwords_in(url: str) -> set[str]:
    """As it is written in the URL, and as it is."""
    try:
        written = urlsplit(url).password or ""
    except ValueError:
        return set()
    return {written, unquote(written)}
