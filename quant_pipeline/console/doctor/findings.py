"""What a look found, and what the looks have in common: settings, and the database that is opened once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from quant_pipeline.home import HomeError, refuse_unusable
from quant_pipeline.language import say
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.resources import opened
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse import server
from quant_pipeline.warehouse.database import Database


class State(StrEnum):
    """How it stands with a matter."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It could not be looked at, because of another finding."""


@dataclass(frozen=True)
class Finding:
    """A line: the matter, how it stands, in words, and what to do about it ("": nothing)."""

    matter: str
    state: State
    words: str
    advice: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


Findings = Finding | Iterable[Finding]


class Unusable(Exception):
    """What a look needs cannot be had; another finding says why."""


class Patient:
    """What the looks look at."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._borrowed = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._borrowed.close()

    @property
    def has_a_server(self) -> bool:
        """Whether there is a database to open: looking makes none. Unusable where the home cannot be used."""
        return self.settings.database_url is not None or (self.home / "pg").exists()

    @property
    def home(self) -> Path:
        """The home folder, which need not be there yet. Unusable when it could not be made, or not be written to."""
        try:
            refuse_unusable(self.settings.home)
        except HomeError as error:
            raise Unusable(str(error)) from None
        return self.settings.home

    @cached_property
    def database(self) -> Database:
        """The database with its tables as they are. Unusable when it cannot be had."""
        if not self.has_a_server:
            raise Unusable(say("there is no database yet"))
        try:
            database = Database.from_settings(self.settings)
            database.connect().close()
        except RuntimeError as error:
            raise Unusable(str(error)) from None
        return database

    @cached_property
    def desk(self) -> Database:
        """The database; before the first run one that is made for the questions to the services and thrown away: tokens are
        to be tried before anything is fetched with them. Not in sandbox mode, where there are none: Unusable."""
        if self.has_a_server or self.settings.sandboxed:
            return self.database
        folder = Path(self._borrowed.enter_context(tempfile.TemporaryDirectory(prefix="qd")))
        self._borrowed.callback(server.stop, folder)
        database = Database.from_settings(self.settings.model_copy(update={"home": folder}))
        self._borrowed.callback(database.close)
        database.upgrade()
        return database

    @cached_property
    def calendar(self) -> Calendar:
        """The exchange's calendar, as every command sees it."""
        return opened.calendar(self.desk)
