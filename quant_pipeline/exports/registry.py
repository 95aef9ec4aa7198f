"""The exports that there are: the built-in ones, and those of installed packages (entry-point group
`quant_pipeline.exports`)."""

from __future__ import annotations

import inspect
from importlib.metadata import EntryPoint
from typing import Any

from quant_pipeline.exports.contract import Export
from quant_pipeline.exports.csv import Csv
from quant_pipeline.exports.parquet import Parquet
from quant_pipeline.exports.qlib import Qlib
from quant_pipeline.exports.vnpy import Vnpy
from quant_pipeline.language import say
from quant_pipeline.plug_ins import with_plug_ins

GROUP = "quant_pipeline.exports"
BUILT_IN: tuple[type[Export], ...] = (Qlib, Parquet, Vnpy, Csv)


def registered() -> dict[str, type[Export]]:
    """Our own by name, then the plug-ins. A broken one stops no other: it is logged."""
    exports, _ = with_plug_ins(GROUP, {export.name: export for export in BUILT_IN}, _of_entry_point)
    return exports


def _of_entry_point(plug_in: EntryPoint) -> type[Export]:
    candidate: Any = plug_in.load()
    if not (inspect.isclass(candidate) and issubclass(candidate, Export)):
        raise ValueError(say("it is no subclass of {base}", base="quant_pipeline.exports.contract.Export"))
    return candidate
