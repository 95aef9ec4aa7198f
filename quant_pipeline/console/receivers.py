"""What the commands about people do and show: a code to scan in the terminal, who is bound, who is not any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from quant_pipeline.console.insight import Output
from quant_pipeline.console.notifying import NoChannel
from quant_pipeline.console.tables import Column, FittedTable
from quant_pipeline.console.words import moment
from quant_pipeline.door.callbacks import PREFIX
from quant_pipeline.language import say
from quant_pipeline.notify import binding, receivers
from quant_pipeline.notify.channels.configured import Configured, guess
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.notify.qr_blocks import blocks
from quant_pipeline.notify.receivers import Bound
from quant_pipeline.notify.severity import Severity
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database


class NoSeverity(ValueError):
    """There is no such severity; the text says which there are."""


def severities_of(names: Sequence[str]) -> list[Severity]:
    """As a person typed them; none are all. NoSeverity."""
    known = [each.value for each in Severity]
    for name in names:
        if name not in known:
            text = say("there is no severity {name!r}", name=name) + guess(name, known)
            raise NoSeverity(text + say(" (known: {known})", known=", ".join(known)))
    return [Severity(name) for name in names] or list(Severity)


def account(found: Configured, name: str) -> PushPlus:
    """The PushPlus channel of that name. NoChannel."""
    if name in found.mistakes:
        raise NoChannel(found.mistakes[name])
    accounts = {name: each for name, each in found.channels.items() if isinstance(each, PushPlus) and each.account == name}
    if name not in accounts:
        known = ", ".join(accounts) or say("none")
        raise NoChannel(say("there is no PushPlus channel {name!r}; there are {known}", name=name, known=known))
    return accounts[name]


def bound(
    database: Database, by: PushPlus, receiver: str, severities: Sequence[Severity], minutes: int, console: Console
) -> Bound:
    """Shows a code, waits for whoever scans it. BindingError where nobody did."""
    invitation = binding.invite(database, by, receiver, severities, minutes)
    try:
        drawn = blocks(binding.picture(invitation))
    except binding.BindingError as error:
        console.print(str(error), highlight=False)
        drawn = None
    if drawn is not None:
        console.print(Text(drawn, no_wrap=True), soft_wrap=True)
    console.print(say("Scan it with WeChat within {minutes} minutes, or open the picture:", minutes=minutes), highlight=False)
    console.print(Text(invitation.picture), soft_wrap=True)
    person = binding.await_friend(database, by, invitation)
    if person is None:
        raise binding.BindingError(say("nobody scanned the code in time: run the command again"))
    return person


def receivers_output(people: Sequence[Bound]) -> Output:
    """A row per person; of his token nothing."""
    facts = {"receivers": [asdict(each) for each in people]}
    if not people:
        return Output(facts, [Text(say("Nobody is bound: `quant-pipeline notify bind NAME`."))])
    table = FittedTable(
        say("Receivers: times are Asia/Shanghai"),
        (
            Column(say("receiver")),
            Column(say("nickname"), rank=1),
            Column(say("channel"), rank=2),
            Column(say("severities")),
            Column(say("bound by"), rank=4),
            Column(say("bound at"), rank=3),
        ),
    )
    for each in people:
        told = ", ".join(each.severities)
        table.add(each.receiver, each.nickname, each.channel, told, each.bound_by, moment(each.bound_at))
    return Output(facts, [table])


def unbound(database: Database, found: Configured, receiver: str) -> tuple[str, dict[str, Any]]:
    """Unbinds the person here and at PushPlus: what became of it, in words and as facts."""
    person = receivers.unbind(database, receiver)
    by = found.channels.get(person.channel)
    result = by.unbind(person.friend) if isinstance(by, PushPlus) else None
    facts = {"receiver": receiver, "unbound": True, "removed_at_pushplus": bool(result and result.success)}
    words = say("{receiver} ({nickname}) is unbound.", receiver=receiver, nickname=person.nickname)
    if result is None or not result.success:
        why = say("its channel is not set up") if result is None else f"{result.error_code} {result.error_message}"
        words += " " + say("At PushPlus the friend stands still: {why}", why=why)
    return words, facts


def callback_address(database: Database, settings: Settings, by: PushPlus) -> str:
    """A new secret address for the account's callbacks."""
    return f"{settings.pages_url}{PREFIX}pushplus/{binding.callback_path(database, by.name)}"
