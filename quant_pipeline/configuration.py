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
from quant_pipeline.language import say
from quant_pipeline.wrong_values import mistyped

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ConfigurationError(ValueError):
    """A configuration file that cannot be used; the text names it and what is wrong in it, and no variable's value."""


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The file's tables, variables filled in. `what`: what it holds, for the errors ("the rate limits"), as the reader is told.

    A variable may stand anywhere in a text value: `"${LIMIT}"`, `"https://${HOST}/"`; where a number or a switch is wanted
    it is read as one. ConfigurationError for a file that cannot be read, and for a variable that is not set or empty.
    """
    tables: dict[str, Any] = filled(as_written(path, what), str(path))
    return tables


def entries_of(tables: Mapping[str, Any], table: str, path: Path) -> dict[str, dict[str, Any] | ConfigurationError]:
    """The tables `[table.NAME]` of a file as it was written, by name: what is no table is its error, and stops no other."""
    written = tables.get(table, {})
    if not isinstance(written, dict):
        return {"": ConfigurationError(say("{path}: write {table} as [{table}.NAME]", path=path, table=table))}
    return {
        name: entry if isinstance(entry, dict) else ConfigurationError(_no_table(f"{path}, [{table}.{name}]", table, name))
        for name, entry in written.items()
    }


def _no_table(place: str, table: str, name: str) -> str:
    return say("{place} is no table: write its lines below [{table}.{name}]", place=place, table=table, name=name)


def as_written(path: Path, what: str) -> dict[str, Any]:
    """The file's tables as they stand there: variables are not filled in. ConfigurationError for a file that cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        text = say("{what} in {path} cannot be read: {error}", what=what, path=path, error=error)
        raise ConfigurationError(text) from None


def filled(value: Any, place: str) -> Any:
    """A value of a file with its variables filled in; `place` says where it stands. ConfigurationError."""
    return _filled(value, environment(), place)


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
            text = say("{place}: {written} is no variable's name; write ${{NAME}}", place=place, written=mistyped(match[0]))
            raise ConfigurationError(text)
        if not (found := known.get(name)):
            text = say(
                "{place}: the environment variable {name} is not set; set it, or put it into .env", place=place, name=name
            )
            raise ConfigurationError(text)
        return found

    return _VARIABLE.sub(variable, value)
