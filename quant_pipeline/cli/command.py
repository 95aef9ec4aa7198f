"""What every command has in common: its --json, plain words for errors, settings, output."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from quant_pipeline.cli.help import option
from quant_pipeline.language import say

if TYPE_CHECKING:
    from quant_pipeline.console.insight import Output
    from quant_pipeline.console.report import Report
    from quant_pipeline.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])
_WIDTH = 120
"""Of the output where it is no terminal (a file, CI), and COLUMNS does not say it."""
DAY = click.DateTime(["%Y-%m-%d", "%Y%m%d"])


def as_json(command: Command) -> Command:
    """The option that every command has."""
    wrapped: Command = option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)
    return wrapped


class plain_errors:  # noqa: N801
    """Turns the errors that a user can mend into one readable line and exit code 1 (2: another sync or UI is running)."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyboardInterrupt):
            from quant_pipeline.console.interruption import Interrupted, end_now

            if isinstance(error, Interrupted):
                end_now(error.exit_code, error.words)
            end_now(130)
        if kind is not None and isinstance(error, ValueError | RuntimeError):
            from quant_pipeline.warehouse.presence import Taken

            leave(str(error), 2 if isinstance(error, Taken) else 1)
        if isinstance(error, Exception):
            from quant_pipeline.warehouse.errors import described

            if (words := described(error)) is not None:
                leave(words, 1)
            if not isinstance(error, click.ClickException | click.exceptions.Exit | click.Abort):
                logging.getLogger("quant_pipeline.cli").info("unforeseen", exc_info=error)  # to the file, not to the terminal
                text = say(
                    "this should not happen (please report it): {error}. See: quant-pipeline history --logs", error=error
                )
                leave(text, 1)


def leave(text: str, code: int) -> NoReturn:
    from quant_pipeline.retelling import retold

    click.echo(f"quant-pipeline: {retold(text)}", err=True)
    sys.exit(code)


def read_settings(*, or_here: bool = False) -> Settings:
    from quant_pipeline import logbook, settings

    current = settings.load(or_here=or_here)
    logbook.keep(current)
    return current


def open_database() -> Any:
    from quant_pipeline.warehouse.database import Database

    return Database.from_settings(read_settings())


def upgraded() -> Any:
    database = open_database()
    database.upgrade()
    return database


def prepared(as_json: bool) -> tuple[Settings, Any]:
    from rich.console import Console

    settings = read_settings()
    console = Console(stderr=as_json)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console = Console(stderr=as_json, width=_WIDTH)
    if settings.sandboxed:
        console.print(f"[bold yellow]{say('SANDBOX')}[/]:", say("a simulated exchange; no token, no network."), highlight=False)
    return settings, console


def tell_lacking(settings: Settings, console: Any) -> None:
    """The sources in use that cannot be asked (no token): a line each, before what is shown. In sandbox mode nothing lacks."""
    if settings.sandboxed:  # told here as well: the adapters are not loaded for it
        return
    from quant_pipeline.console.notes import show_note
    from quant_pipeline.resources.upstream import lacking

    for name, why in lacking(settings).items():
        show_note(console, f"{name}: {why}")


def finish(report: Report, settings: Settings, console: Any, as_json: bool) -> NoReturn:
    from quant_pipeline import answering
    from quant_pipeline.console.render import show as show_report

    if as_json:
        click.echo(json.dumps(report.as_dict(), default=str, ensure_ascii=False, indent=2))
    else:
        running = answering.found(settings.home, settings.mode)
        ui_runs = running is not None and running.ui is not None
        show_report(report, console, ui_url=settings.ui_url, pages_url=settings.pages_url, ui_runs=ui_runs)
    sys.exit(0 if report.status == "success" else 1)


def show(output: Output, settings: Settings, console: Any, as_json: bool) -> None:
    if as_json:
        facts = {"mode": settings.mode.value, **output.facts}
        click.echo(json.dumps(facts, default=lambda day: day.isoformat(), ensure_ascii=False, indent=2))
    else:
        console.print(*output.shown, sep="\n", soft_wrap=output.as_written)


def print_facts(facts: dict[str, Any], text: str, as_json: bool) -> None:
    click.echo(json.dumps(facts) if as_json else text)


def split(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
