"""The one reader of configuration files: TOML, in which `${NAME}` stands for a variable of the environment (or of `.env`)."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from quant_pipeline import project

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ConfigurationError(ValueError):
    """A configuration file that cannot be used; the text names it and what is wrong in it, and no variable's value."""


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The file's tables, variables filled in. `what`: what it holds, for the errors ("the rate limits").

    A variable may stand anywhere in a text value: `"${LIMIT}"`, `"https://${HOST}/"`; where a number or a switch is wanted
    it is read as one. ConfigurationError for a file that cannot be read, and for a variable that is not set or empty.
    """
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{what} in {path} cannot be read: {error}") from None
    filled: dict[str, Any] = _filled(written, environment(), str(path))
    return filled


def environment() -> Mapping[str, str | None]:
    """What the settings are read from: the project's `.env`, overruled by the process's environment."""
    file = project.env_file()
    return {**(dotenv_values(file) if file is not None else {}), **os.environ}


def _filled(value: Any, known: Mapping[str, str | None], place: str) -> Any:
    if isinstance(value, dict):
        return {name: _filled(inner, known, f"{place}, {name}") for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, known, place) for inner in value]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        name = match[1]
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"{place}: {match[0]} is no variable's name; write ${{NAME}}")
        if not (found := known.get(name)):
            raise ConfigurationError(f"{place}: the environment variable {name} is not set; set it, or put it into .env")
        return found

    return _VARIABLE.sub(variable, value)
