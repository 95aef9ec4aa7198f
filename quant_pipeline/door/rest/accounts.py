"""Accounts of 同花顺 and PushPlus: logins by QR code, SMS and password, a friend's code, a list pushed to the phone.

Passwords, numbers and codes come in bodies alone, go into the vault for the login, and stand in no answer and no log.
"""

from __future__ import annotations

import base64
import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, SecretStr

from quant_pipeline.door.access import Access, Reached
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.keys import Scope
from quant_pipeline.door.rest.forms import PROBLEMS, Answer
from quant_pipeline.door.rest.qr_logins import QrLogin, QrLogins
from quant_pipeline.door.rest.rights import needs
from quant_pipeline.language import speaking
from quant_pipeline.look import qr_code
from quant_pipeline.retelling import retold
from quant_pipeline.ths.errors import Failure, ThsError
from quant_pipeline.vault.errors import VaultError
from quant_pipeline.vault.kinds import THS_MOBILE

router = APIRouter(prefix="/api", tags=["accounts"], dependencies=[needs(Scope.ADMIN)], responses=PROBLEMS)
Account = Annotated[str, Field(pattern=r"^[\w.@-]{1,40}$", description="Your own name for the account.")]
_WORDS = {"waiting": "等待扫码", "scanned": "已扫码，请在手机上确认", "confirmed": "登录成功", "failed": "登录失败"}
_logins = QrLogins()


class OfAccount(BaseModel):
    account: Account = "default"


class Password(OfAccount):
    name: str = Field(min_length=1, max_length=100)
    password: SecretStr = Field(min_length=1, max_length=200)
    keep: bool = Field(False, description="Keep it in the vault, to log in again by itself.")


class Mobile(OfAccount):
    mobile: SecretStr = Field(min_length=11, max_length=20)


class Code(OfAccount):
    code: SecretStr = Field(min_length=4, max_length=12)
    keep_number: bool = Field(False, description="Keep the number in the vault, for logins by itself.")


class Picture(BaseModel):
    qr_id: str
    status: str = Field(description="waiting, scanned, confirmed or failed.")
    image: str | None = Field(description="A PNG as data URI, while there is a code to scan; it is renewed when it expires.")
    expires_at: dt.datetime | None
    error: str = Field(description="Why it failed.")


class Invitation(BaseModel):
    receiver: str
    channel: str
    picture: str = Field(description="Address of the code's picture at PushPlus.")
    expires_at: dt.datetime


class LoggedIn(BaseModel):
    account: str
    state: str
    nickname: str | None
    method: str | None
    expires_at: dt.datetime | None


@router.post("/ths/login/qr/init")
def qr_init(asked: OfAccount, access: Reached) -> Answer[Picture]:
    """Begins a login by QR code: the picture to scan with the app of THS, and the id to ask for."""
    with _in_words():
        logins = _of(access)
        logins.vault.check()
    login = _logins.begin(asked.account, lambda look: logins.by_qr(asked.account, look))
    if login.status == "failed":
        raise PageError(400, "登录未开始 The login did not begin", why=_said(login.error))
    return _told(login)


@router.get("/ths/login/qr/status")
def qr_status(qr_id: Annotated[str, Query(max_length=64)]) -> Answer[Picture]:
    """How that login stands. A code that has expired is followed by another one, whose picture is here then."""
    login = _logins.find(qr_id)
    if login is None:
        raise PageError(
            404, "没有这次扫码登录 No such login", why="编号有误，或服务已重启。", to_do="重新发起登录。Begin again."
        )
    return _told(login)


@router.post("/ths/login/password")
def by_password(asked: Password, access: Reached) -> Answer[LoggedIn]:
    """Logs in as the desktop client does. Only `keep` keeps the password."""
    with _in_words():
        logins = _of(access)
        logins.vault.check()
        logins.entrust_password(asked.account, asked.name, asked.password.get_secret_value(), keep=asked.keep)
        logins.by_password(asked.account)
    return _logged_in(access, asked.account)


