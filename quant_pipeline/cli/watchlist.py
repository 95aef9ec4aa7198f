"""The commands of watchlists: add, remove, list, import, export; push, pull, groups."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from quant_pipeline.cli import completing
from quant_pipeline.cli.command import DAY, as_json, plain_errors, prepared, show, upgraded
from quant_pipeline.cli.help import Group, option
from quant_pipeline.language import say

if TYPE_CHECKING:
    from quant_pipeline.console.watchlists import Format

_NAME = click.argument("name", shell_complete=completing.watchlists)


@click.group(cls=Group)
def watchlist() -> None:
    """Watchlists: your own lists of codes, for screens, backtests and your THS account."""


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


@watchlist.command()
@click.argument("name", required=False, shell_complete=completing.watchlists)
@option("--screen", shell_complete=completing.strategies, help="The hits of this screen, instead of a list.")
@option("--signals", is_flag=True, help="The accepted purchases of the session's signals, instead of a list.")
@option("--group", default="", help="The group (default: one of the list's or screen's name), made when it is not there.")
@option("--mirror", is_flag=True, help="Also take out of the group what is not pushed (default: other codes stay).")
@option("--confirm", is_flag=True, help="Also where more than 30 % of the group would go.")
@option(
    "--most",
    default=100,
    show_default=True,
    type=click.IntRange(min=1),
    help="So many hits or signals at most, the best first.",
)
@option("--date", type=DAY, help="The session (default: the latest).")
@option("--account", default="", help="The THS account (default: the only one).")
@option("--dry-run", "dry", is_flag=True, help="Only look what would be done.")
@as_json
def push(
    name: str | None,
    screen: str | None,
    signals: bool,
    group: str,
    mirror: bool,
    confirm: bool,
    most: int,
    date: dt.datetime | None,
    account: str,
    dry: bool,
    as_json: bool,
) -> None:
    """Push a list, a screen's hits or the signals into a group of your THS account.

    Without a name, all that is pushed by itself: what watchlists.toml says, or each screen into a group of its own. What is
    in the group already stays where it is; no codes to push never empty a group. THS does not document its watchlists: they
    may break. You act on your own account.

    \b
    quant-pipeline watchlist push core --group core --mirror --dry-run
    quant-pipeline watchlist push --screen dual_ma
    quant-pipeline watchlist push
    """
    with plain_errors():
        from quant_pipeline.console.pushes import pushed, wanted
        from quant_pipeline.resources import opened
        from quant_pipeline.ths.planning import Mode

        origins = [
            *([f"watchlist:{name}"] if name else []),
            *([f"screen:{screen}"] if screen else []),
            *(["signals"] if signals else []),
        ]
        if len(origins) > 1:
            raise click.UsageError(say("push one thing at a time: a list, --screen or --signals"))
        settings, console = prepared(as_json)
        mode = Mode.MIRROR if mirror else Mode.ADD
        pushes = wanted(next(iter(origins), None), group=group, mode=mode, confirmed=confirm, most=most, account=account)
        database = opened.database()
        session = date.date() if date else opened.calendar(database).latest()
        output, well = pushed(database, pushes, session, dry=dry)
        show(output, settings, console, as_json)
        if not well:
            sys.exit(1)


@watchlist.command()
@click.argument("group")
@option("--into", default="", shell_complete=completing.watchlists, help="The list (default: one of the group's name).")
@option("--replace", is_flag=True, help="Make the list hold just the group's codes.")
@option("--account", default="", help="The THS account (default: the only one).")
@as_json
def pull(group: str, into: str, replace: bool, account: str, as_json: bool) -> None:
    """Add the codes of a group of your THS account to a list.

    \b
    quant-pipeline watchlist groups
    quant-pipeline watchlist pull mine --into core
    """
    with plain_errors():
        from quant_pipeline.console.pushes import pulled

        settings, console = prepared(as_json)
        show(pulled(upgraded(), group, into=into, replace=replace, account=account), settings, console, as_json)


@watchlist.command()
@option("--account", default="", help="The THS account (default: the only one).")
@as_json
def groups(account: str, as_json: bool) -> None:
    """The groups of your THS account, with their codes."""
    with plain_errors():
        from quant_pipeline.console.pushes import shown

        settings, console = prepared(as_json)
        show(shown(upgraded(), account), settings, console, as_json)
