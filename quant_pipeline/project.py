"""Where the platform's files are: in the project's folder, which is found from the working folder upwards, by QUANT_HOME,
or, for a machine's only project, in the user's configuration.

A folder is a project's when it has a home (`.quant`), a dagster.yaml that names quant_pipeline, or an `.env` with one of its
settings. A folder of somebody else's project is passed by, whatever else stands in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

ENV: Final = ".env"
HOME: Final = ".quant"
DAGSTER: Final = "dagster.yaml"
_NAME = "quant-pipeline"
_OURS = re.compile(r"^\s*(export\s+)?(QUANT|TUSHARE|PUSHPLUS|BAOSTOCK|AKSHARE|THS)_\w+\s*=", re.MULTILINE)


@dataclass(frozen=True)
class Project:
    """The folder that settings, dagster.yaml and schedules.toml are read from, and where the home is unless it was set."""

    folder: Path
    home: Path


def found() -> Project | None:
    """The project that this process works in; None where there is none (see `searched`)."""
    for folder in _folders():
        if _is_ours(folder):
            return Project(folder, folder / HOME)
    configuration = platformdirs.user_config_path(_NAME)
    return Project(configuration, user_home()) if (configuration / ENV).is_file() else None


def searched() -> list[Path]:
    """The folders that `found` looks at, in its order."""
    return [*_folders(), platformdirs.user_config_path(_NAME)]


def dagster_folder() -> Path | None:
    """The folder with the dagster.yaml of this project; None where there is none."""
    return next((folder for folder in searched() if _names_us(folder / DAGSTER)), None)


def env_file() -> Path | None:
    """The file that settings are read from, besides the environment."""
    project = found()
    return project.folder / ENV if project is not None and (project.folder / ENV).is_file() else None


def user_home() -> Path:
    """The home of a machine's only project."""
    return platformdirs.user_data_path(_NAME)


def _folders() -> Iterator[Path]:
    here = Path.cwd()
    yield from (here, *here.parents)
    if dagster := os.environ.get("DAGSTER_HOME"):
        yield Path(dagster).expanduser().resolve()
    if home := os.environ.get("QUANT_HOME"):
        resolved = Path(home).expanduser().resolve()
        yield from (resolved, resolved.parent)


def _is_ours(folder: Path) -> bool:
    with suppress(OSError):  # a path that is too long
        return (folder / HOME).is_dir() or _names_us(folder / DAGSTER) or bool(_OURS.search(_text(folder / ENV)))
    return False


def _names_us(file: Path) -> bool:
    return "quant_pipeline" in _text(file)


def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_text(encoding="utf-8", errors="replace")
    return ""
