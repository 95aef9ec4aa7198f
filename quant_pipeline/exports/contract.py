"""`Export`: what one is, how it is asked for, and what it says of itself afterwards.

An export is a class in a file of its own, registered in `registry.py`, or a package's, through the entry-point group
`quant_pipeline.exports`. From it come the command `quant-pipeline export NAME` and the asset `export_NAME`.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import Snapshot, folder_of, snapshot


class ExportError(RuntimeError):
    """The export cannot be written or read; the text says why and what to do, never a secret. What stood there stands."""


@dataclass(frozen=True)
class Origin:
    """What an export is made from."""

    settings: Settings
    database: Database
    calendar: Calendar

    @contextmanager
    def rows(self) -> Iterator[Snapshot]:
        """The stored rows of one moment, out of the lake where it is current."""
        with snapshot(self.database, folder_of(self.settings)) as stored:
            yield stored

    def folder(self, name: str, wanted: str) -> Path:
        """Where an export into files goes: what is `wanted`, or ("") its own place in the home. Sandbox and live never share
        one."""
        if wanted:
            return Path(wanted).expanduser().absolute()
        return self.settings.home / "exports" / self.settings.mode.value / name

    @property
    def of(self) -> dict[str, str]:
        """Whose rows they are, for manifests."""
        return {"mode": self.settings.mode.value, "database": self.database.name}


@dataclass(frozen=True)
class Progress:
    """How far an export has come: `done` of `total` pieces of work, now `at` this one."""

    done: int
    total: int
    at: str


Told = Callable[[Progress], None]


@dataclass(frozen=True)
class Written:
    """What became of an export. A part is what is written as one: a file, an object, a year of a table."""

    place: str
    """A folder or an address, without any secret."""
    parts: Sequence[str] = ()
    """Those that were written."""
    unchanged: int = 0
    removed: int = 0
    """Those that were there and have no rows any more."""
    rows: int = 0
    """In the parts that were written."""
    bytes: int = 0
    """Of the parts that were written."""
    notes: Sequence[str] = ()
    """What a reader should know of the data: English, made by `told`, for whoever shows it to say by `retold`."""

    @property
    def changed(self) -> bool:
        return bool(self.parts or self.removed)


class Export(ABC):
    """One form in which the rows leave: `write` makes its place hold what the tables hold now.

    It writes only what changed, and what is seen there is whole at every moment, also when it is killed: the former state or
    the new one. A second process waits for the first (`alone`), and then finds nothing left to do.
    """

    name: ClassVar[str]
    zh: ClassVar[str]
    doc: ClassVar[str]
    """What it is, in a sentence or two, English; its Chinese stands in the catalogue."""
    examples: ClassVar[Sequence[str]]
    """Lines to type, beginning with the command."""
    reading: ClassVar[str]
    """How its tool reads it: a line of that tool's, with {place} for where it is."""
    kinds: ClassVar[frozenset[str]] = frozenset()
    """What Dagster marks the asset with."""
    Parameters: ClassVar[type[BaseModel]]
    """Fields of text (comma lists are texts) with a default and a description: options of the command, fields of the asset."""

    def __init__(self, parameters: BaseModel) -> None:
        self.asked: Any = parameters
        """An instance of the class's Parameters."""

    @abstractmethod
    def place(self, origin: Origin) -> str:
        """Where it goes, without any secret. ExportError where that is not known yet; the text says what to set."""

    @abstractmethod
    def write(self, origin: Origin, progress: Told) -> Written:
        """Writes what changed. ExportError, in words."""

    def run(self, origin: Origin, progress: Told = lambda _: None) -> Written:
        """As `write`, one process at a time for a place."""
        with alone(origin.database, self.name, self.place(origin)):
            return self.write(origin, progress)


class Parameters(BaseModel):
    """What an export is asked for with."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@contextmanager
def alone(database: Database, name: str, place: str) -> Iterator[None]:
    """One process writes an export's place at a time; another one waits."""
    key = int.from_bytes(hashlib.sha256(f"export {name} {place}".encode()).digest()[:8], "big", signed=True)
    with database.connect(autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (key,))
        yield
