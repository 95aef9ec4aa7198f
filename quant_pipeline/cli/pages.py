"""The commands of our own pages: serve."""

from __future__ import annotations

import json

import click

from quant_pipeline.cli.command import as_json, plain_errors, read_settings
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
