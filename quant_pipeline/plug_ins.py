"""What installed packages add through entry points: found in one way, whatever they add."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import ClassVar, Protocol, TypeVar, cast

from quant_pipeline.language import say


class Named(Protocol):
    """What can be added: a class with a name of its own."""

    name: ClassVar[str]


Added = TypeVar("Added", bound=Named)
_logger = logging.getLogger(__name__)


def with_plug_ins(
    group: str, built_in: Mapping[str, type[Added]], load: Callable[[EntryPoint], type[Added]]
) -> tuple[dict[str, type[Added]], dict[str, str]]:
    """Our own by name, then the plug-ins of the entry-point group by the name of their entry points; and of those that
    cannot be used (`load` raised, or the name is taken): entry point -> why. These stop no other, and are logged."""
    found = dict(built_in)
    broken: dict[str, str] = {}
    for plug_in in sorted(_installed(tuple(sys.path)).select(group=group), key=lambda each: (each.name, each.value)):
        try:
            added = load(plug_in)
            if found.setdefault(added.name, added) is not added:
                raise ValueError(say("there is another one with the name {name!r}", name=added.name))
        except Exception as error:  # whatever a stranger's module does when it is imported
            broken[plug_in.name] = f"{plug_in.value}: {type(error).__name__}: {error}"
            _logger.warning("The plug-in %s of %s is left out: %s", plug_in.name, group, broken[plug_in.name])
    return found, broken


@cache
def _installed(path: tuple[str, ...]) -> EntryPoints:
    """All entry points of the packages in these folders: a file of each package is read for them, once."""
    del path
    return cast(EntryPoints, entry_points())
