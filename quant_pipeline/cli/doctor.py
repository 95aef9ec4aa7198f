"""The command `doctor`."""

from __future__ import annotations

import json
import logging
import sys

import click

from quant_pipeline.cli.command import as_json, plain_errors, prepared
from quant_pipeline.cli.help import Command
from quant_pipeline.language import say


@click.command(cls=Command)
@as_json
def doctor(as_json: bool) -> None:
    """Look at everything that has to be right: a line each, with what to do.

    Database and tables, disk, clock and zone, the calendar's end, each source (a cheap question at its pace, a call or two),
    messages, schedules, the daemon, versions. Exit code 1 when something failed. No token is shown.

    \b
    quant-pipeline doctor
    quant-pipeline doctor --json | jq -r '.findings[] | select(.state == "failed") | .words'
    """
    with plain_errors():
        from quant_pipeline.console.doctor.examination import examine
        from quant_pipeline.console.doctor.findings import State
        from quant_pipeline.console.doctor.lines import facts_of, line_of

        settings, console = prepared(as_json)
        # What is wrong in strategy files is a finding each: the log has it too, the terminal once.
        logging.getLogger("quant_pipeline.strategies").addHandler(logging.NullHandler())
        findings = []
        with console.status(say("Looking; each source is asked something …")):
            for finding in examine(settings):
                findings.append(finding)
                if not as_json:
                    console.print(line_of(finding))
        failed = any(finding.state is State.FAILED for finding in findings)
        if as_json:
            facts = {"mode": settings.mode.value, "ok": not failed, "findings": [facts_of(finding) for finding in findings]}
            click.echo(json.dumps(facts, default=str, ensure_ascii=False, indent=2))
        sys.exit(1 if failed else 0)
