"""The commands of messages: the channels, a trial over them, and the people who get them."""

from __future__ import annotations

import sys

import click

from quant_pipeline.cli.command import as_json, plain_errors, prepared, show, upgraded
from quant_pipeline.cli.help import Group


@click.group(cls=Group)
def notify() -> None:
    """Messages: their channels, a trial, the people who get them.

    \b
    quant-pipeline notify channels          the channels of QUANT_CHANNELS or PUSHPLUS_TOKEN, and how they do
    quant-pipeline notify test wecom        send a trial over one of them
    """


@notify.command()
@click.argument("channel", required=False)
@as_json
def test(channel: str | None, as_json: bool) -> None:
    """Send a trial over CHANNEL (default: over each), and say what became of it."""
    with plain_errors():
        from quant_pipeline.console.notifying import chosen, trials_output
        from quant_pipeline.notify.trial import tried
        from quant_pipeline.resources import channels, upstream

        settings, console = prepared(as_json)
        database = upgraded()
        with channels.opened(database, settings) as found:
            trials = [tried(each, sandbox=settings.sandboxed) for each in chosen(found, channel)]
            mistakes = {} if channel else found.mistakes
        show(trials_output(trials, mistakes, upstream.inbox(settings)), settings, console, as_json)
        if mistakes or not all(each.ok for each in trials):
            sys.exit(1)


@notify.command("channels")
@as_json
def channels_(as_json: bool) -> None:
    """The channels, their limits, and how they did in the last day."""
    with plain_errors():
        from quant_pipeline.console.notifying import channels_output
        from quant_pipeline.resources import channels
        from quant_pipeline.services.health import health_of

        settings, console = prepared(as_json)
        database = upgraded()
        with channels.opened(database, settings) as found:
            health = health_of(database, {each.account for each in found.channels.values()})
            show(channels_output(found, health), settings, console, as_json)
        if found.mistakes:
            sys.exit(1)
