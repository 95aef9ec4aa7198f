"""The commands of alerts (list, ack, rules) and of messages."""

from __future__ import annotations

import getpass

import click

from quant_pipeline.cli.command import as_json, plain_errors, prepared, show, upgraded
from quant_pipeline.cli.help import Command, Group, option

_SEVERITIES = ("critical", "warning", "info")
_BY = option("--by", metavar="NAME", help="Who it is (default: the user of this machine).")


@click.group(cls=Group)
def alerts() -> None:
    """Alerts: what is the matter now, who knows of it, and by which rules."""


@alerts.command(name="list")
@option("--all", "everything", is_flag=True, help="Also those that are over, the last ones first.")
@as_json
def list_(everything: bool, as_json: bool) -> None:
    """What is the matter now, the gravest first.

    An alert ends by itself when its cause is gone.

    \b
    quant-pipeline alerts list
    quant-pipeline alerts list --all --json
    """
    with plain_errors():
        from quant_pipeline.console.alerts import alerts_output

        settings, console = prepared(as_json)
        show(alerts_output(upgraded(), everything=everything), settings, console, as_json)


@alerts.command()
@click.argument("numbers", nargs=-1, required=True, type=click.IntRange(min=1), metavar="ID...")
@_BY
@as_json
def ack(numbers: tuple[int, ...], by: str | None, as_json: bool) -> None:
    """Say that you know of an alert: it is told no more.

    \b
    quant-pipeline alerts ack 12
    quant-pipeline alerts ack 12 13 --by li
    """
    with plain_errors():
        from quant_pipeline.console.alerts import acknowledged

        settings, console = prepared(as_json)
        show(acknowledged(upgraded(), numbers, by or getpass.getuser()), settings, console, as_json)


@alerts.command()
@click.argument("rule", required=False)
@option("--on/--off", "enabled", default=None, help="Whether it is looked at.")
@option("--threshold", type=float, metavar="N", help="In the rule's unit.")
@option("--severity", type=click.Choice(_SEVERITIES), help="How urgent its messages are.")
@_BY
@as_json
def rules(
    rule: str | None, enabled: bool | None, threshold: float | None, severity: str | None, by: str | None, as_json: bool
) -> None:
    """The rules, or set one of them. Switched off, its alerts end and nobody is told.

    \b
    quant-pipeline alerts rules
    quant-pipeline alerts rules success_rate --threshold 80
    quant-pipeline alerts rules slow --off
    """
    with plain_errors():
        from quant_pipeline.alerts.book import change_rule, known_rule
        from quant_pipeline.console.alerts import rules_output, severity_of

        settings, console = prepared(as_json)
        wanted = {"enabled": enabled, "threshold": threshold, "severity": severity}
        sets = any(value is not None for value in wanted.values())
        if rule is None and sets:
            raise click.UsageError("Name the rule that is to be set.")
        if rule is not None:
            known_rule(rule)
        database = upgraded()
        if rule is not None and sets:
            change_rule(
                database,
                rule,
                by=by or getpass.getuser(),
                enabled=enabled,
                threshold=threshold,
                severity=severity_of(severity),
            )
        show(rules_output(database, rule if sets else None), settings, console, as_json)


@click.command(cls=Command)
@option("--waiting", "status", flag_value="pending", help="Only what waits, and why.")
@option("--failed", "status", flag_value="failed", help="Only what no channel delivered.")
@option("--folded", "status", flag_value="folded", help="Only what a digest tells of.")
@option("--id", "number", type=click.IntRange(min=1), metavar="ID", help="That one whole, with every attempt.")
@option("--page", default=1, show_default=True, type=click.IntRange(min=1), help="Page, the latest first.")
@option("--per-page", default=20, show_default=True, type=click.IntRange(1, 1000), help="Rows a page.")
@as_json
def messages(status: str | None, number: int | None, page: int, per_page: int, as_json: bool) -> None:
    """What was told, over which channel; what waits, and why.

    \b
    quant-pipeline messages
    quant-pipeline messages --waiting
    quant-pipeline messages --id 12
    """
    with plain_errors():
        from quant_pipeline.console.alerts import message_output, messages_output

        settings, console = prepared(as_json)
        database = upgraded()
        if number is not None:
            output = message_output(database, number)
        else:
            output = messages_output(database, status=status, page=page, per_page=per_page)
        show(output, settings, console, as_json)
