"""The user's 同花顺 accounts in the UI: how each stands, and the jobs' steps that log them in.

What a login needs of its owner comes out of the vault, where `quant-pipeline ths login …` has put it: nothing of it is in run
config, metadata or an error. A login writes the asset's page anew.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
from pydantic import Field

from quant_pipeline.assets.failures import Failed
from quant_pipeline.assets.labels import labelled
from quant_pipeline.assets.metadata import origin, pictured, table
from quant_pipeline.assets.operations import report
from quant_pipeline.language import chinese
from quant_pipeline.look import qr_code
from quant_pipeline.market import clock
from quant_pipeline.resources.ths import ThsResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.retelling import for_readers
from quant_pipeline.ths.accounts import STATES, Account, Accounts, Event, State
from quant_pipeline.ths.errors import DEFAULT, ThsError
from quant_pipeline.vault.errors import VaultError

if TYPE_CHECKING:
    from quant_pipeline.ths.logins import Logins
    from quant_pipeline.ths.qr import Shown
    from quant_pipeline.ths.sessions import Session

ASSET = "ths_account"
_EVENTS = 15
_UNDOCUMENTED = (
    "同花顺未公开这些接口，随时可能变更；请只操作本人账户，本软件不代解验证码。 THS does not document these interfaces: "
    "they may break any day. Act on your own account; nothing here solves a captcha."
)
_METHODS = {"qr": "扫码 QR", "sms": "短信 SMS", "password": "密码 password", "cookie": "Cookie"}


@report(
    "同花顺账户 · 登录状态、方式、时长、有效期、上次使用与失败；同命令 quant-pipeline ths status",
    f"How each account of 同花顺 (THS) stands: as `quant-pipeline ths status`. {_UNDOCUMENTED}",
)
def ths_account(warehouse: WarehouseResource) -> dict[str, Any]:
    return standing(Accounts(warehouse.database))


def standing(accounts: Accounts) -> dict[str, Any]:
    """What is shown of the accounts."""
    known, events = accounts.all(), accounts.events(limit=_EVENTS)
    if not known:
        return {"accounts": "未登录 none is logged in: quant-pipeline ths login qr", "events": table(_moves(events))}
    return {
        "accounts": table(pl.DataFrame([_account(each) for each in known])),
        "times": table(pl.DataFrame([_times(each) for each in known])),
        "last_failures": table(_failures(known)) if any(each.failure for each in known) else "none 无",
        "events": table(_moves(events)),
    }


class AccountConfig(dg.Config):
    """Which account; nothing secret."""

    account: str = Field(DEFAULT, description="Your own name for the account. 账户的名称（自定）")


def _opened(context: dg.OpExecutionContext, ths: ThsResource, log_in: "Callable[[Logins], Session | None]") -> None:
    """Does the login, writes the asset's page anew, however it ends, and fails with the sentence of what went wrong."""
    logins = ths.logins()
    try:
        session = log_in(logins)
    except (ThsError, VaultError) as error:
        raise Failed(str(error)) from None
    finally:
        told = labelled(origin() | standing(logins.accounts))
        context.log_event(dg.AssetMaterialization(ASSET, metadata=told))
    if session is not None:
        about = {"account": session.account, "nickname": session.nickname, "expires": _moment(session.expires_at)}
        context.add_output_metadata(labelled(about))


@dg.op(description=f"Shows a QR code to be scanned with the app of 同花顺, until it is confirmed 扫码登录. {_UNDOCUMENTED}")
def show_qr_code(context: dg.OpExecutionContext, config: AccountConfig, ths: ThsResource) -> None:
    def show(news: "Shown | str") -> None:
        if isinstance(news, str):
            context.log.info(_NEWS[news])
            return
        picture = pictured(lambda: qr_code.png(news.address), "qr-code")
        about = {
            "qr_code": picture,
            "note": f"第 {news.number} 个二维码，两分钟内用同花顺 App 扫描 · scan it with the app of THS",
        }
        context.log_event(dg.AssetObservation(ASSET, metadata=labelled(about), description="请扫码登录 Scan to log in"))

    _opened(context, ths, lambda logins: logins.by_qr(config.account, show))


