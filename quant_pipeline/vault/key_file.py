"""Where SECRET_KEY stands: in the project's `.env`, which is written as a whole or not at all, for its owner only."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from quant_pipeline import project


def place() -> Path:
    """The `.env` of the project; that of the working folder where there is no project yet."""
    known = project.found()
    return (known.folder if known is not None else Path.cwd()) / project.ENV


def written(name: str) -> str | None:
    """The variable's value in the file; None where it is not there or empty, or the environment overrules it."""
    if os.environ.get(name):
        return None
    file = place()
    return (dotenv_values(file).get(name) or None) if file.is_file() else None


def write(values: Mapping[str, str | None]) -> Path:
    """Sets these variables in the file (None: takes them out), all in one step; the rest of it stays as it is.

    The file can be read by nobody else from then on. A process that dies in between leaves it as it was.
    """
    file = place()
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    for name, value in values.items():
        text = re.sub(rf"^[ \t]*(export[ \t]+)?{name}[ \t]*=.*\n?", "", text, flags=re.MULTILINE)
        if value is not None:
            text += ("" if not text or text.endswith("\n") else "\n") + f"{name}={value}\n"
    handle, unfinished = tempfile.mkstemp(dir=file.parent, prefix=file.name)  # for its owner only
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    Path(unfinished).replace(file)
    return file
