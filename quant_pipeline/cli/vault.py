"""The commands of the vault: init, put, list, rotate, forget. No secret is ever an argument, and none is shown."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from quant_pipeline.cli.command import as_json, plain_errors, prepared, print_facts, show, upgraded
from quant_pipeline.cli.help import Group, option
from quant_pipeline.language import say

if TYPE_CHECKING:
    from quant_pipeline.vault.vault import Vault


@click.group(cls=Group)
def vault() -> None:
    """The vault: accounts, cookies, passwords, tokens, encrypted under SECRET_KEY.

    \b
    quant-pipeline vault init               make SECRET_KEY, written into .env
    quant-pipeline vault put wecom          keep a token, asked for and not shown: vault:wecom in QUANT_CHANNELS
    """


@vault.command()
@option("--print", "only_print", is_flag=True, help="Show a new key instead of writing it (for a secret store).")
@as_json
def init(only_print: bool, as_json: bool) -> None:
    """Make SECRET_KEY, if there is none.

    It is written into .env, which nobody else can read from then on. Keep a copy: without it the vault's secrets are lost.
    """
    with plain_errors():
        from quant_pipeline.vault import keeping, keys

        if only_print:
            key = keys.made().reveal()
            print_facts({"SECRET_KEY": key}, f"SECRET_KEY={key}", as_json)
            return
        file = keeping.init(_opened())
        words = (
            say("SECRET_KEY is set, and it is this vault's: nothing was changed.")
            if file is None
            else say(
                "SECRET_KEY was made and written into {file}. Keep a copy elsewhere: without it what the vault holds is lost.",
                file=file,
            )
        )
        print_facts({"made": file is not None, "file": None if file is None else str(file)}, words, as_json)


@vault.command()
@click.argument("name")
@as_json
def put(name: str, as_json: bool) -> None:
    """Keep a token under NAME, for channels: `vault:NAME` stands for it in their file.

    It is asked for and not shown, or read from the standard input.
    """
    with plain_errors():
        from quant_pipeline.vault.kinds import TOKEN

        keep = _opened()
        keep.check()  # before anybody types a secret in vain
        keep.put(TOKEN, name, asked(say("Token")))
        print_facts({"kind": TOKEN, "name": name}, say("Kept as {kind} {name}.", kind=TOKEN, name=name), as_json)


@vault.command("list")
@as_json
def list_(as_json: bool) -> None:
    """What the vault holds: kinds, names, dates. Never a secret."""
    with plain_errors():
        from quant_pipeline.console.vault import records_output

        settings, console = prepared(as_json)
        show(records_output(_opened().records()), settings, console, as_json)


@vault.command()
@as_json
def rotate(as_json: bool) -> None:
    """Make a new SECRET_KEY and seal everything anew under it.

    It is one transaction: a process that dies on the way leaves a vault that opens, and the command finishes it.
    """
    with plain_errors():
        from quant_pipeline.vault import keeping

        done = keeping.rotate(_opened())
        words = (
            say(
                "{count} records are sealed under the new key, which stands in {file}. Keep a copy.",
                count=done.records,
                file=done.file,
            )
            if done.file is not None
            else say(
                "{count} records are sealed under the new key: now set SECRET_KEY to what SECRET_KEY_NEXT is, and take that "
                "out of the environment.",
                count=done.records,
            )
        )
        facts = {"records": done.records, "file": None if done.file is None else str(done.file)}
        print_facts(facts, words, as_json)


@vault.command()
@click.argument("kind", required=False)
@click.argument("name", required=False)
@option("--all", "everything", is_flag=True, help="Empty the vault; after that it takes another SECRET_KEY.")
@as_json
def forget(kind: str | None, name: str | None, everything: bool, as_json: bool) -> None:
    """Remove the record KIND NAME (see `vault list`)."""
    if everything != (kind is None and name is None) or (kind is None) != (name is None):
        raise click.UsageError(say("name a KIND and a NAME, or --all"))
    with plain_errors():
        keep = _opened()
        if everything:
            if sys.stdin.isatty():
                click.confirm(say("Everything that the vault holds is lost. Go on?"), abort=True)
            count = keep.forget_all()
        else:
            count = int(keep.forget(str(kind), str(name)))
        words = say("Forgotten: {count}.", count=count)
        if as_json:
            click.echo(json.dumps({"forgotten": count}))
        else:
            click.echo(words)
        sys.exit(0 if count or everything else 1)


def asked(what: str) -> str:
    """A secret as the user types it (not shown), or the standard input where that is no terminal. UsageError: an empty one."""
    secret = click.prompt(what, hide_input=True) if sys.stdin.isatty() else sys.stdin.read()
    if not secret.strip():
        raise click.UsageError(say("nothing was given, nothing was changed"))
    return str(secret.strip())


def _opened() -> Vault:
    from quant_pipeline.vault.vault import Vault

    return Vault(upgraded())
