"""The command about outside services."""

from __future__ import annotations

import click

from quant_pipeline.cli.command import as_json, plain_errors, prepared, show, upgraded
from quant_pipeline.cli.help import Command, option


@click.command(cls=Command)
@option("--reset", metavar="NAME[.API]", help="Close its circuit and lift its wait.")
@option("--priority", metavar="NAME=N", help="1 is asked first, 0 is off, empty: as the file says.")
@as_json
def services(reset: str | None, priority: str | None, as_json: bool) -> None:
    """Health of the services and channels of QUANT_CHANNELS: calls, success rate, circuit, priority.

    A priority set here overrules the file's, for every process at once. Nothing is called.

    \b
    quant-pipeline services
    quant-pipeline services --priority parcels=0
    quant-pipeline services --reset wecom
    """
    with plain_errors():
        from quant_pipeline.console import services as controls
        from quant_pipeline.resources import channels

        settings, console = prepared(as_json)
        database = upgraded()
        manager, names = channels.services(settings, database), list(channels.found(settings, database).channels)
        show(controls.services(database, manager, names, reset=reset, priority=priority), settings, console, as_json)
