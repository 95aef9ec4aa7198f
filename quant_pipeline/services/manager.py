"""The services that the user has set up, by kind and provider: which is asked, which is on, how each does.

They stand in the file `QUANT_CHANNELS` as tables `[services.NAME]`. The file is read again when it changes, and
`quant-pipeline services --priority NAME=0` switches one off (N: moves it) for every process at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quant_pipeline.configuration import ConfigurationError, as_written, entries_of, filled
from quant_pipeline.language import say, told
from quant_pipeline.services.adapter import Adapter, ServiceError, Setup
from quant_pipeline.services.health import Health, health_of
from quant_pipeline.services.registry import registered
from quant_pipeline.services.result import Result, refused
from quant_pipeline.sources.failures import FailureClass
from quant_pipeline.wrong_values import first_problem

if TYPE_CHECKING:
    from quant_pipeline.sources.limiter import Limiter
    from quant_pipeline.warehouse.database import Database

_OVERRULED = "SELECT source, priority FROM source_state WHERE api = '*' AND priority IS NOT NULL AND source = ANY(%s)"


IN_VAULT = "vault:"
"""Before the name of a record of the vault."""


class _Written(BaseModel):
    """`[services.NAME]` as a person writes it; what is not here is the adapter's own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str
    provider: str
    enabled: bool = True
    priority: int = Field(1, ge=0)
    timeout: float | None = Field(None, gt=0)
    retry_times: int | None = Field(None, ge=0, le=20)
    url: str | None = None


class Manager:
    """The services of the file. A service that cannot be used stops no other: `mistakes` says why."""

    def __init__(
        self,
        path: Path | None,
        database: Database | None = None,
        limiter: Limiter | None = None,
        secret_of: Callable[[str], str] | None = None,
    ) -> None:
        """`secret_of` reads what `vault:NAME` stands for."""
        self._path, self._database, self._limiter, self._secret_of = path, database, limiter, secret_of
        self._read_at: int | None = None
        self._adapters: dict[str, Adapter] = {}
        self.mistakes: dict[str, str] = {}

    def all(self) -> Mapping[str, Adapter]:
        """Every service by name, as the file is now."""
        changed = self._path.stat().st_mtime_ns if self._path is not None and self._path.exists() else 0
        if changed != self._read_at:
            self._read_at = changed
            self._adapters, self.mistakes = self._read()
        return self._adapters

    def of_kind(self, kind: str, provider: str | None = None) -> list[Adapter]:
        """Those that are on, in the order in which they are asked."""
        found = {
            name: adapter
            for name, adapter in self.all().items()
            if adapter.setup.kind == kind and provider in (None, adapter.setup.provider) and adapter.setup.enabled
        }
        ranks = self.ranks()
        return sorted((each for name, each in found.items() if ranks[name]), key=lambda each: (ranks[each.name], each.name))

    def ranks(self) -> dict[str, int]:
        """Name -> priority: the file's, where no other was set by hand. 1 is first, 0 is off."""
        known = self.all()
        return {name: adapter.setup.priority for name, adapter in known.items()} | self._overruled(list(known))

    def best(self, kind: str, provider: str | None = None) -> Adapter | None:
        """The first of them that is not held back now; None where there is none."""
        held = {health.name for health in self.health() if not health.available}
        return next((each for each in self.of_kind(kind, provider) if each.name not in held), None)

    def ask(self, kind: str, do: Callable[[Any], Result], provider: str | None = None) -> Result:
        """The first answer: each is asked in turn, until one has done it or may have had it."""
        last = refused(
            "none", told("no service of the kind {kind} is set up and on", kind=kind), FailureClass.PERMANENT_API, sent=False
        )
        for adapter in self.of_kind(kind, provider):
            last = do(adapter)
            if last.success or (not last.answered and last.sent):
                return last
        return last

    def health(self) -> list[Health]:
        """How each does, an entry for each API that was called."""
        return [] if self._database is None else health_of(self._database, list(self.all()))

    def _overruled(self, names: list[str]) -> dict[str, int]:
        if self._database is None or not names:
            return {}
        with self._database.connect() as connection:
            return dict(connection.execute(_OVERRULED, (names,)).fetchall())

    def _read(self) -> tuple[dict[str, Adapter], dict[str, str]]:
        adapters: dict[str, Adapter] = {}
        mistakes = dict(registered().broken)
        if self._path is None:
            return adapters, mistakes
        try:
            tables = as_written(self._path, say("the channels and services"))
        except ConfigurationError as error:
            return adapters, {"": str(error)}
        for name, written in entries_of(tables, "services", self._path).items():
            try:
                adapters[name] = self._built(name, written)
            except (ConfigurationError, ServiceError, ValidationError) as error:
                words = first_problem(error) if isinstance(error, ValidationError) else str(error)
                mistakes[name] = words
        return adapters, mistakes

    def _built(self, name: str, written: Mapping[str, Any] | ConfigurationError) -> Adapter:
        if isinstance(written, ConfigurationError):
            raise written
        table = _Written(**filled(dict(written), f"[services.{name}]"))
        kind = registered().adapters.get((table.kind, table.provider))
        if kind is None:
            known = ", ".join(sorted(f"{kind}/{provider}" for kind, provider in registered().adapters))
            raise ServiceError(
                say(
                    "[services.{name}]: there is no adapter {kind}/{provider}; known: {known}",
                    name=name,
                    kind=table.kind,
                    provider=table.provider,
                    known=known,
                )
            )
        options = {option: self._revealed(str(value)) for option, value in (table.model_extra or {}).items()}
        own = {field: getattr(table, field) for field in _Written.model_fields}
        return kind(Setup(name, **own, options=options), self._limiter)

    def _revealed(self, value: str) -> str:
        if not value.startswith(IN_VAULT):
            return value
        name = value.removeprefix(IN_VAULT)
        try:
            if self._secret_of is not None:
                return self._secret_of(name)
        except (ValueError, RuntimeError) as error:
            raise ServiceError(say("{name} of the vault cannot be had: {why}", name=name, why=error)) from None
        raise ServiceError(say("the vault is not there, and {name} stands in it", name=name))
