"""What is pushed by itself: `watchlists.toml` in the project's folder, or by default each screen into a group of its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quant_pipeline import project
from quant_pipeline.configuration import ConfigurationError, read_toml
from quant_pipeline.language import say
from quant_pipeline.ths.origins import Kind, Origin
from quant_pipeline.ths.planning import Mode

FILE = Path("watchlists.toml")
_GROUP = "选股-{name}"
"""The group of a screen for which the file names none."""
_SIGNALS = "交易信号"
LONGEST_GROUP = 40
MOST = 100
"""Hits of a push, unless another number is named: nobody looks at more on a phone, and how many a group takes is not known."""


@dataclass(frozen=True)
class Push:
    """`confirmed`: whether more than the usual part of the group may go; `most`: so many hits or signals at most, the best of
    them (a list is pushed whole); `account`: of the vault, "" for the only one."""

    origin: Origin
    group: str
    mode: Mode = Mode.ADD
    confirmed: bool = False
    most: int = MOST
    account: str = ""


class _Written(BaseModel):
    """One [[push]] of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    origin: str = Field(alias="from")
    group: str = Field("", max_length=LONGEST_GROUP)
    mode: Mode = Mode.ADD
    confirm: bool = False
    most: int = Field(MOST, ge=1)
    account: str = ""


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    push: list[_Written] = Field(default_factory=list)


def load(screens: Mapping[str, str], on: Sequence[str], path: Path | None = None) -> list[Push]:
    """The pushes of the project. `screens`: every screen with its Chinese name; `on`: those that run by themselves.

    ConfigurationError, a sentence, when the file cannot be used. A file without a [[push]] pushes nothing.
    """
    if path is None:
        folder = found.folder if (found := project.found()) is not None else Path()
        path = folder / FILE
        if not path.is_file():
            return [push_of(f"{Kind.SCREEN}:{name}", screens) for name in on]
    try:
        written = _File(**read_toml(path, say("the pushes of watchlists")))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise ConfigurationError(say("{path}, {where}: {problem}", path=path, where=where, problem=problem["msg"])) from None
    pushes = []
    for each in written.push:
        try:
            how = {"mode": each.mode, "confirmed": each.confirm, "most": each.most, "account": each.account}
            pushes.append(push_of(each.origin, screens, group=each.group, **how))
        except ValueError as error:
            raise ConfigurationError(f"{path}: {error}") from None
    return pushes


def push_of(origin: str, screens: Mapping[str, str], *, group: str = "", **how: Any) -> Push:
    """A push of `screen:NAME`, `signals` or `watchlist:NAME`, into a group of its name unless one is named.

    ValueError, a sentence, for what is nothing to push.
    """
    found = Origin.of(origin, screens)
    named = " ".join(group.split()) or group_of(found, screens)
    if len(named) > LONGEST_GROUP or not named.isprintable():
        raise ValueError(
            say("{name!r} cannot be a group's name: write 1 to {longest} letters", name=named, longest=LONGEST_GROUP)
        )
    return Push(found, named, **how)


def group_of(origin: Origin, screens: Mapping[str, str]) -> str:
    """The group for which nothing is said: of a watchlist its own name."""
    if origin.kind is Kind.WATCHLIST:
        return origin.name
    return _SIGNALS if origin.kind is Kind.SIGNALS else _GROUP.format(name=screens[origin.name])
