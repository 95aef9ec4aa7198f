"""The Dagster instance of the commands: the same as that of `dg dev` and the UI."""

from __future__ import annotations

import os
from pathlib import Path

from quant_pipeline import project
from quant_pipeline.language import say
from quant_pipeline.resources.dagster_private.books import STORAGE

_HOME = "DAGSTER_HOME"
_PATHS = ("QUANT_HOME", "QUANT_RATE_LIMITS", "QUANT_SCHEDULES")


class InstanceError(RuntimeError):
    """There is no dagster.yaml where the commands look for it."""


def prepare_environment() -> None:
    """Sets DAGSTER_HOME (the folder with the project's dagster.yaml) for this process and its children."""
    if os.environ.get(_HOME):
        return
    folder = project.dagster_folder()
    if folder is None:
        raise InstanceError(
            say(
                "no dagster.yaml in {folders}: run the command inside the checkout of quant_pipeline, "
                "or set DAGSTER_HOME to a folder that has one",
                folders=", ".join(map(str, project.searched())),
            )
        )
    os.environ[_HOME] = str(folder)


def keeps_books_here() -> bool:
    """Whether Dagster's runs and events are kept in the platform's database, as our dagster.yaml says: not elsewhere."""
    prepare_environment()
    return STORAGE in (Path(os.environ[_HOME]) / project.DAGSTER).read_text(encoding="utf-8", errors="replace")


def enter_project() -> None:
    """Goes to the folder of dagster.yaml, where nothing that lies about is imported; relative settings are kept as they were
    meant."""
    prepare_environment()
    for name in _PATHS:
        if path := os.environ.get(name):
            os.environ[name] = str(Path(path).expanduser().resolve())
    os.chdir(os.environ[_HOME])