@router.post("/ths/login/sms/send")
def send_code(asked: Mobile, access: Reached) -> Answer[LoggedIn]:
    """Has a code sent to the number; the account waits for it."""
    with _in_words():
        logins = _of(access)
        logins.vault.check()
        logins.entrust_mobile(asked.account, asked.mobile.get_secret_value())
        logins.send_code(asked.account)
    return _logged_in(access, asked.account)


@router.post("/ths/login/sms")
def by_code(asked: Code, access: Reached) -> Answer[LoggedIn]:
    """Logs in with the code that was sent. A wrong one leaves the account waiting."""
    with _in_words():
        logins = _of(access)
        logins.vault.check()
        logins.entrust_code(asked.account, asked.code.get_secret_value())
        logins.by_code(asked.account)
        if not asked.keep_number:
            logins.vault.forget(THS_MOBILE, asked.account)
    return _logged_in(access, asked.account)


@router.get("/user/pushplus/qrcode")
def pushplus_code(
    access: Reached,
    receiver: Annotated[str, Query(pattern=r"^[\w-]{1,40}$", description="What the friend is to be called.")],
    channel: Annotated[str, Query(max_length=40)] = "pushplus",
) -> Answer[Invitation]:
    """Invites a friend to a PushPlus account, as `quant-pipeline notify bind` does: whoever scans the code within ten minutes
    gets messages from then on."""
    from quant_pipeline.notify import binding
    from quant_pipeline.notify.channels.pushplus import PushPlus
    from quant_pipeline.notify.severity import Severity
    from quant_pipeline.resources import channels

    account = channels.found(access.settings, access.database).channels.get(channel)
    if not isinstance(account, PushPlus) or account.account != channel:
        why = "设置 PUSHPLUS_TOKEN 与 PUSHPLUS_SECRET_KEY。Set token and secret key."
        raise PageError(404, f"没有 PushPlus 通道 {channel[:40]} There is no such channel", why=why)
    try:
        made = binding.invite(access.database, account, receiver, list(Severity))
    except binding.BindingError as error:
        raise PageError(400, "未生成二维码 No code was made", why=str(error)) from None
    waiting = (access.database, account, made)
    threading.Thread(target=binding.await_friend, args=waiting, name=f"invitation-{made.id}", daemon=True).start()
    return Answer(data=Invitation(receiver=receiver, channel=channel, picture=made.picture, expires_at=made.expires_at))


def _said(words: str) -> str:
    with speaking("zh"):
        return retold(words)


def _of(access: Access) -> Any:
    from quant_pipeline.resources import upstream
    from quant_pipeline.ths.logins import Logins

    return Logins(access.database, upstream.ths(access.settings))


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except ThsError as error:
        status = 429 if error.failure is Failure.TAKEN else 503 if error.failure.passing else 400
        raise PageError(status, "同花顺登录未成功 The login did not succeed", why=_said(str(error))) from None
    except VaultError as error:
        command = "quant-pipeline vault init"
        raise PageError(400, "保险库不可用 The vault cannot be used", why=_said(str(error)), command=command) from None


def _told(login: QrLogin) -> Answer[Picture]:
    status, address = login.status, login.address  # its thread goes on meanwhile
    picture = None
    if address and status in ("waiting", "scanned"):
        picture = "data:image/png;base64," + base64.b64encode(qr_code.png(address)).decode()
    error = _said(login.error) if status == "failed" else ""
    told = Picture(qr_id=login.id, status=status, image=picture, expires_at=login.expires_at, error=error)
    return Answer(message=_WORDS[status], data=told)


def _logged_in(access: Access, account: str) -> Answer[LoggedIn]:
    row = _of(access).accounts.named(account)
    method = None if row.method is None else str(row.method)
    return Answer(
        data=LoggedIn(account=account, state=str(row.state), nickname=row.nickname, method=method, expires_at=row.expires_at)
    )
