"""The console command `quant-pipeline`, over the jobs that the UI runs too. Heavy imports wait for their command."""

from __future__ import annotations

import click

from quant_pipeline.cli.alerts import alerts, messages
from quant_pipeline.cli.completing import completion
from quant_pipeline.cli.database import db
from quant_pipeline.cli.doctor import doctor
from quant_pipeline.cli.exports import export
from quant_pipeline.cli.help import Group, Option
from quant_pipeline.cli.insight import history, sources, stats, status
from quant_pipeline.cli.lake import lake
from quant_pipeline.cli.notify import notify
from quant_pipeline.cli.pages import chart, report, serve
from quant_pipeline.cli.research import backtest, screen
from quant_pipeline.cli.services import services
from quant_pipeline.cli.ths import ths
from quant_pipeline.cli.vault import vault
from quant_pipeline.cli.watchlist import watchlist
from quant_pipeline.cli.work import run, sandbox, sync, ui


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="quant-pipeline", cls=Option, help="Show the version and exit.")
def main() -> None:
    """A-share data platform: sync, check, screen, and notify.

    \b
    First steps:
      quant-pipeline run          sync the latest session, check it, screen it, notify
      quant-pipeline ui           the Dagster web UI on http://127.0.0.1:3000
      quant-pipeline db url       the address for psql, notebooks, BI tools

    Without any setting it works on the SANDBOX, a simulated exchange. Settings: environment or .env (see .env.example).
    """


_WORK = (run, sync, screen, ui, serve, sandbox, lake, export, db)
_KEPT = (watchlist, notify, services, ths, vault)
_LOOK = (status, history, sources, stats, alerts, messages, doctor, report, chart, backtest, completion)
for _command in (*_WORK, *_KEPT, *_LOOK):
    main.add_command(_command)
