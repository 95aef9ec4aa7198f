"""What the commands `alerts` and `messages` show: facts for --json, tables for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.text import Text

from quant_pipeline.alerts import book
from quant_pipeline.alerts.rules import RULES
from quant_pipeline.console.insight import Output
from quant_pipeline.console.tables import Column, FittedTable
from quant_pipeline.console.words import moment
from quant_pipeline.language import marked, say, say_many
from quant_pipeline.notify import listing
from quant_pipeline.notify.severity import Severity
from quant_pipeline.retelling import retold
from quant_pipeline.warehouse.database import Database

SEVERITIES: Final = {"critical": marked("critical"), "warning": marked("warning"), "info": marked("info")}
STATES: Final = {"open": marked("lasting"), "acknowledged": marked("known"), "resolved": marked("over")}
_COLOURS = {"critical": "red", "warning": "yellow", "open": "red", "acknowledged": "yellow", "resolved": "green"}
_OF_STATUS = {"delivered": "green", "failed": "red", "pending": "yellow"}
_OVER = 50


def alerts_output(database: Database, *, everything: bool = False) -> Output:
    """The open alerts; `everything`: also the last ones that are over."""
    rows = book.alerts(database, everything=everything, limit=1_000 if not everything else _OVER).to_dicts()
    table = FittedTable(
        say_many("{count} alert", "{count} alerts", len(rows)),
        (
            Column("id", figures=True),
            Column(say("severity")),
            Column(say("alert")),
            Column(say("subject")),
            Column(say("cause"), words=24),
            Column(say("since")),
            Column(say("state")),
            Column(say("known to"), rank=1),
        ),
    )
    for row in rows:
        table.add(
            str(row["id"]),
            severity(row["severity"]),
            rule_title(row["rule"]),
            row["subject"],
            retold(row["cause"]),
            moment(row["opened_at"]),
            Text(say(STATES[row["state"]]), _COLOURS[row["state"]]),
            row["acknowledged_by"] or "",
        )
    if not rows:
        return Output({"alerts": []}, [Text(say("Nothing is the matter."), "green")])
    hint = Text(say("You know of one: quant-pipeline alerts ack ID; all that were: quant-pipeline alerts list --all"), "dim")
    return Output({"alerts": rows}, [table, hint])


def acknowledged(database: Database, numbers: tuple[int, ...], by: str) -> Output:
    """Notes who knows of these alerts, and shows what is open."""
    book.acknowledge(database, numbers, by)
    listed = ", ".join(map(str, numbers))
    done = Text(say("✓ alert {numbers}: known to {by}", numbers=listed, by=by), "green")
    shown = alerts_output(database)
    return Output(dict(shown.facts) | {"acknowledged": list(numbers), "by": by}, [done, *shown.shown])


def rules_output(database: Database, changed: str | None = None) -> Output:
    """The rules as they are set; `changed`: the one that was just set."""
    rows = book.rules(database).to_dicts()
    table = FittedTable(
        say("Rules of the alerts"),
        (
            Column(say("rule")),
            Column(say("on"), rank=0),
            Column(say("threshold"), figures=True),
            Column(say("severity")),
            Column(say("alerts"), figures=True),
            Column(say("what it is"), words=30, rank=1),
            Column(say("set by"), rank=2),
        ),
    )
    for row in rows:
        table.add(
            row["rule"],
            Text(say("yes"), "green") if row["enabled"] else Text(say("no"), "red"),
            threshold(row),
            severity(row["severity"]),
            str(row["open"] or ""),
            say(row["doc"]),
            row["changed_by"] or "",
        )
    done = [Text(say("✓ {rule} is set", rule=changed), "green")] if changed else []
    return Output({"rules": rows, "changed": changed}, [*done, table])


def messages_output(database: Database, *, status: str | None, page: int, per_page: int) -> Output:
    """A page of what was told, the newest first: over which channels it went, and what waits for what."""
    total = listing.count(database, status=status)
    rows = listing.messages(database, status=status, limit=per_page, offset=(page - 1) * per_page)
    table = FittedTable(
        say("Messages: times are Asia/Shanghai"),
        (
            Column("id", figures=True),
            Column(say("at")),
            Column(say("severity"), rank=2),
            Column(say("title"), words=30),
            Column(say("status")),
            Column(say("channels"), rank=1),
            Column(say("why"), words=24),
        ),
    )
    for row in rows:
        table.add(
            str(row["id"]),
            moment(row["created_at"]),
            severity(row["severity"]),
            row["title"] or say("(a digest that gathers)"),
            status_of(row["status"]),
            " → ".join(dict.fromkeys(way["channel"] for way in row["ways"])),
            why(row),
        )
    pages = max(1, -(-total // per_page))
    line = Text(say("Page {page} of {pages}, {total:,} in all", page=page, pages=pages, total=total), "dim")
    hint = Text(say("One of them whole: quant-pipeline messages --id ID"), "dim")
    facts = {"page": page, "pages": pages, "per_page": per_page, "total": total, "messages": rows}
    if not rows:
        return Output(facts, [Text(say("No messages."))])
    return Output(facts, [table, line, hint])


def message_output(database: Database, number: int) -> Output:
    """One message whole, with every attempt."""
    row = listing.message(database, number)
    lines = [Text(row["title"], "bold"), Text(f"{moment(row['created_at'])} · {row['kind']} · ") + status_of(row["status"])]
    for way in row["ways"]:
        state = say(listing.STATUSES[way["state"]])
        words = way["why"] or retold(way["error"] or "")
        lines.append(Text(f"{way['receiver']} ← {way['channel']}: {state}" + (f" ({words})" if words else "")))
    for call in row["calls"]:
        outcome = call["outcome"] or say("no answer was kept")
        lines.append(Text(f"  {moment(call['started_at'])} {call['channel']}: {outcome} {retold(call['error'] or '')}", "dim"))
    return Output({"message": row}, [*lines, Text(), Text(row["content"])])


def why(row: Mapping[str, Any]) -> str:
    """What a message waits for, or why it has failed."""
    waits = next((way["why"] for way in row["ways"] if way["why"]), "")
    return waits or retold(row["error"] or "")


def severity(word: str) -> Text:
    return Text(say(SEVERITIES[word]), _COLOURS.get(word, ""))


def status_of(word: str) -> Text:
    return Text(say(listing.STATUSES[word]), _OF_STATUS.get(word, ""))


def rule_title(name: str) -> str:
    return say(RULES[name].title) if name in RULES else name


def threshold(row: Mapping[str, Any]) -> str:
    """The rule's threshold with its unit; "" where it has none."""
    return RULES[row["rule"]].in_words(row["threshold"])


def severity_of(word: str | None) -> Severity | None:
    """The severity that was written; None: none was."""
    return None if word is None else Severity(word)
