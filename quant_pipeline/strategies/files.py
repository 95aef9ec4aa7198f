"""Strategies in files of the user's own: `strategies/*.py` in the home, read when there is a new one or one has changed."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from quant_pipeline import settings
from quant_pipeline.language import say
from quant_pipeline.settings import SettingsError
from quant_pipeline.strategies.adopted import is_of_the_other_shape
from quant_pipeline.strategies.base import Strategy

FOLDER = "strategies"
PACKAGE = "quant_home_strategies"
"""What the folder is called as a package: files in it import each other by `from .other import …`, or `from other import …`."""


@dataclass(frozen=True)
class Found:
    """What a file has: its strategies, or why it cannot be used (`broken`); neither, where it only helps others."""

    file: Path
    classes: tuple[type, ...] = ()
    broken: str = ""


_known: dict[tuple[Path, int, int], Found] = {}


def found() -> list[Found]:
    """Each file of the folder, by name. Nothing where there is no project, or no such folder."""
    try:
        folder = settings.load().home / FOLDER
    except SettingsError:
        return []
    try:
        files = sorted(path for path in folder.glob("*.py") if not path.name.startswith("_")) if folder.is_dir() else []
    except OSError:  # a home that cannot be used: whoever needs it says why
        return []
    return [_read(file) for file in files]


def _read(file: Path) -> Found:
    about = file.stat()
    version = (file, about.st_mtime_ns, about.st_size)
    if version not in _known:
        _known[version] = _loaded(file)
    return _known[version]


def _loaded(file: Path) -> Found:
    if not file.stem.isidentifier():
        return Found(file, broken=say("its name must be letters, digits and underscores: rename it"))
    try:
        module = _module(file)
    except ModuleNotFoundError as error:
        text = say(
            "it imports {module}, which is not there: put that file beside it, install it, or take the import out",
            module=error.name or "?",
        )
        return Found(file, broken=text)
    except SyntaxError as error:
        return Found(file, broken=say("line {line} is no Python: {why}", line=error.lineno or "?", why=error.msg))
    except BaseException as error:  # whatever it does when it is read, sys.exit included
        if isinstance(error, KeyboardInterrupt):
            raise
        return Found(file, broken=say("it fails when it is read: {why}", why=str(error) or type(error).__name__))
    own = [each for each in vars(module).values() if inspect.isclass(each) and each.__module__ == module.__name__]
    ours = [each for each in own if issubclass(each, Strategy) and not inspect.isabstract(each)]
    return Found(file, (*ours, *(each for each in own if is_of_the_other_shape(each))))


def _module(file: Path) -> ModuleType:
    name = f"{PACKAGE}.{file.stem}"
    package = ModuleType(PACKAGE)
    package.__path__ = [str(file.parent)]
    sys.modules[PACKAGE] = package
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _beside(file.parent):
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """The folder's files can be imported, after everything that is installed."""
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
