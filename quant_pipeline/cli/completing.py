"""The command `completion`, and what a shell completes: data sets, periods, sources, runs."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem, get_completion_class

from quant_pipeline.cli.help import Command
from quant_pipeline.language import say

_SHELLS = ("bash", "zsh", "fish")
_PROGRAM = "quant-pipeline"
_VARIABLE = "_QUANT_PIPELINE_COMPLETE"
_RUNS = "SELECT coalesce(command_id, id) AS id, max(started_at) AS at FROM sync_runs GROUP BY 1 ORDER BY 2 DESC LIMIT 20"


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the script that teaches SHELL to complete commands, options, data sets, sources and run ids.

    \b
    eval "$(quant-pipeline completion bash)"       # in ~/.bashrc
    eval "$(quant-pipeline completion zsh)"        # in ~/.zshrc
    quant-pipeline completion fish | source        # in ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(click.Command(_PROGRAM), {}, _PROGRAM, _VARIABLE).source())


def datasets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The last of comma-separated data sets, with its Chinese name as help."""
    del context, parameter
    from quant_pipeline.market.datasets import SOURCED

    return _last_of(incomplete, {name: dataset.zh for name, dataset in SOURCED.items()})


def periods(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    del context, parameter
    return _last_of(incomplete, dict.fromkeys(("daily", "weekly", "monthly"), ""))


def sources(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    del context, parameter
    from quant_pipeline.sources.registry import registered

    return _last_of(incomplete, dict.fromkeys(registered().sources, ""))


def strategies(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The registered strategies, with their Chinese names as help."""
    del context, parameter
    from quant_pipeline.strategies.registry import registered

    known = registered().strategies
    return [CompletionItem(name, help=strategy.zh) for name, strategy in known.items() if name.startswith(incomplete)]


def watchlists(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The user's own lists; none where the database does not answer."""
    del context, parameter
    from quant_pipeline import settings
    from quant_pipeline.warehouse.database import Database
    from quant_pipeline.warehouse.watchlists import lists

    try:
        current = settings.load()
        if current.database_url is None and not (current.home / "pg").is_dir():
            return []  # completing makes no database
        known = lists(Database.from_settings(current))
    except Exception:
        return []
    return [CompletionItem(name) for name in known if name.startswith(incomplete)]


def runs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The last runs; none where the database does not answer: a shell that completes shows no errors."""
    del context, parameter
    from quant_pipeline import settings
    from quant_pipeline.console.words import SHORT, moment
    from quant_pipeline.warehouse.database import Database

    try:
        current = settings.load()
        if current.database_url is None and not (current.home / "pg").is_dir():
            return []  # completing makes no database
        with Database.from_settings(current).connect() as connection:
            found = connection.execute(_RUNS).fetchall()
    except Exception:
        return []
    started = {str(run)[:SHORT]: say("started {at}", at=moment(at)) for run, at in found}
    return [CompletionItem(run, help=words) for run, words in started.items() if run.startswith(incomplete)]


def _last_of(incomplete: str, known: dict[str, str]) -> list[CompletionItem]:
    before, comma, last = incomplete.rpartition(",")
    chosen = before.split(",")
    return [
        CompletionItem(f"{before}{comma}{name}", help=words or None)
        for name, words in known.items()
        if name.startswith(last) and name not in chosen
    ]
