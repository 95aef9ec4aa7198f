"""The commands of our own pages: serve, report, chart."""

from __future__ import annotations

import datetime as dt
import json
import sys
import webbrowser
from pathlib import Path

import click

from quant_pipeline.cli.command import DAY, as_json, plain_errors, prepared, read_settings, show, upgraded
from quant_pipeline.cli.help import Command, option
from quant_pipeline.language import say


@click.command(cls=Command)
@option("--host", help="Address to listen on (default: QUANT_SERVE_HOST, 127.0.0.1).")
@option("--port", type=click.IntRange(0, 65535), help="Port, 0: any (default: QUANT_SERVE_PORT, 8000).")
@as_json
def serve(host: str | None, port: int | None, as_json: bool) -> None:
    """Our own pages alone: a day at a glance, K-lines, screens, sync, data.

    `ui` serves them as well, on the port after its own. They are read-only, and on the loopback unless --host says otherwise.
    """
    with plain_errors():
        from quant_pipeline.console.ports import refuse_taken
        from quant_pipeline.door import server

        settings = read_settings()
        chosen, wanted = host or settings.serve_host, settings.serve_port if port is None else port
        refuse_taken(chosen, wanted, wanted_for=say("our own pages"))
        with server.listen(chosen, wanted) as listening:
            url = server.address_of(listening)
            if as_json:
                click.echo(json.dumps({"mode": settings.mode.value, "url": url}))
            else:
                mark = say("SANDBOX · ") if settings.sandboxed else ""
                click.echo(mark + say("Pages: {url} (Ctrl-C stops it)", url=url), err=True)
            server.serve(settings, listening, chosen)


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
