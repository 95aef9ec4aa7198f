"""同花顺's login as the web and the desktop client speak it: `upass` (QR, SMS, cookies), `auth` (RSA, password), `t` (who).

It has no public description: paths, fields and codes are those that public programs use, and the real one may change them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from xml.sax.saxutils import quoteattr

from aiohttp import web

from quant_pipeline.sandbox.control.calls import Call, CallLog
from quant_pipeline.sandbox.control.faults import Faults
from quant_pipeline.sandbox.servers.ths_accounts import Scan, ThsAccounts, User
from quant_pipeline.sandbox.servers.ths_groups_server import T_PREFIX
from quant_pipeline.sandbox.servers.ths_login_answers import Desk, json_of, with_cookies
from quant_pipeline.sandbox.servers.ths_rsa import VERSION, KeyPair

UPASS, AUTH = "/ths/upass", "/ths/auth"
_STATUS = {Scan.EXPIRED: 0, Scan.WAITING: 1, Scan.SCANNED: 2, Scan.CONFIRMED: 3}
_OK, _SLIDER, _ABNORMAL, _WRONG_CODE = 0, -11400, -11032, -10500


class ThsLoginServer:
    """The three hosts over one state."""

    def __init__(self, accounts: ThsAccounts, calls: CallLog, faults: Faults, deliver: Callable[[str, str], None]) -> None:
        """`deliver`: (mobile, text) puts an SMS where the user of the sandbox reads it."""
        self._accounts, self._rsa, self._deliver = accounts, KeyPair(), deliver
        self._desk = Desk(calls, faults)

    def routes(self) -> list[web.RouteDef]:
        served = self._desk.served
        return [
            web.get(UPASS + "/scan/creatCode", served("creatCode", self._new_qr)),
            web.post(UPASS + "/scan/getInfoNew", served("getInfoNew", self._poll)),
            web.get(UPASS + "/scan/landing", served("landing", self._land)),
            web.post(UPASS + "/smslogin/sendSms", served("sendSms", self._send_sms)),
            web.post(UPASS + "/smslogin/checkSms", served("checkSms", self._check_sms)),
            web.get(UPASS + "/docookie2.php", served("docookie2", self._cookies)),
            web.get(AUTH + "/verify2", served("verify2", self._verify)),
            web.get(T_PREFIX + "/user_center/open/api/user/v1/simple_info", served("simple_info", self._who)),
        ]

    async def _new_qr(self, _request: web.Request, _form: Mapping[str, str], _call: Call) -> web.Response:
        return json_of({"qrid": self._accounts.new_qr(), "errorCode": 0, "errorMsg": ""})

    async def _poll(self, request: web.Request, form: Mapping[str, str], call: Call) -> web.Response:
        """Where the code is; once confirmed, what was ordered of the phone: cookies, a page to go to, or a credential."""
        state = self._accounts.poll(form.get("qrid", ""))
        call.answer = state.value
        answer: dict[str, object] = {"status": _STATUS[state], "errorCode": 0}
        if state is not Scan.CONFIRMED:
            return json_of(answer)
        match self._accounts.phone.brings:
            case "redirect":
                landing = request.url.with_path(UPASS + "/scan/landing").with_query(qrid=form["qrid"])
                return json_of(answer | {"redirect": str(landing)})
            case "credential":
                account, password = self._accounts.credential()
                return json_of(answer | {"account": account, "password": password})
        return with_cookies(json_of(answer), self._accounts.issue(self._accounts.owner()))

    async def _land(self, _request: web.Request, form: Mapping[str, str], _call: Call) -> web.Response:
        if self._accounts.poll(form.get("qrid", "")) is not Scan.CONFIRMED:
            return web.Response(status=403)
        page = web.Response(text="<html></html>", content_type="text/html")
        return with_cookies(page, self._accounts.issue(self._accounts.owner()))

    async def _send_sms(self, _request: web.Request, form: Mapping[str, str], call: Call) -> web.Response:
        mobile = self._rsa.opened(form.get("mobile", ""))
        if len(mobile) != 11 or not mobile.isdigit():
            call.answer = "parameters"
            return _refused(_ABNORMAL, "账号异常,请重新登录")
        if self._accounts.phone.slider:
            call.answer = "slider"
            return _refused(_SLIDER, "请完成滑块验证")
        self._deliver(mobile, f"【同花顺】验证码 {self._accounts.send_code(mobile)}，五分钟内有效，请勿泄露。")
        return json_of({"errorcode": _OK, "errormsg": ""})

    async def _check_sms(self, _request: web.Request, form: Mapping[str, str], call: Call) -> web.Response:
        mobile, code = (self._rsa.opened(form.get(name, "")) for name in ("mobile", "signcode"))
        user = self._accounts.by_code(mobile, code)
        if user is None:
            call.answer = "code"
            return _refused(_WRONG_CODE, "验证码错误或已失效")
        return with_cookies(json_of({"errorcode": _OK, "errormsg": ""}), self._accounts.issue(user))

    async def _cookies(self, _request: web.Request, form: Mapping[str, str], call: Call) -> web.Response:
        """Cookies for a client's session; nothing is set where it is none."""
        user = self._accounts.of_client_session(form.get("sessionid", ""))
        page = web.Response(text="", content_type="text/html")
        if user is None or user.user_id != form.get("userid") or form.get("signvalid") != _sign(user):
            call.answer = "token"
            return page
        return with_cookies(page, self._accounts.issue(user))

    async def _verify(self, _request: web.Request, form: Mapping[str, str], call: Call) -> web.Response:
        match form.get("reqtype"):
            case "do_rsa":
                return _xml(_OK, "", pubkey=self._rsa.public, rsa_version=VERSION)
            case "unified_login":
                name, password = (self._rsa.opened(form.get(each, "")) for each in ("account", "passwd"))
                user = self._accounts.by_password(name, password)
                if user is None:
                    call.answer = "token"
                    return _xml(-1, "账号或密码错误")
                session = self._accounts.begin_client_session(user)
                return _xml(_OK, "", userid=user.user_id, sessionid=session, account=name)
            case "mainverify":
                user = self._accounts.of_client_session(form.get("sessionid", ""))
                if user is None or not form.get("imei"):
                    call.answer = "token"
                    return _xml(-1, "会话已失效")
                return _xml(_OK, "", passport=f"userid={user.user_id}|signvalid={_sign(user)}|expire=0")
        call.answer = "parameters"
        return _xml(-1, "参数错误")

    async def _who(self, request: web.Request, _form: Mapping[str, str], call: Call) -> web.Response:
        user = self._accounts.user_of(request.cookies)
        if user is None:
            call.answer = "token"
            return json_of({"status_code": -1, "status_msg": "登录已失效", "data": None})
        told = {"user_id": user.user_id, "nickname": user.nickname, "avatar": ""}
        return json_of({"status_code": 0, "status_msg": "success", "data": told})


def _sign(user: User) -> str:
    return f"20261120-{user.user_id}"


def _refused(code: int, text: str) -> web.Response:
    return json_of({"errorcode": code, "errormsg": text})


def _xml(code: int, text: str, **item: str) -> web.Response:
    attributes = " ".join(f"{name}={quoteattr(value)}" for name, value in item.items())
    body = f'<?xml version="1.0" encoding="utf-8"?><root><ret code="{code}" msg={quoteattr(text)}/>'
    return web.Response(text=body + (f"<item {attributes}/>" if item else "") + "</root>", content_type="text/xml")
