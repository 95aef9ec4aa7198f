"""The keys of the door as the command line shows them, and when it demands one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

from quant_pipeline.console.insight import Output
from quant_pipeline.console.tables import Column, FittedTable
from quant_pipeline.console.words import moment
from quant_pipeline.door import keys
from quant_pipeline.door.hosts import is_loopback
from quant_pipeline.door.keys import Key
from quant_pipeline.language import say
from quant_pipeline.warehouse.database import Database


class KeyNeeded(ValueError):
    """An address that others can reach, and no key; the text says how to make one."""


def demand_key(host: str, opened: Callable[[], Database]) -> None:
    """Nothing where only this machine can reach the address, or a key holds. KeyNeeded otherwise."""
    if is_loopback(host) or keys.any_holds(opened()):
        return
    raise KeyNeeded(
        say(
            "others than this machine can reach {host}, and there is no key yet: make one with {command}, or leave --host out",
            host=host,
            command="quant-pipeline serve token add NAME",
        )
    )


def keys_output(every: Sequence[Key]) -> Output:
    """Every key, those that hold first."""
    table = FittedTable(
        say("Keys of the door"),
        (
            Column(say("name")),
            Column(say("scope")),
            Column(say("a minute"), figures=True),
            Column(say("made")),
            Column(say("last used")),
            Column(say("revoked"), rank=1),
        ),
    )
    for key in every:
        pace = "" if key.per_minute is None else f"{key.per_minute:,}"
        table.add(key.name, key.scope, pace, moment(key.created_at), moment(key.last_used_at), moment(key.revoked_at))
    facts = {"keys": [{name: value for name, value in asdict(key).items() if name != "id"} for key in every]}
    return Output(facts, [table] if every else [say("No key was made yet: quant-pipeline serve token add NAME")])
