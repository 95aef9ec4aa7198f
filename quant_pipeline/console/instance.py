"""The Dagster instance of the commands: the same as that of `dg dev` and the UI."""

from __future__ import annotations

import os
from pathlib import Path

_HOME = "DAGSTER_HOME"


class InstanceError(RuntimeError):
    """There is no dagster.yaml where the commands look for it."""


def prepare_environment() -> None:
    """Sets DAGSTER_HOME (the folder with dagster.yaml, at or above the working folder) for this process and its children."""
    if os.environ.get(_HOME):
        return
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dagster.yaml").is_file():
            os.environ[_HOME] = str(folder)
            return
    raise InstanceError(
        f"no dagster.yaml in {here} or above it: run the command inside the checkout of quant_pipeline, "
        "or set DAGSTER_HOME to a folder that has one"
    )
