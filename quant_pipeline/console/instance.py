"""Where the commands work: in the folder of dagster.yaml, whose instance they share with the UI."""

from __future__ import annotations

import os
from pathlib import Path

from quant_pipeline import project
from quant_pipeline.resources.dagster_private.books import STORAGE
from quant_pipeline.resources.instance import HOME, prepare_environment

_PATHS = ("QUANT_HOME", "QUANT_RATE_LIMITS", "QUANT_SCHEDULES")


def keeps_books_here() -> bool:
    """Whether Dagster's runs and events are kept in the platform's database, as our dagster.yaml says: not elsewhere."""
    prepare_environment()
    return STORAGE in (Path(os.environ[HOME]) / project.DAGSTER).read_text(encoding="utf-8", errors="replace")


def enter_project() -> None:
    """Goes to the folder of dagster.yaml, where nothing that lies about is imported; relative settings are kept as they were
    meant."""
    prepare_environment()
    for name in _PATHS:
        if path := os.environ.get(name):
            os.environ[name] = str(Path(path).expanduser().resolve())
    os.chdir(os.environ[HOME])
