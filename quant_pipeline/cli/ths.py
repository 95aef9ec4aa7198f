"""The commands of a 同花顺 account: login, status, relogin, logout. No secret is ever an argument, and none is shown."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quant_pipeline.cli.command import as_json, plain_errors, prepared, print_facts, show, upgraded
from quant_pipeline.cli.help import Group, option
from quant_pipeline.cli.vault import asked
from quant_pipeline.language import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from quant_pipeline.ths.logins import Logins

_account = option("--account", default="default", show_default=True, help="Your own name for the account.")


@click.group(cls=Group)
def ths() -> None:
    """Your THS account: log in, see how it stands.

    THS does not document these interfaces: they may break any day. Act on your own account. Where THS asks for a slider or
    another captcha, you are needed: nothing here solves one. What is kept lies encrypted in the vault (`vault init`).
    """


@ths.group(cls=Group)
def login() -> None:
    """Log in: by QR code, SMS, password, or the cookies of your browser."""


@login.command()
@_account
@as_json
def qr(account: str, as_json: bool) -> None:
    """Scan a QR code with the app: shown here, and as a picture in the run's page."""
    _log_in("qr", account, as_json, lambda logins: logins.vault.check())


@login.command()
@_account
@option("--code", "with_code", is_flag=True, help="The second step: give the code of an SMS that was sent.")
@option("--number", "another", is_flag=True, help="Ask for the number, though one is kept.")
@as_json
def sms(account: str, with_code: bool, another: bool, as_json: bool) -> None:
    """Have an SMS sent, then give its code.

    Number and code are asked for, or read from the standard input; the number is kept in the vault for the next time.
    """

    def number(logins: Logins) -> None:
        from quant_pipeline.vault.kinds import THS_MOBILE

        if another or not logins.vault.holds(THS_MOBILE, account):
            logins.vault.check()
            logins.entrust_mobile(account, asked(say("Mobile number")))

    def code(logins: Logins) -> None:
        logins.vault.check()
        logins.entrust_code(account, asked(say("Code of the SMS")))

    if not with_code:
        terminal = sys.stdin.isatty() and not as_json
        _log_in("sms", account, as_json, number, ends=not terminal)
    _log_in("sms_code", account, as_json, code)


@login.command()
@_account
@option("--keep", is_flag=True, help="Keep the password in the vault, to log in again by itself.")
@as_json
def password(account: str, keep: bool, as_json: bool) -> None:
    """Log in as the desktop client does, with name and password.

    They are asked for (the password is not shown), or read from the standard input, a line each. Only --keep keeps them.
    """

    def given(logins: Logins) -> None:
        logins.vault.check()
        if sys.stdin.isatty():
            name, secret = click.prompt(say("Name or mobile number")), asked(say("Password"))
        else:
            name, _, secret = sys.stdin.read().strip().partition("\n")
        if not name.strip() or not secret.strip():
            raise click.UsageError(say("name and password are needed, a line each; nothing was changed"))
        logins.entrust_password(account, name.strip(), secret.strip(), keep=keep)

    _log_in("password", account, as_json, given)


@login.command()
@_account
@option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file with the cookies.")
@as_json
def cookie(account: str, file: Path | None, as_json: bool) -> None:
    """Import the cookies of a browser in which you are logged in.

    A Cookie header, a JSON object, or a browser extension's JSON list: from a file, a prompt, or the standard input. Delete the
    file afterwards: whoever reads it is you.
    """

    def given(logins: Logins) -> None:
        logins.vault.check()
        logins.entrust_cookies(account, file.read_text(encoding="utf-8") if file is not None else asked(say("Cookies")))

    _log_in("cookie", account, as_json, given)


@ths.command()
@option("--probe", is_flag=True, help="Ask THS whether each login holds, now.")
@as_json
def status(probe: bool, as_json: bool) -> None:
    """Each account: state, method, age, expiry, last use, last failure."""
    with plain_errors():
        from quant_pipeline.console.ths_status import status_output
        from quant_pipeline.ths.accounts import Accounts

        settings, console = prepared(as_json)
        accounts, answers = Accounts(upgraded()), dict[str, str]()
        if probe:
            from quant_pipeline.console import ths as doors

            answers = doors.probed(doors.opened(), accounts.all())
        show(status_output(accounts, answers), settings, console, as_json)


@ths.command()
@click.argument("switch", type=click.Choice(["on", "off"]))
@_account
@as_json
def relogin(switch: str, account: str, as_json: bool) -> None:
    """Whether an expired login is renewed by itself, where a kept password or an SMS makes that possible."""
    with plain_errors():
        from quant_pipeline.console import ths as doors

        logins = doors.opened()
        logins.accounts.named(account)
        logins.accounts.note(account, relogin=switch == "on")
        on = say("{account} is logged in again by itself where that can be.", account=account)
        off = say("{account} is not logged in again by itself.", account=account)
        print_facts({"account": account, "relogin": switch == "on"}, on if switch == "on" else off, as_json)


@ths.command()
@_account
@as_json
def logout(account: str, as_json: bool) -> None:
    """Forget the account here: cookies, password, number. In the app of THS you can end the login itself."""
    with plain_errors():
        from quant_pipeline.console import ths as doors

        doors.opened().log_out(account)
        print_facts({"account": account, "logged_out": True}, say("{account} is forgotten here.", account=account), as_json)


def _log_in(method: str, account: str, as_json: bool, prepare: Callable[[Logins], object], *, ends: bool = True) -> None:
    """Puts what is needed into the vault, runs the job, tells what it came to. `ends`: the process ends with its exit code."""
    with plain_errors():
        from quant_pipeline.console import ths as doors
        from quant_pipeline.console.interruption import interruptible

        settings, console = prepared(as_json)
        prepare(doors.opened())
        with interruptible():
            launched = doors.log_in(method, account, settings, console)
        row = doors.opened().accounts.find(account)
        facts: dict[str, Any] = {
            "mode": settings.mode.value,
            "account": account,
            "state": None if row is None else row.state.value,
            "run": launched.run_id,
            "errors": list(launched.failures),
        }
        if as_json:
            click.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        elif launched.success and row is not None:
            console.print(doors.outcome(row, settings))
        for error in launched.failures:
            from quant_pipeline.retelling import retold

            click.echo(f"quant-pipeline: {retold(error.partition(': ')[2] or error)}", err=True)
        if ends or not launched.success:
            sys.exit(0 if launched.success else 1)
