"""What the commands `notify` show: the channels and how they do, and what became of trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from quant_pipeline.console.insight import Output
from quant_pipeline.console.tables import Column, FittedTable
from quant_pipeline.language import marked, say
from quant_pipeline.notify.channels.configured import Configured
from quant_pipeline.notify.channels.contract import Channel, Limits
from quant_pipeline.notify.trial import Trial
from quant_pipeline.retelling import retold
from quant_pipeline.services.health import Health

_SENDING = frozenset({"send", "SendSms"})


class NoChannel(ValueError):
    """There is no such channel; the text says which there are."""


def chosen(found: Configured, name: str | None) -> list[Channel]:
    """The channel of that name, or all. NoChannel, with what is wrong with it in the file where something is."""
    if name is None:
        if not found.channels and found.mistakes:
            raise NoChannel("; ".join(found.mistakes.values()))
        if not found.channels:
            raise NoChannel(say("no channel is set up: set PUSHPLUS_TOKEN, or QUANT_CHANNELS (see channels.example.toml)"))
        return list(found.channels.values())
    if name in found.mistakes:
        raise NoChannel(found.mistakes[name])
    if name not in found.channels:
        known = ", ".join(found.channels) or say("none")
        raise NoChannel(say("there is no channel {name!r}; there are {known}", name=name, known=known))
    return [found.channels[name]]


def trials_output(trials: Sequence[Trial], mistakes: Mapping[str, str], inbox: str | None) -> Output:
    """A line per channel: whether it took the message, and what it told; then those that cannot be used."""
    facts: dict[str, Any] = {"mistakes": dict(mistakes)}
    facts |= {"trials": [{"channel": each.channel, "kind": each.kind, "ok": each.ok, "words": each.words()} for each in trials]}
    lines = [
        Text.assemble(
            ("✓ " if each.ok else "✗ ", "green" if each.ok else "red"), f"{each.channel} ({each.kind}): ", retold(each.words())
        )
        for each in trials
    ]
    lines += _mistakes(mistakes)
    if inbox is not None and any(each.ok for each in trials):
        lines.append(Text(say("The sandbox's inbox: {url}", url=inbox)))
    return Output(facts, lines)


def channels_output(found: Configured, health: Sequence[Health]) -> Output:
    """The channels with their limits and the calls of the last day; below them what cannot be used, and why."""
    of_name = {each.name: each for each in health if each.api in _SENDING}
    facts: dict[str, Any] = {
        "channels": [_facts(channel, of_name.get(channel.account)) for channel in found.channels.values()],
        "mistakes": dict(found.mistakes),
    }
    table = FittedTable(
        say("Channels"),
        (
            Column(say("channel")),
            Column(say("kind")),
            Column(say("state")),
            Column(say("limits"), rank=2),
            Column(say("tells deliveries"), rank=4),
            Column(say("calls"), rank=1, figures=True),
            Column(say("taken"), rank=1, figures=True),
            Column(say("seconds"), rank=3, figures=True),
        ),
    )
    for channel in found.channels.values():
        known = of_name.get(channel.account)
        calls = (
            (f"{known.calls}", f"{known.success_rate:.0%}", f"{known.seconds:.2f}") if known and known.calls else ("", "", "")
        )
        told = say("yes") if channel.polls else say("no")
        table.add(channel.name, channel.kind, _state(known), _limits(channel.limits), told, *calls)
    mistakes = _mistakes(found.mistakes)
    nothing = [Text(say("no channel is set up: set PUSHPLUS_TOKEN, or QUANT_CHANNELS (see channels.example.toml)"))]
    return Output(facts, [*([table] if found.channels else []), *mistakes] or nothing)


def _mistakes(mistakes: Mapping[str, str]) -> list[Text]:
    return [Text.assemble(("✗ ", "red"), text) for text in mistakes.values()]


def _facts(channel: Channel, health: Health | None) -> dict[str, Any]:
    known = {} if health is None else {"calls": health.calls, "good": health.good, "held": health.held, "reason": health.reason}
    limits = {name: value for name, value in vars(channel.limits).items() if value is not None}
    return {"name": channel.name, "kind": channel.kind, "polls": channel.polls, "limits": limits, **known}


def _state(health: Health | None) -> str:
    if health is None:
        return say("never used")
    return say("ready") if health.available else say("left alone for {seconds:.0f} s", seconds=health.held)


def _limits(limits: Limits) -> str:
    shown = (
        (limits.a_second, marked("{count} a second")),
        (limits.a_minute, marked("{count} a minute")),
        (limits.a_day, marked("{count} a day")),
        (limits.longest_bytes, marked("{count} bytes")),
        (limits.longest_characters, marked("{count} characters")),
    )
    return ", ".join(say(words, count=value) for value, words in shown if value is not None)
