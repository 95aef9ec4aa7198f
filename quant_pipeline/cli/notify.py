"""The commands of messages: the channels, a trial over them, and the people who get them."""

from __future__ import annotations

import sys

import click

from quant_pipeline.cli.command import as_json, plain_errors, prepared, print_facts, show, split, upgraded
from quant_pipeline.cli.help import Group, option


@click.group(cls=Group)
def notify() -> None:
    """Messages: their channels, a trial, the people who get them.

    \b
    quant-pipeline notify channels          the channels of QUANT_CHANNELS or PUSHPLUS_TOKEN, and how they do
    quant-pipeline notify test wecom        send a trial over one of them
    quant-pipeline notify bind mother       a code that a friend scans to get messages on WeChat
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


@notify.command()
@click.argument("receiver")
@option("--channel", default="pushplus", show_default=True, help="The PushPlus channel whose friend it is to be.")
@option("--severities", help="Comma-separated: info,warning,critical (default: all).")
@option("--minutes", default=10, show_default=True, type=click.IntRange(1, 60), help="For how long the code is good.")
@as_json
def bind(receiver: str, channel: str, severities: str | None, minutes: int, as_json: bool) -> None:
    """Bind a friend of your PushPlus account as RECEIVER: he scans a code, and gets messages on his WeChat.

    The code is shown here and in the run pages (the job bind_receiver); whoever scans it first is bound.
    """
    with plain_errors():
        from quant_pipeline.console import receivers
        from quant_pipeline.resources import channels

        settings, console = prepared(as_json)
        database = upgraded()
        told = receivers.severities_of(split(severities))
        with channels.opened(database, settings) as found:
            account = receivers.account(found, channel)
            person = receivers.bound(database, account, receiver, told, minutes, console)
        show(receivers.receivers_output([person]), settings, console, as_json)


@notify.command("receivers")
@as_json
def receivers_(as_json: bool) -> None:
    """The people who are bound, and the severities that each is told."""
    with plain_errors():
        from quant_pipeline.console.receivers import receivers_output
        from quant_pipeline.notify.receivers import bound

        settings, console = prepared(as_json)
        show(receivers_output(bound(upgraded())), settings, console, as_json)


@notify.command()
@click.argument("receiver")
@option("--severities", required=True, help="Comma-separated: info,warning,critical.")
@as_json
def tell(receiver: str, severities: str, as_json: bool) -> None:
    """Change the severities that RECEIVER is told."""
    with plain_errors():
        from quant_pipeline.console import receivers
        from quant_pipeline.notify.receivers import bound, tell_only

        settings, console = prepared(as_json)
        database = upgraded()
        tell_only(database, receiver, receivers.severities_of(split(severities)))
        show(receivers.receivers_output(bound(database)), settings, console, as_json)


@notify.command()
@click.argument("receiver")
@as_json
def unbind(receiver: str, as_json: bool) -> None:
    """Unbind RECEIVER: he gets no more messages, and is taken off the account's friends."""
    with plain_errors():
        from quant_pipeline.console import receivers
        from quant_pipeline.resources import channels

        settings, _ = prepared(as_json)
        database = upgraded()
        with channels.opened(database, settings) as found:
            words, facts = receivers.unbound(database, found, receiver)
        print_facts(facts, words, as_json)


@notify.command()
@option("--channel", default="pushplus", show_default=True, help="The PushPlus channel.")
@as_json
def callback(channel: str, as_json: bool) -> None:
    """Make a secret address for PushPlus's callbacks; a former one is good no more.

    Write it into the account's settings at PushPlus. `quant-pipeline serve` must be reachable there from the internet;
    without one, binding works too.
    """
    with plain_errors():
        from quant_pipeline.console import receivers
        from quant_pipeline.resources import channels

        settings, _ = prepared(as_json)
        database = upgraded()
        with channels.opened(database, settings) as found:
            address = receivers.callback_address(database, settings, receivers.account(found, channel))
        print_facts({"channel": channel, "url": address}, address, as_json)
