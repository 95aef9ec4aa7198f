"""What `ths status` shows: of what is stored, without what logs in, which takes seconds to load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from quant_pipeline.console.insight import Output
from quant_pipeline.console.tables import Column, FittedTable
from quant_pipeline.console.words import moment
from quant_pipeline.language import say
from quant_pipeline.retelling import retold
from quant_pipeline.ths.accounts import A_DAY, STATES, Account, Accounts, Event, State

_STYLES = {State.ACTIVE: "green", State.LOGGING_IN: "cyan", State.LOGGED_OUT: "dim"}
_EVENTS = 10


def status_output(accounts: Accounts, answers: dict[str, str]) -> Output:
    """Each account, and the last transitions."""
    rows, events = accounts.all(), accounts.events(limit=_EVENTS)
    facts = {"accounts": [_facts(row, answers) for row in rows], "events": [asdict(event) for event in events]}
    if not rows:
        return Output(facts, [Text(say("No THS account is logged in: quant-pipeline ths login qr"))])
    table = FittedTable(
        say("THS accounts: times are Asia/Shanghai"),
        (
            Column(say("account")),
            Column(say("nickname"), rank=4),
            Column(say("state")),
            Column(say("by"), rank=2),
            Column(say("logged in"), rank=1),
            Column(say("until")),
            Column(say("used"), rank=5),
            Column(say("again by itself"), rank=6),
            Column(say("answer now"), rank=3, words=16),
        ),
    )
    for row in rows:
        table.add(
            row.account,
            row.nickname or "",
            Text(say(STATES[row.state]), _STYLES.get(row.state, "yellow")),
            row.method or "-",
            moment(row.logged_in_at),
            moment(row.expires_at),
            moment(row.used_at),
            say("yes") if row.relogin else say("no"),
            answers.get(row.account, ""),
        )
    failures = [
        Text(f"✗ {row.account} {moment(row.failed_at)}: {retold(row.failure)}", "yellow") for row in rows if row.failure
    ]
    return Output(facts, [table, *failures, _moves(events), Text(say("At most {count} logins a day.", count=A_DAY), "dim")])


def _moves(events: Sequence[Event]) -> FittedTable:
    table = FittedTable(
        say("Last transitions"),
        (Column(say("at")), Column(say("account"), rank=2), Column(say("state")), Column(say("why"), rank=1, words=24)),
    )
    for event in events:
        table.add(moment(event.at), event.account, say(STATES[State(event.state)]), retold(event.why))
    return table


def _facts(row: Account, answers: dict[str, str]) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name != "device"} | {"answer": answers.get(row.account)}
