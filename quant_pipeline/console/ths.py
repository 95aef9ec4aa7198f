"""The commands of `ths` that ask THS: logins as runs of their jobs, and whether they hold."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from quant_pipeline.assets import ths_account
from quant_pipeline.console.launch import Launched, launch
from quant_pipeline.console.words import moment
from quant_pipeline.language import say
from quant_pipeline.look import qr_code
from quant_pipeline.resources import upstream
from quant_pipeline.resources.ths import ThsResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.retelling import retold
from quant_pipeline.settings import Settings
from quant_pipeline.ths import qr
from quant_pipeline.ths.accounts import Account, State
from quant_pipeline.ths.errors import ThsError, login_command
from quant_pipeline.ths.logins import Logins
from quant_pipeline.ths.qr import Shown

_JOBS = {
    "qr": ("ths_login_qr", ths_account.show_qr_code.name),
    "sms": ("ths_login_sms", ths_account.send_sms_code.name),
    "sms_code": ("ths_login_sms_code", ths_account.check_sms_code.name),
    "password": ("ths_login_password", ths_account.log_in_by_password.name),
    "cookie": ("ths_login_cookie", ths_account.import_cookies.name),
}


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


def outcome(row: Account, settings: Settings) -> Text:
    """What a step of a login came to."""
    if row.state is State.WAITING_FOR_CODE:
        text = say("The code was sent. Give it: {command}", command=login_command("sms --code", row.account))
        if settings.sandboxed and settings.ths_upass_url is None:
            text += "\n" + say("SANDBOX: the SMS lies in its inbox, {url}", url=upstream.inbox(settings))
        return Text(text, "green")
    until = moment(row.expires_at)
    return Text(say("Logged in as {nickname}, until {until}.", nickname=row.nickname or row.account, until=until), "green")
