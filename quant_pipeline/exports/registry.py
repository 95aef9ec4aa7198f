"""The exports that there are: the built-in ones, and those of installed packages (entry-point group
`quant_pipeline.exports`); and which of them run by themselves."""

from __future__ import annotations

import inspect
import logging
from importlib.metadata import EntryPoint
from typing import Any

from pydantic import Field

from quant_pipeline import settings
from quant_pipeline.exports.contract import Export
from quant_pipeline.exports.csv import Csv
from quant_pipeline.exports.parquet import Parquet
from quant_pipeline.exports.qlib import Qlib
from quant_pipeline.exports.vnpy import Vnpy
from quant_pipeline.language import say
from quant_pipeline.plug_ins import with_plug_ins

GROUP = "quant_pipeline.exports"
BUILT_IN: tuple[type[Export], ...] = (Qlib, Parquet, Vnpy, Csv)
_logger = logging.getLogger(__name__)


class ExportsSettings(settings.Variables):
    """Which exports follow the lake."""

    names: str = Field("", alias="QUANT_EXPORTS")


def by_themselves() -> frozenset[str]:
    """The exports that run by themselves, after the lake. A name of none is told and left out."""
    wanted = {name.strip() for name in settings.read(ExportsSettings).names.split(",") if name.strip()}
    known = registered()
    if unknown := sorted(wanted - known.keys()):
        _logger.warning("QUANT_EXPORTS: no export %s; there are %s", ", ".join(unknown), ", ".join(known))
    return frozenset(wanted & known.keys())


def registered() -> dict[str, type[Export]]:
    """Our own by name, then the plug-ins. A broken one stops no other: it is logged."""
    exports, _ = with_plug_ins(GROUP, {export.name: export for export in BUILT_IN}, _of_entry_point)
    return exports


def _of_entry_point(plug_in: EntryPoint) -> type[Export]:
    return _usable(plug_in.load())


def _usable(candidate: Any) -> type[Export]:
    """The class as an export; ValueError says what it lacks."""
    if not (inspect.isclass(candidate) and issubclass(candidate, Export)):
        raise ValueError(say("it is no subclass of {base}", base="quant_pipeline.exports.contract.Export"))
    needed = ("name", "zh", "doc", "examples", "reading", "Parameters")
    if missing := [name for name in needed if not hasattr(candidate, name)]:
        raise ValueError(say("it lacks {names}", names=", ".join(missing)))
    return candidate
