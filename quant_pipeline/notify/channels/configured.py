"""The channels that the user has set up: the tables `[channels.NAME]` of the file QUANT_CHANNELS; without it, PushPlus.

A channel that cannot be used stops no other: its mistake is a sentence that the doctor and `notify channels` show.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from quant_pipeline.configuration import ConfigurationError, as_written, entries_of, filled
from quant_pipeline.language import say
from quant_pipeline.notify.channels.contract import Channel
from quant_pipeline.services.manager import IN_VAULT
from quant_pipeline.wrong_values import mistyped, problems

if TYPE_CHECKING:
    from quant_pipeline.sources.limiter import Limiter

GROUP = "quant_pipeline.channels"
"""Entry points of installed packages: a class like ours, under the name of its kind."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_TABLES = ("channels", "receivers", "routes", "services")
_TAKEN = frozenset({"all", "none", "tushare", "baostock", "akshare", "ths", "derived"})
"""Names that stand for something else where a channel's name is written or counted."""


class ChannelError(ValueError):
    """A channel that cannot be used as it is written; the text says what to write."""


@dataclass(frozen=True)
class Configured:
    """The channels by name, in the order of the file; `mistakes`: name -> why it cannot be used ("": the file itself).

    `tables`: the file's other tables (receivers, routes), as they are written.
    """

    channels: Mapping[str, Channel] = field(default_factory=dict)
    mistakes: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Means:
    """What channels are made with. `simulated` gives the lines of each kind that point it at the sandbox, in the place of the
    user's own address and secrets where he has written no `url`; None: the real services. `secret_of`: out of the vault."""

    limiter: Limiter | None = None
    simulated: Callable[[], Mapping[str, Mapping[str, Any]]] | None = None
    secret_of: Callable[[str], str] | None = None


@lru_cache(maxsize=1)
def kinds() -> tuple[str, ...]:
    """The kinds that there are: the files of this folder that have a CHANNEL, and the plug-ins."""
    package = importlib.import_module(__name__.rpartition(".")[0])
    own = [each.name for each in pkgutil.iter_modules(package.__path__) if _own(each.name) is not None]
    return tuple(dict.fromkeys([*own, *sorted(each.name for each in entry_points(group=GROUP))]))


def configured(path: Path, means: Means) -> Configured:
    """The file's channels. It never raises for what stands in the file."""
    channels: dict[str, Channel] = {}
    mistakes: dict[str, str] = {}
    try:
        tables = as_written(path, say("the channels"))
    except ConfigurationError as error:
        return Configured(mistakes={"": str(error)})
    if strange := [table for table in tables if table not in _TABLES]:
        text = say("{path}: there is no table {table}", path=path, table=mistyped(strange[0])) + guess(strange[0], _TABLES)
        mistakes[""] = text + say(" (known: {known})", known=", ".join(_TABLES))
    for name, entry in entries_of(tables, "channels", path).items():
        try:
            if isinstance(entry, ConfigurationError):
                raise entry
            channels[name] = built(name, entry, means)
        except (ConfigurationError, ChannelError) as error:
            mistakes[name] = str(error)
        except Exception as error:  # a plug-in's own code
            mistakes[name] = say("[channels.{name}]: the channel cannot be made: {why}", name=name, why=type(error).__name__)
    return Configured(channels, mistakes, tables)


def built(name: str, written: Mapping[str, Any], means: Means) -> Channel:
    """A channel of its table, as it is written. ChannelError, ConfigurationError say what to write."""
    place = f"[channels.{name}]"
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise ChannelError(
            say("{place}: {name} cannot be a channel's name; write another one in lower-case letters", place=place, name=name)
        )
    lines = dict(written)
    kind = str(lines.pop("kind", ""))
    if not kind:
        raise ChannelError(
            say('{place} lacks its kind: write kind = "wecom", or another of {known}', place=place, known=", ".join(kinds()))
        )
    if kind not in kinds():
        alike = guess(kind, kinds())  # of a word that is like none not even the letters: it may be a secret
        text = say("{place}: there is no kind {kind!r}", place=place, kind=mistyped(kind) if alike else "…") + alike
        raise ChannelError(text + say(" (known: {known})", known=", ".join(kinds())))
    made = _class_of(kind)
    if means.simulated is not None and not lines.get("url"):
        lines |= means.simulated().get(kind, {})
    lines = {line: _revealed(filled(value, place), means, place) for line, value in lines.items()}
    channel: Channel = made.made(name, _validated(made.settings_type, lines, place), means.limiter)
    return channel


def guess(word: str, known: Iterable[str]) -> str:
    """`; did you mean "wecom"?` where one is alike."""
    close = get_close_matches(word, list(known), 1)
    return say("; did you mean {word}?", word=close[0]) if close else ""


def _validated(settings: type[BaseModel], lines: Mapping[str, Any], place: str) -> BaseModel:
    known = list(settings.model_fields)
    if strange := [line for line in lines if line not in known]:
        text = say("{place} has {line}, which this kind does not have", place=place, line=mistyped(strange[0]))
        raise ChannelError(text + guess(strange[0], known) + say(" (it has {known})", known=", ".join(known)))
    try:
        return settings(**lines)
    except ValidationError as error:
        raise ChannelError(f"{place}: {problems(error)}") from None


def _revealed(value: Any, means: Means, place: str) -> Any:
    """The value, with what stands in the vault in the place of `vault:NAME`."""
    if isinstance(value, list):
        return [_revealed(each, means, place) for each in value]
    if not isinstance(value, str) or not value.startswith(IN_VAULT):
        return value
    name = value.removeprefix(IN_VAULT)
    if means.secret_of is None:
        raise ChannelError(say("{place}: the vault is not there, and {name} stands in it", place=place, name=name))
    try:
        return means.secret_of(name)
    except (ValueError, RuntimeError, LookupError) as error:
        raise ChannelError(
            say("{place}: {name} of the vault cannot be had: {why}", place=place, name=name, why=error)
        ) from None


def _own(kind: str) -> Any:
    module = importlib.import_module(f"{__name__.rpartition('.')[0]}.{kind}")
    return getattr(module, "CHANNEL", None)


def _class_of(kind: str) -> Any:
    package = importlib.import_module(__name__.rpartition(".")[0])
    if kind in {each.name for each in pkgutil.iter_modules(package.__path__)}:
        return _own(kind)
    (plug_in,) = entry_points(group=GROUP, name=kind)
    return plug_in.load()
