"""The commands of our own pages: serve, report, chart."""

from __future__ import annotations

import datetime as dt
import json
import sys
import webbrowser
from pathlib import Path

import click

from quant_pipeline.cli.command import DAY, as_json, plain_errors, prepared, print_facts, read_settings, show, upgraded
from quant_pipeline.cli.help import Command, Group, option
from quant_pipeline.language import say


@click.group(cls=Group, invoke_without_command=True)
@option("--host", help="Address to listen on (default: QUANT_SERVE_HOST, 127.0.0.1).")
@option("--port", type=click.IntRange(0, 65535), help="Port, 0: any (default: QUANT_SERVE_PORT, 8000).")
@as_json
@click.pass_context
def serve(context: click.Context, host: str | None, port: int | None, as_json: bool) -> None:
    """Our own pages alone, and Tushare's protocol over your own data.

    `ui` serves them as well, on the port after its own. On the loopback unless --host says otherwise: another address needs a
    key (`serve token add`). Code written for Tushare asks here after one line: docs/tushare.md.
    """
    if context.invoked_subcommand is not None:
        return
    with plain_errors():
        from quant_pipeline import answering
        from quant_pipeline.console.keys import demand_key
        from quant_pipeline.console.ports import refuse_taken
        from quant_pipeline.door import server

        settings = read_settings()
        chosen, wanted = host or settings.serve_host, settings.serve_port if port is None else port
        demand_key(chosen, upgraded)
        refuse_taken(chosen, wanted, wanted_for=say("our own pages"))
        with server.listen(chosen, wanted) as listening:
            url = server.address_of(listening)
            pages = answering.Answering(answering.address(chosen, listening.getsockname()[1]))
            with answering.said(settings.home, settings.mode, pages):
                if as_json:
                    click.echo(json.dumps({"mode": settings.mode.value, "url": url}))
                else:
                    mark = say("SANDBOX · ") if settings.sandboxed else ""
                    click.echo(mark + say("Pages: {url} (Ctrl-C stops it)", url=url), err=True)
                server.serve(settings, listening, chosen)


@serve.group(cls=Group)
def token() -> None:
    """The keys of the door: Tushare's `token` here, and the key of every page and route of an open address."""


@token.command()
@click.argument("name")
@option(
    "--scope",
    type=click.Choice(["read", "run", "admin"]),
    default="read",
    show_default=True,
    help="What it may do: read, also start syncs and backtests, also change schedules and lists.",
)
@option("--per-minute", type=click.IntRange(min=1), help="Calls a minute (default: no limit).")
@as_json
def add(name: str, scope: str, per_minute: int | None, as_json: bool) -> None:
    """Make a key and show it, once: only its digest is stored.

    \b
    quant-pipeline serve token add notebook
    quant-pipeline serve token add desk --scope run --per-minute 600
    """
    with plain_errors():
        from quant_pipeline.door import keys

        text = keys.add(upgraded(), name, keys.Scope(scope), per_minute)
        facts = {"name": name, "scope": scope, "per_minute": per_minute, "token": text}
        if not as_json:
            click.echo(say("The key {name} ({scope}); it is shown this once:", name=name, scope=scope), err=True)
        print_facts(facts, text, as_json)


@token.command(name="list")
@as_json
def list_(as_json: bool) -> None:
    """Every key: what it may do, when it was made, last used, revoked."""
    with plain_errors():
        from quant_pipeline.console.keys import keys_output
        from quant_pipeline.door import keys

        settings, console = prepared(as_json)
        show(keys_output(keys.every(upgraded())), settings, console, as_json)


@token.command()
@click.argument("name")
@as_json
def revoke(name: str, as_json: bool) -> None:
    """From the next call on the key opens nothing."""
    with plain_errors():
        from quant_pipeline.door import keys

        keys.revoke(upgraded(), name)
        print_facts({"name": name, "revoked": True}, say("The key {name} opens nothing any more.", name=name), as_json)


@click.command(cls=Command)
@option("--date", type=DAY, help="Session (default: the latest one that is stored).")
@option("--open", "opened", is_flag=True, help="Open the copy in the browser.")
@as_json
def report(date: dt.datetime | None, opened: bool, as_json: bool) -> None:
    """A day at a glance: sums it up and saves a copy that stands alone, under QUANT_HOME/reports.

    Breadth, limits, turnover, indexes, boards, hot list, hits, halts, ex-dates and the sync's health, as the page of the day
    has them. `run` saves the copy too; nothing is fetched here.

    \b
    quant-pipeline report --open
    quant-pipeline report --date 2026-11-20
    quant-pipeline report --json | jq .row.limit_up
    """
    with plain_errors():
        from quant_pipeline.console.overview import overview_output, saved_day

        settings, console = prepared(as_json)
        day, path = saved_day(settings, upgraded(), date.date() if date else None)
        show(overview_output(settings, day, path), settings, console, as_json)
        if opened and not webbrowser.open(path.as_uri()):
            click.echo(say("No browser could be opened here: open {path}", path=path), err=True)


@click.command(cls=Command)
@click.argument("code")
@option("--freq", default="D", type=click.Choice(["D", "W", "M"], case_sensitive=False), help="Days, weeks or months.")
@option("--adjust", default="qfq", type=click.Choice(["qfq", "hfq", "raw"]), help="Forward, backward or not adjusted.")
@option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write a picture (PNG) to this file.")
@as_json
def chart(code: str, freq: str, adjust: str, out: Path | None, as_json: bool) -> None:
    """A code's K-line: opens its page, or writes a picture with --out.

    CODE in any spelling (600000, sh600000, 600000.SH), a Chinese name or the initials of its pinyin: shares, indexes, ETFs and
    convertible bonds. The page is there while `ui` or `serve` runs.

    \b
    quant-pipeline chart 600000
    quant-pipeline chart 000001.SZ --freq W
    quant-pipeline chart 000300.SH --out hs300.png
    """
    with plain_errors():
        from quant_pipeline.console.chart import chart_of, told

        settings = read_settings()
        done = chart_of(settings, upgraded(), code, freq=freq.upper(), adjust=adjust, out=out)
        if as_json:
            click.echo(json.dumps(done.as_dict(), ensure_ascii=False, indent=2))
            return
        for line in told(done, settings):
            click.echo(line)
        if done.served is not None and out is None and sys.stdout.isatty():
            click.launch(done.served)
