"""Changes of `schedules.toml` by a program: one job's table is written or taken out, all else stays as a person wrote it.

The file is judged whole, as it will stand, before it is written, and then takes the former one's place in one step. What runs
has read the former one: a change holds once the code location is loaded again.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomlkit
from filelock import FileLock
from tomlkit.exceptions import TOMLKitError

from quant_pipeline import timetable
from quant_pipeline.configuration import as_written, filled
from quant_pipeline.home import made
from quant_pipeline.language import say
from quant_pipeline.settings import Settings
from quant_pipeline.timetable import Times, TimetableError


def jobs_in(settings: Settings) -> set[str]:
    """The jobs that have a table in the file; the times of the others are the defaults. ConfigurationError."""
    file = timetable.place(settings.schedules)
    return set(as_written(file, say("the schedules"))) if file.is_file() else set()


def put(settings: Settings, job: str, fields: dict[str, Any]) -> Times:
    """Writes these fields of the job's table (which is made where there is none) and leaves its others; the times that hold
    then. ConfigurationError where the file would be none that can be used: it stays as it is."""

    def edit(document: tomlkit.TOMLDocument) -> None:
        if job not in document:
            document[job] = tomlkit.table()
        table: Any = document[job]
        for name, value in fields.items():
            table[name] = value

    return _edited(settings, edit)[job]


def drop(settings: Settings, job: str) -> Times:
    """Takes the job's table out: the default times hold then, and are returned. ConfigurationError as in `put`."""
    return _edited(settings, lambda document: document.remove(job))[job]


def _edited(settings: Settings, edit: Callable[[tomlkit.TOMLDocument], Any]) -> dict[str, Times]:
    file = timetable.place(settings.schedules).resolve()
    with FileLock(made(settings.home) / "schedules.lock"):
        times = timetable.load(settings.schedules) if file.is_file() else None  # a file that is broken already is said to be so
        try:
            document = tomlkit.parse(file.read_text(encoding="utf-8")) if times is not None else tomlkit.document()
            edit(document)
            text = tomlkit.dumps(document)
        except (TOMLKitError, TypeError, ValueError) as error:
            raise TimetableError(say("{path} cannot be changed: {why}", path=file, why=error)) from None
        times = timetable.laid_over(filled(tomllib.loads(text), str(file)), file)
        _write(file, text)
    return times


def _write(file: Path, text: str) -> None:
    """In the former one's place, whole, with its rights."""
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        unfinished.write_text(text, encoding="utf-8")
        if file.exists():
            unfinished.chmod(file.stat().st_mode & 0o777)
        unfinished.replace(file)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise TimetableError(say("{path} cannot be written: {why}", path=file, why=error.strerror or error)) from None
