"""The commands of the database: upgrade, current, history, downgrade, url, psql, stop."""

from __future__ import annotations

import os
import subprocess
import sys

import click

from quant_pipeline.cli.command import as_json, open_database, plain_errors, print_facts, read_settings
from quant_pipeline.cli.help import Group, option
from quant_pipeline.language import say


@click.group(cls=Group)
def db() -> None:
    """The database: PostgreSQL, embedded or given by QUANT_DATABASE_URL."""


@db.command()
@as_json
def upgrade(as_json: bool) -> None:
    """Make or upgrade the tables (every start does it too)."""
    with plain_errors():
        database = open_database()
        database.upgrade(again=True)
        print_facts({"database": database.name, "upgraded": True}, f"{database.name} is up to date.", as_json)


@db.command()
@as_json
def current(as_json: bool) -> None:
    """Where the database stands: its revision and fingerprint."""
    with plain_errors():
        from quant_pipeline.warehouse.revisions import standing

        now = standing(open_database())
        words = "up to date" if now.current else "not those of this version: `quant-pipeline db upgrade`"
        text = f"revision {now.revision} (newest {now.newest}), fingerprint {now.fingerprint}, mode {now.mode}; tables: {words}"
        print_facts(vars(now), text, as_json)


@db.command()
@as_json
def history(as_json: bool) -> None:
    """The revisions of the tables, the newest first; those that the database has are marked."""
    with plain_errors():
        from quant_pipeline.warehouse.revisions import revisions

        known = revisions(open_database())
        text = "\n".join(f"{'*' if each.applied else ' '} {each.revision}  {each.words}" for each in known)
        print_facts({"revisions": [vars(each) for each in known]}, text, as_json)


@db.command()
@click.argument("revision")
@option("--yes", is_flag=True, help="Also where rows or values are lost by it.")
@as_json
def downgrade(revision: str, yes: bool, as_json: bool) -> None:
    """Take the tables back to REVISION, for an older version of the package.

    The next command of this version upgrades them again.
    """
    with plain_errors():
        from quant_pipeline.warehouse import revisions

        lost = revisions.downgrade(open_database(), revision, even_if_rows_are_lost=yes)
        text = f"The database stands at revision {revision}." + (f" Lost: {', '.join(lost)}." if lost else "")
        print_facts({"revision": revision, "lost": lost}, text, as_json)


@db.command()
@as_json
def url(as_json: bool) -> None:
    """Print the database's URL, for psql, psycopg, notebooks."""
    with plain_errors():
        database = open_database()
        database.upgrade()
        print_facts({"url": database.url}, database.url, as_json)


@db.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@as_json
def psql(arguments: tuple[str, ...], as_json: bool) -> None:
    """Open psql on the database; further ARGUMENTS go to it (-c 'SELECT 1').

    In sandbox mode a line on standard error says that the numbers are simulated; psql's own -q leaves it out.
    """
    with plain_errors():
        from quant_pipeline.settings import Mode
        from quant_pipeline.warehouse.server import program

        database = open_database()
        database.upgrade()
        if database.mode is Mode.SANDBOX and not as_json and not {"-q", "--quiet"} & {*arguments}:
            click.echo(say("SANDBOX: simulated market, these numbers are made up."), err=True)
        output = ["--csv"] if as_json else []
        # Arguments stand in the list of processes for every user of the machine; the environment does not.
        url, password = database.url_and_password
        environment = os.environ | ({"PGPASSWORD": password} if password else {})
        command = [str(program("psql")), url, *output, *arguments]
        sys.exit(subprocess.run(command, env=environment, check=False).returncode)


@db.command()
@as_json
def stop(as_json: bool) -> None:
    """Stop the embedded server (it starts again when it is needed)."""
    with plain_errors():
        from quant_pipeline import answering
        from quant_pipeline.warehouse import server

        settings = read_settings()
        server.stop(settings.home)
        print_facts({"stopped": True}, say("The embedded PostgreSQL is stopped."), as_json)
        if (there := answering.found(settings.home, settings.mode)) is not None:
            text = say("What runs at {address} starts it again: stop that first.", address=there.ui or there.pages)
            click.echo(text, err=True)
