"""Settings: the environment (and `.env`) read once, with secrets that do not print."""

from __future__ import annotations

import datetime as dt
import functools
import os
from collections.abc import Hashable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from quant_pipeline import answering, project
from quant_pipeline.language import say
from quant_pipeline.wrong_values import problems

AnyVariables = TypeVar("AnyVariables", bound="Variables")


class Mode(StrEnum):
    """Where data come from: the sandbox's simulated exchange, or the real services."""

    SANDBOX = "sandbox"
    LIVE = "live"


class SettingsError(ValueError):
    """A setting that cannot be used; the text names it and says what to write, never its secret value."""


class NoProject(SettingsError):
    """No folder with settings or data is found; the text says where was looked, and what to do."""


class Variables(BaseSettings):
    """Variables of the environment or of the project's `.env` (see `read`). Empty values count as unset."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, frozen=True)


class Settings(Variables):
    """The platform's own settings; what a source needs, its adapter declares. `.env.example` explains each."""

    mode: Mode = Field(Mode.SANDBOX, alias="QUANT_MODE")
    home: Path = Field(Path(".quant"), alias="QUANT_HOME")
    database_url: SecretStr | None = Field(None, alias="QUANT_DATABASE_URL")
    secret_key: SecretStr | None = Field(None, alias="SECRET_KEY")
    secret_key_next: SecretStr | None = Field(None, alias="SECRET_KEY_NEXT")
    ths_upass_url: str | None = Field(None, alias="THS_UPASS_URL")
    ths_auth_url: str | None = Field(None, alias="THS_AUTH_URL")
    ths_ugc_url: str | None = Field(None, alias="THS_UGC_URL")
    ths_t_url: str | None = Field(None, alias="THS_T_URL")
    pushplus_token: SecretStr | None = Field(None, alias="PUSHPLUS_TOKEN")
    pushplus_secret_key: SecretStr | None = Field(None, alias="PUSHPLUS_SECRET_KEY")
    pushplus_url: str | None = Field(None, alias="PUSHPLUS_URL")
    ui_url: str = Field("http://127.0.0.1:3000", alias="QUANT_UI_URL")
    serve_host: str = Field("127.0.0.1", alias="QUANT_SERVE_HOST")
    serve_port: int = Field(8000, ge=0, le=65535, alias="QUANT_SERVE_PORT")
    read_through: bool = Field(False, alias="QUANT_SERVE_READ_THROUGH")
    serve_origins: Annotated[frozenset[str], NoDecode] = Field(frozenset(), alias="QUANT_SERVE_ORIGINS")
    pages: str | None = Field(None, alias="QUANT_PAGES_URL")
    rate_limits: Path | None = Field(None, alias="QUANT_RATE_LIMITS")
    channels: Path | None = Field(None, alias="QUANT_CHANNELS")
    schedules: Path | None = Field(None, alias="QUANT_SCHEDULES")
    partitions_start: dt.date | None = Field(None, alias="QUANT_PARTITIONS_START")
    without: Annotated[frozenset[str], NoDecode] = Field(frozenset(), alias="QUANT_WITHOUT")
    screens: Annotated[frozenset[str], NoDecode] = Field(frozenset(), alias="QUANT_SCREENS")

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().resolve()

    @field_validator("without", "screens", "serve_origins", mode="before")
    @classmethod
    def _names(cls, names: object) -> object:
        return frozenset(name.strip() for name in names.split(",") if name.strip()) if isinstance(names, str) else names

    @field_validator("serve_origins")
    @classmethod
    def _are_origins(cls, origins: frozenset[str]) -> frozenset[str]:
        for origin in origins:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}":
                raise ValueError(say("{origin!r} is no site's origin: write https://desk.example, each by name", origin=origin))
        return frozenset(origin.lower() for origin in origins)

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError(say("write it as postgresql://user:password@host:5432/database"))
        return url

    @property
    def sandboxed(self) -> bool:
        return self.mode is Mode.SANDBOX

    @property
    def pages_url(self) -> str:
        """The address that links to our own pages begin with: that of QUANT_PAGES_URL, or where they answer (see `load`), or
        the port after the UI's, where `ui` serves them."""
        if self.pages is not None:
            return self.pages.rstrip("/")
        ui = urlsplit(self.ui_url)
        host = f"[{ui.hostname}]" if ":" in (ui.hostname or "") else ui.hostname
        return f"{ui.scheme}://{host}:{(ui.port or 3000) + 1}"

    @property
    def database_name(self) -> str:
        """Sandbox and live data never share a database."""
        return "quant_sandbox" if self.sandboxed else "quant"


def load(*, or_here: bool = False) -> Settings:
    """Reads the environment and the project's `.env`; SettingsError names the variable that cannot be used.

    A relative path stands for itself in the environment, and beside the `.env` that it is written in. NoProject where no
    folder is found that could hold a home (`or_here`: the working folder will do), so that none is made by surprise.

    The addresses that links begin with are those written by hand, else those of the `ui` or `serve` that runs now, else the
    usual ones.
    """
    written = _paths_in_the_file()
    if not os.environ.get("QUANT_HOME") and "QUANT_HOME" not in written:
        written["QUANT_HOME"] = _home(or_here=or_here)
    return _as_it_answers(_kept(_said(), tuple(sorted(written.items()))))


def _said() -> Hashable:
    """All that settings are made of, as it stands now."""
    file = project.env_file()
    return Path.cwd(), frozenset(os.environ.items()), file, file.read_bytes() if file is not None else b""


@functools.lru_cache(maxsize=2)
def _kept(said: Hashable, written: tuple[tuple[str, Any], ...]) -> Settings:
    """The settings that come of it: each event of a run asks for them, and to make them costs more than to write the event."""
    del said
    return read(Settings, dict(written))


def _as_it_answers(current: Settings) -> Settings:
    if "ui_url" in current.model_fields_set or (running := answering.found(current.home, current.mode)) is None:
        return current
    addresses = {"pages": current.pages or running.pages, "ui_url": running.ui or current.ui_url}
    return current.model_copy(update=addresses)


def _paths_in_the_file() -> dict[str, Any]:
    file = project.env_file()
    if file is None:
        return {}
    values = dotenv_values(file)
    return {
        name: file.parent / Path(value).expanduser()
        for name in ("QUANT_HOME", "QUANT_RATE_LIMITS", "QUANT_CHANNELS", "QUANT_SCHEDULES")
        if (value := values.get(name)) and not os.environ.get(name)
    }


def _home(*, or_here: bool) -> Path:
    if (known := project.found()) is not None:
        return known.home
    if or_here:
        return Path.cwd() / project.HOME
    if os.environ.get("QUANT_DATABASE_URL"):
        return project.user_home()  # for the logs: the data are elsewhere
    raise NoProject(
        say(
            "no project of quant_pipeline is found: looked for a folder {home}, a dagster.yaml or an .env of it in {folders}, "
            "and QUANT_HOME is not set. Change to the project's folder, or set QUANT_HOME to its {home}",
            home=project.HOME,
            folders=", ".join(map(str, project.searched())),
        )
    )


def read(kind: type[AnyVariables], instead: Mapping[str, Any] | None = None) -> AnyVariables:
    """These variables out of the environment and the project's `.env`, or from `instead` (name -> value) where it has them."""
    try:
        return kind(**{"_env_file": project.env_file(), **(instead or {})})
    except ValidationError as error:
        raise SettingsError(
            say("the settings cannot be used: {problems} (see .env.example)", problems=problems(error))
        ) from None
