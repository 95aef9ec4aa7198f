"""The commands of watchlists: add, remove, list, import, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from quant_pipeline.cli import completing
from quant_pipeline.cli.command import as_json, plain_errors, prepared, show, upgraded
from quant_pipeline.cli.help import Group, option

if TYPE_CHECKING:
    from quant_pipeline.console.watchlists import Format

_NAME = click.argument("name", shell_complete=completing.watchlists)


@click.group(cls=Group)
def watchlist() -> None:
    """Watchlists: your own lists of codes, for screens and backtests."""


@watchlist.command()
@_NAME
@click.argument("codes", nargs=-1, required=True)
@as_json
def add(name: str, codes: tuple[str, ...], as_json: bool) -> None:
    """Put codes at the end of a list; the list is made when it is not there.

    Codes, names and pinyin are understood. What stands in the list already stays; a slip changes nothing.

    \b
    quant-pipeline watchlist add core 600519 SZ000001 gzmt
    """
    with plain_errors():
        from quant_pipeline.console.watchlists import added

        settings, console = prepared(as_json)
        show(added(upgraded(), name, codes), settings, console, as_json)


@watchlist.command()
@_NAME
@click.argument("codes", nargs=-1)
@option("--all", "whole", is_flag=True, help="The whole list.")
@as_json
def remove(name: str, codes: tuple[str, ...], whole: bool, as_json: bool) -> None:
    """Take codes out of a list; what does not stand in it is no error.

    \b
    quant-pipeline watchlist remove core 600519
    quant-pipeline watchlist remove core --all
    """
    with plain_errors():
        from quant_pipeline.console.watchlists import removed

        settings, console = prepared(as_json)
        show(removed(upgraded(), name, codes, whole=whole), settings, console, as_json)


@watchlist.command(name="list")
@click.argument("name", required=False, shell_complete=completing.watchlists)
@as_json
def list_(name: str | None, as_json: bool) -> None:
    """Every list, or the codes of one.

    \b
    quant-pipeline watchlist list
    quant-pipeline watchlist list core
    """
    with plain_errors():
        from quant_pipeline.console.watchlists import listed

        settings, console = prepared(as_json)
        show(listed(upgraded(), name), settings, console, as_json)


@watchlist.command(name="import")
@_NAME
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@option("--replace", is_flag=True, help="Make the list hold just the file's codes.")
@option("--skip-unknown", is_flag=True, help="Leave out lines that mean no code, and tell them.")
@as_json
def import_(name: str, file: Path, replace: bool, skip_unknown: bool, as_json: bool) -> None:
    """Add the codes of a file: a code a line, a CSV, an export of a trading program.

    Of a table, the column of codes (code, ts_code) is taken. UTF-8, GBK and UTF-16 are read. A line that means no code stops
    the import, and nothing is changed.

    \b
    quant-pipeline watchlist import core codes.txt
    quant-pipeline watchlist import core Table.xls --skip-unknown
    """
    with plain_errors():
        from quant_pipeline.console.watchlists import imported

        settings, console = prepared(as_json)
        output = imported(upgraded(), name, file, replace=replace, skip_unknown=skip_unknown)
        show(output, settings, console, as_json)


@watchlist.command()
@_NAME
@option("--out", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="The file (default: the terminal).")
@option(
    "--format",
    "form",
    type=click.Choice(["codes", "csv", "ths"]),
    default="codes",
    show_default=True,
    help="Its form.",
)
@as_json
def export(name: str, out: Path | None, form: str, as_json: bool) -> None:
    """Write a list as a file: a code a line, a CSV with names, or SH600519 as trading programs import it.

    \b
    quant-pipeline watchlist export core > codes.txt
    quant-pipeline watchlist export core --format csv --out core.csv
    """
    with plain_errors():
        from quant_pipeline.console.insight import Output
        from quant_pipeline.console.watchlists import exported, written

        database = upgraded()
        text = exported(database, name, cast("Format", form))
        if out is not None:
            settings, console = prepared(as_json)
            show(written(text, out), settings, console, as_json)
        elif as_json:
            settings, console = prepared(as_json)
            show(Output({"watchlist": name, "text": text}, []), settings, console, as_json)
        else:
            click.echo(text, nl=False)
