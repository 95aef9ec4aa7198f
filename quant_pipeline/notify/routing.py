"""Who is told what, over which channels in which order, and when it waits for the morning.

[receivers.me]
channels = ["wecom", "pushplus", "mail"]   # the next one is taken where one refuses, is used up or is down
severities = ["critical", "warning"]       # default: all
quiet = "22:30-07:30"                      # in the exchange's zone: critical goes through, the rest waits for its end

[[routes]]                                 # the first that fits a receiver's message says its channels
receiver = "me"                            # default: every receiver
kinds = ["screen"]                         # default: all
severities = ["info"]                      # default: all
channels = ["dingtalk"]                    # []: it is not told
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from quant_pipeline.language import say
from quant_pipeline.market import clock
from quant_pipeline.notify.channels.contract import Channel
from quant_pipeline.notify.severity import Severity
from quant_pipeline.wrong_values import mistyped, problems

_FIRST = ("wecom", "pushplus", "email")
"""Kinds of channels in the order in which one stands in for another; the others follow as they are written."""
_ALL = frozenset(Severity)
SOMEBODY = "me"
"""The receiver where none is named."""
_Read = TypeVar("_Read", bound=BaseModel)


def _hours(written: object) -> object:
    """The two times of `22:30-07:30`."""
    if not isinstance(written, str):
        return written
    first, _, last = written.partition("-")
    try:
        hours = dt.time.fromisoformat(first.strip()), dt.time.fromisoformat(last.strip())
    except ValueError:
        hours = None
    if hours is None or hours[0] == hours[1] or any(each.tzinfo is not None for each in hours):
        raise ValueError(say("write quiet hours as 22:30-07:30"))
    return hours


class Receiver(BaseModel):
    """A person, or a group's robot. `quiet`: from when to when only critical messages go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: tuple[str, ...] = ()
    severities: frozenset[Severity] = _ALL
    quiet: Annotated[tuple[dt.time, dt.time] | None, BeforeValidator(_hours)] = None

    def waits(self, severity: Severity, now: dt.datetime) -> dt.timedelta:
        """How long a message that is made at `now` waits for the end of the quiet hours."""
        if self.quiet is None or severity is Severity.CRITICAL:
            return dt.timedelta()
        start, end = self.quiet
        time = now.timetz().replace(tzinfo=None)
        within = start <= time < end if start < end else time >= start or time < end
        if not within:
            return dt.timedelta()
        ends = dt.datetime.combine(now.date(), end, now.tzinfo)
        return (ends if ends > now else ends + dt.timedelta(days=1)) - now


class Route(BaseModel):
    """Which channels, in order, messages of these kinds and severities take to the receiver (default: to everybody)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: tuple[str, ...]
    receiver: str | None = None
    kinds: frozenset[str] = frozenset()
    severities: frozenset[Severity] = _ALL

    def fits(self, receiver: str, kind: str, severity: Severity) -> bool:
        return self.receiver in (None, receiver) and (not self.kinds or kind in self.kinds) and severity in self.severities


class Routes:
    """The receivers and the routes to them; `mistakes`: what in the file cannot be used, in words."""

    def __init__(self, receivers: Mapping[str, Receiver], routes: Sequence[Route] = (), mistakes: Sequence[str] = ()) -> None:
        self.receivers = receivers
        self.mistakes = mistakes
        self._routes = routes

    def channels(self, receiver: str, kind: str, severity: Severity) -> tuple[str, ...]:
        """The channels in their order; none for who is gone or is not to be told."""
        person = self.receivers.get(receiver)
        if person is None or severity not in person.severities:
            return ()
        fitting = (route.channels for route in self._routes if route.fits(receiver, kind, severity))
        return next(fitting, person.channels)

    def waits(self, receiver: str, severity: Severity) -> dt.timedelta:
        """How long a message of now waits for the end of the receiver's quiet hours."""
        return self.receivers[receiver].waits(severity, clock.now())


def routes_of(written: Mapping[str, Any], channels: Sequence[Channel]) -> Routes:
    """The routes that a file of channels holds under `receivers` and `routes`. It never raises for what stands there.

    Without any receiver there is one, whom every channel reaches: WeCom, else PushPlus, else e-mail, else the others. A
    receiver or a route that cannot be used is a mistake and stops no other; messages then go as if it were not there.
    """
    known = tuple(channel.name for channel in in_turn(channels))
    reading = _Reading(known)
    receivers = {name: reading.receiver(name, fields) for name, fields in _table(written.get("receivers")).items()}
    usable = {name: each for name, each in receivers.items() if each is not None} or {SOMEBODY: Receiver(channels=known)}
    listed = written.get("routes") or []
    routes = [reading.route(fields, usable) for fields in (listed if isinstance(listed, list) else [listed])]
    return Routes(usable, [each for each in routes if each is not None], reading.mistakes)


def in_turn(channels: Sequence[Channel]) -> list[Channel]:
    """The channels in the order in which one stands in for another."""
    return sorted(channels, key=lambda channel: _FIRST.index(channel.kind) if channel.kind in _FIRST else len(_FIRST))


class _Reading:
    """Reads the tables of one file, and gathers its mistakes."""

    def __init__(self, known: tuple[str, ...]) -> None:
        self._known = known
        self.mistakes: list[str] = []

    def receiver(self, name: str, fields: object) -> Receiver | None:
        read = self._valid(Receiver, fields, f"[receivers.{name}]")
        if read is None:
            return None
        channels = self._there(read.channels, f"[receivers.{name}]")
        return read.model_copy(update={"channels": channels or self._known})

    def route(self, fields: object, receivers: Mapping[str, Receiver]) -> Route | None:
        read = self._valid(Route, fields, "[[routes]]")
        if read is None:
            return None
        if read.receiver is not None and read.receiver not in receivers:
            names = ", ".join(receivers)
            self.mistakes.append(
                say("[[routes]]: there is no receiver {name!r}; there are {known}", name=mistyped(read.receiver), known=names)
            )
            return None
        channels = self._there(read.channels, "[[routes]]")
        return read.model_copy(update={"channels": channels}) if channels or not read.channels else None

    def _there(self, names: Sequence[str], where: str) -> tuple[str, ...]:
        for name in names:
            if name not in self._known:
                known = ", ".join(self._known) or "-"
                self.mistakes.append(
                    say(
                        "{where}: there is no channel {name!r}; there are {known}",
                        where=where,
                        name=mistyped(name),
                        known=known,
                    )
                )
        return tuple(name for name in names if name in self._known)

    def _valid(self, kind: type[_Read], fields: object, where: str) -> _Read | None:
        try:
            return kind.model_validate(fields)
        except ValidationError as error:
            self.mistakes.append(f"{where}: {problems(error)}")
            return None


def _table(written: object) -> Mapping[str, Any]:
    return written if isinstance(written, Mapping) else {}
