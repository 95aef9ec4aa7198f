"""What `vault list` shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.text import Text

from quant_pipeline.console.insight import Output
from quant_pipeline.console.tables import Column, FittedTable
from quant_pipeline.console.words import moment
from quant_pipeline.language import say
from quant_pipeline.vault.vault import Record


def records_output(records: Sequence[Record]) -> Output:
    """A row per record; of what is secret nothing."""
    facts = {"records": [asdict(each) for each in records]}
    if not records:
        return Output(facts, [Text(say("The vault holds nothing."))])
    table = FittedTable(
        say("Vault: times are Asia/Shanghai"),
        (
            Column(say("kind")),
            Column(say("name")),
            Column(say("about"), rank=3, words=16),
            Column(say("kept since"), rank=2),
            Column(say("changed"), rank=1),
            Column(say("until"), rank=4),
        ),
    )
    for each in records:
        about = ", ".join(f"{name} {value}" for name, value in each.about.items() if value)
        table.add(each.kind, each.name, about, moment(each.created_at), moment(each.changed_at), moment(each.expires_at))
    return Output(facts, [table])
