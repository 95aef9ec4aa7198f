"""What a look found, and what the looks have in common: settings, and the database that is opened once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from quant_pipeline.language import say
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.resources import opened
from quant_pipeline.settings import Settings
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

    @property
    def has_a_server(self) -> bool:
        """Whether there is a database to open: looking makes none."""
        return self.settings.database_url is not None or (self.settings.home / "pg").exists()

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
    def calendar(self) -> Calendar:
        """The exchange's calendar, as every command sees it."""
        return opened.calendar(self.database)
