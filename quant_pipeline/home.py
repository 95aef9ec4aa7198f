"""The home folder, made where it lacks; one that cannot be used is a sentence."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from quant_pipeline.language import say


class HomeError(RuntimeError):
    """The home cannot be used; the text says why, and what to set."""


def made(folder: Path) -> Path:
    """The folder, which is made with those above it. HomeError when it cannot be made, or not be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HomeError(_words(error, folder)) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise HomeError(_words(PermissionError(errno.EACCES, ""), folder))
    return folder


def refuse_unusable(folder: Path) -> None:
    """HomeError when the folder could not be made, or not be written to. Nothing is made."""
    try:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
    except OSError as error:
        raise HomeError(_words(error, folder)) from None
    if not nearest.is_dir():
        raise HomeError(_words(NotADirectoryError(), folder))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise HomeError(_words(PermissionError(errno.EACCES, ""), folder))


def _words(error: OSError, folder: Path) -> str:
    if isinstance(error, NotADirectoryError | FileExistsError):
        file = next(path for path in (folder, *folder.parents) if path.exists())
        return say("{path} is a file, not a folder: set QUANT_HOME to a folder of yours", path=file)
    if error.errno == errno.ENAMETOOLONG:
        return say("the path of QUANT_HOME is too long for this machine: set it to a shorter one")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return say("{path} cannot be written to: set QUANT_HOME to a folder of yours", path=folder)
    return say("{path} cannot be made ({why}): set QUANT_HOME to a folder of yours", path=folder, why=error.strerror)
