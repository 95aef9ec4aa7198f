"""The sources that there are: our own, and those of installed packages (entry-point group `quant_pipeline.sources`).

An adapter declares its name, default priority, default pace, variables and builder; settings, resources, command line and
documentation follow from here. To add a source is to write its file and to name it in `BUILT_IN`, or in an entry point.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, create_model

from quant_pipeline.language import say
from quant_pipeline.plug_ins import with_plug_ins
from quant_pipeline.settings import Variables, read
from quant_pipeline.sources import policy
from quant_pipeline.sources.akshare import AkshareSource
from quant_pipeline.sources.baostock import BaostockSource
from quant_pipeline.sources.base import Source
from quant_pipeline.sources.derived import DerivedSource
from quant_pipeline.sources.policy import Policies
from quant_pipeline.sources.ths_api import ThsSource
from quant_pipeline.sources.tushare import TushareSource

GROUP = "quant_pipeline.sources"
BUILT_IN: tuple[type[Source], ...] = (TushareSource, BaostockSource, AkshareSource, ThsSource, DerivedSource)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class SourcePluginError(ValueError):
    """Why an entry point's source cannot be used."""


@dataclass(frozen=True)
class Registry:
    """`sources` by name; `broken`: entry point -> why its source cannot be used."""

    sources: Mapping[str, type[Source]]
    broken: Mapping[str, str]


@lru_cache(maxsize=1)
def registered() -> Registry:
    """Our own sources, then the plug-ins by the name of their entry points. A broken plug-in stops no other: it is logged,
    and named in `broken`."""
    sources, broken = with_plug_ins(GROUP, {source.name: source for source in BUILT_IN}, _source_of)
    return Registry(sources, broken)


def priority_variable(name: str) -> str:
    """The environment variable that ranks the source: TUSHARE_PRIORITY."""
    return f"{name.upper()}_PRIORITY"


def priorities() -> dict[str, int]:
    """source -> its priority by the environment, else its own: 1 is first, 0 is off. SettingsError names a wrong one."""
    fields: dict[str, Any] = {
        name: (Annotated[int, Field(ge=0)], Field(source.default_priority, alias=priority_variable(name)))
        for name, source in registered().sources.items()
    }
    return read(create_model("Priorities", __base__=Variables, **fields)).model_dump()


def policies(path: Path | None) -> Policies:
    """The pace of every API: the adapters' own, with the user's file (`QUANT_RATE_LIMITS`) laid over them."""
    return policy.load_policies(path, {name: source.default_policies for name, source in registered().sources.items()})


def _source_of(plug_in: EntryPoint) -> type[Source]:
    source = plug_in.load()
    if not (inspect.isclass(source) and issubclass(source, Source)):
        raise SourcePluginError(say("it is no subclass of {base}", base="quant_pipeline.sources.base.Source"))
    if missing := [name for name in ("name", "default_priority", "default_policies") if not hasattr(source, name)]:
        raise SourcePluginError(say("it lacks {names}", names=", ".join(missing)))
    if abstract := sorted(getattr(source, "__abstractmethods__", ())):
        raise SourcePluginError(say("it lacks {names}", names=", ".join(abstract)))
    if not _NAME.fullmatch(source.name):
        text = say("its name {name!r} must be lower-case letters, digits and underscores", name=source.name)
        raise SourcePluginError(text)
    return source