_NEWS = {"scanned": "已扫码，请在手机上确认 Scanned: confirm it on the phone", "expired": "二维码已过期 The code has expired"}


@dg.op(description="Has a code sent to the number in the vault; then `quant-pipeline ths login sms --code` 发送短信验证码.")
def send_sms_code(context: dg.OpExecutionContext, config: AccountConfig, ths: ThsResource) -> None:
    _opened(context, ths, lambda logins: logins.send_code(config.account))


@dg.op(description="Logs in with the SMS code that lies in the vault for ten minutes 用短信验证码登录.")
def check_sms_code(context: dg.OpExecutionContext, config: AccountConfig, ths: ThsResource) -> None:
    _opened(context, ths, lambda logins: logins.by_code(config.account))


@dg.op(description="Logs in with the password in the vault, where `quant-pipeline ths login password` put it 密码登录.")
def log_in_by_password(context: dg.OpExecutionContext, config: AccountConfig, ths: ThsResource) -> None:
    _opened(context, ths, lambda logins: logins.by_password(config.account))


@dg.op(description="Tries and keeps the cookies in the vault, where `quant-pipeline ths login cookie` put them 导入 Cookie.")
def import_cookies(context: dg.OpExecutionContext, config: AccountConfig, ths: ThsResource) -> None:
    _opened(context, ths, lambda logins: logins.by_cookies(config.account))


@dg.op(description="Logs an account in again by itself, as far as that goes without its owner 自动重新登录.")
def log_in_again(context: dg.OpExecutionContext, config: AccountConfig, ths: ThsResource) -> None:
    def step(logins: "Logins") -> None:
        from quant_pipeline.ths.relogin import Relogin  # here, as its clients are for who logs in

        row = Relogin(logins).step(config.account)
        context.log.info(f"{row.account}: {for_readers(STATES[row.state])}")
        context.add_output_metadata(labelled({"account": row.account, "state": _state(row)}))

    _opened(context, ths, step)


def _account(row: Account) -> dict[str, Any]:
    who = f"{row.account} {row.nickname or ''}".strip()
    return {"账户 account": who, "状态 state": _state(row), "方式 by": _METHODS.get(row.method or "", "—")}


def _times(row: Account) -> dict[str, Any]:
    return {
        "账户 account": row.account,
        "登录 age": _age(row.logged_in_at),
        "有效至 until": _moment(row.expires_at),
        "上次使用 used": _moment(row.used_at),
    }


def _failures(rows: Sequence[Account]) -> "pl.DataFrame":
    told = [
        {"账户 account": row.account, "时间 at": _moment(row.failed_at), "原因 why": for_readers(row.failure)}
        for row in rows
        if row.failure
    ]
    return pl.DataFrame(told)


def _moves(events: Sequence[Event]) -> "pl.DataFrame":
    told = [
        {
            "时间 at": _moment(event.at),
            "账户与状态 state": f"{event.account} {chinese(STATES[State(event.state)])}" + (" 自动" if event.by_itself else ""),
            "原因 why": for_readers(event.why),
        }
        for event in events
    ]
    return pl.DataFrame(told, schema={"时间 at": pl.String, "账户与状态 state": pl.String, "原因 why": pl.String})


def _state(row: Account) -> str:
    return f"{chinese(STATES[row.state])} {row.state}".replace("_", "_\u200b")


def _age(since: dt.datetime | None) -> str:
    if since is None:
        return "—"
    hours = int((clock.now() - since).total_seconds() // 3600)
    return f"{hours // 24} 天 {hours % 24} 时" if hours >= 24 else f"{hours} 时"


def _moment(at: dt.datetime | None) -> str:
    return f"{at.astimezone(clock.EXCHANGE_ZONE):%m\u2011%d %H:%M}" if at else "—"
