"""The Dagster instance of this process: the same as that of `dg dev` and the UI."""

from __future__ import annotations

import os

from quant_pipeline import project
from quant_pipeline.language import say

HOME = "DAGSTER_HOME"


class InstanceError(RuntimeError):
    """There is no dagster.yaml where it is looked for."""


def prepare_environment() -> None:
    """Sets DAGSTER_HOME (the folder with the project's dagster.yaml) for this process and its children."""
    if os.environ.get(HOME):
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
    os.environ[HOME] = str(folder)
