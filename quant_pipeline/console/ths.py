"""The commands of `ths`: logins as runs of their jobs, and what `ths status` shows."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from quant_pipeline.assets import ths_account
from quant_pipeline.console.insight import Output
from quant_pipeline.console.launch import Launched, launch
from quant_pipeline.console.tables import Column, FittedTable
from quant_pipeline.console.words import moment
from quant_pipeline.language import say
from quant_pipeline.look import qr_code
from quant_pipeline.resources import upstream
from quant_pipeline.resources.ths import ThsResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.retelling import retold
from quant_pipeline.settings import Settings
from quant_pipeline.ths import qr
from quant_pipeline.ths.accounts import STATES, Account, Event, State, login_command
from quant_pipeline.ths.errors import ThsError
from quant_pipeline.ths.logins import Logins
from quant_pipeline.ths.qr import Shown
from quant_pipeline.ths.relogin import A_DAY

_JOBS = {
    "qr": ("ths_login_qr", ths_account.show_qr_code.name),
    "sms": ("ths_login_sms", ths_account.send_sms_code.name),
    "sms_code": ("ths_login_sms_code", ths_account.check_sms_code.name),
    "password": ("ths_login_password", ths_account.log_in_by_password.name),
    "cookie": ("ths_login_cookie", ths_account.import_cookies.name),
}
_STYLES = {State.ACTIVE: "green", State.LOGGING_IN: "cyan", State.LOGGED_OUT: "dim"}
_EVENTS = 10


def opened() -> Logins:
    """The logins of this installation."""
    return ThsResource(warehouse=WarehouseResource()).logins()


def log_in(method: str, account: str, settings: Settings, console: Console) -> Launched:
    """Runs the job of that method (or step), its QR codes shown here too; waits for its end."""
    job, op = _JOBS[method]
    simulated = settings.sandboxed and settings.ths_upass_url is None

    def show(news: Shown | str) -> None:
        if isinstance(news, Shown):
            console.print(say("Scan this with the app of THS within two minutes (code {number}):", number=news.number))
            console.print(Text(qr_code.blocks(news.address), style="#ffffff on #000000" if console.is_terminal else ""))
            if simulated:
                console.print(say("SANDBOX: its phone scans and confirms by itself, in a few seconds."))
        else:
            console.print(say("Scanned: confirm it on the phone.") if news == "scanned" else say("The code has expired."))

    with qr.looking(show):
        return launch(
            job, {}, config={op: {"account": account}}, trigger=f"ths login {method}", command_id=uuid.uuid4().hex[:12]
        )


def probed(logins: Logins, rows: Sequence[Account]) -> dict[str, str]:
    """Account -> what 同花顺 says of its login now."""
    found = {}
    for row in rows:
        if row.state is State.ACTIVE:
            try:
                found[row.account] = say("holds") if logins.probe(row.account) else say("has expired")
            except ThsError as error:
                found[row.account] = retold(str(error))
    return found


def status_output(logins: Logins, answers: dict[str, str]) -> Output:
    """Each account, and the last transitions."""
    rows, events = logins.accounts.all(), logins.accounts.events(limit=_EVENTS)
    facts = {"accounts": [_facts(row, answers) for row in rows], "events": [asdict(event) for event in events]}
    if not rows:
        return Output(facts, [Text(say("No THS account is logged in: quant-pipeline ths login qr"))])
    table = FittedTable(
        say("THS accounts: times are Asia/Shanghai"),
        (
            Column(say("account")),
            Column(say("nickname"), rank=4),
            Column(say("state")),
            Column(say("by"), rank=2),
            Column(say("logged in"), rank=1),
            Column(say("until")),
            Column(say("used"), rank=5),
            Column(say("again by itself"), rank=6),
            Column(say("answer now"), rank=3, words=16),
        ),
    )
    for row in rows:
        table.add(
            row.account,
            row.nickname or "",
            Text(say(STATES[row.state]), _STYLES.get(row.state, "yellow")),
            row.method or "-",
            moment(row.logged_in_at),
            moment(row.expires_at),
            moment(row.used_at),
            say("yes") if row.relogin else say("no"),
            answers.get(row.account, ""),
        )
    failures = [
        Text(f"✗ {row.account} {moment(row.failed_at)}: {retold(row.failure)}", "yellow") for row in rows if row.failure
    ]
    return Output(facts, [table, *failures, _moves(events), Text(say("At most {count} logins a day.", count=A_DAY), "dim")])


def _moves(events: Sequence[Event]) -> FittedTable:
    table = FittedTable(
        say("Last transitions"),
        (Column(say("at")), Column(say("account"), rank=2), Column(say("state")), Column(say("why"), rank=1, words=24)),
    )
    for event in events:
        table.add(moment(event.at), event.account, say(STATES[State(event.state)]), retold(event.why))
    return table


def _facts(row: Account, answers: dict[str, str]) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name != "device"} | {"answer": answers.get(row.account)}


def outcome(row: Account, settings: Settings) -> Text:
    """What a step of a login came to."""
    if row.state is State.WAITING_FOR_CODE:
        text = say("The code was sent. Give it: {command}", command=login_command("sms --code", row.account))
        if settings.sandboxed and settings.ths_upass_url is None:
            text += "\n" + say("SANDBOX: the SMS lies in its inbox, {url}", url=upstream.inbox(settings))
        return Text(text, "green")
    until = moment(row.expires_at)
    return Text(say("Logged in as {nickname}, until {until}.", nickname=row.nickname or row.account, until=until), "green")
