"""Tencent's and Aliyun's SMS over HTTP: signatures verified by the vendors' documents, one text a minute and ten a day to a
number, and queued before it is sent."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import orjson
from aiohttp import web

from quant_pipeline.market import clock
from quant_pipeline.sandbox.control.calls import CallLog
from quant_pipeline.sandbox.control.faults import Faults, Kind
from quant_pipeline.sandbox.control.quotas import Per, Quotas
from quant_pipeline.sandbox.servers.faulty_transport import interrupt
from quant_pipeline.sandbox.servers.pushplus_server import Message
from quant_pipeline.sandbox.servers.robots_server import PREFIX, SERVER

KEY_ID = "sandbox-key-id"
KEY_SECRET = "sandbox-key-secret"
LONGEST_VARIABLE = 35
_FIVE_MINUTES = 300
_ONE_OF = re.compile(r"Credential=([^/,\s]+)[^,]*, ?SignedHeaders=([^,\s]+), ?Signature=([0-9a-f]{64})")

Words = tuple[str, str]
"""A refusal: the vendor's code and text."""


class SmsServer:
    """`deliver` puts a text into the inbox."""

    def __init__(self, calls: CallLog, faults: Faults, deliver: Callable[[Message], None], *, minute: float = 60.0) -> None:
        self._quotas = Quotas({"sms": 1}, minute=minute)
        self._quotas.set("sms", Per.DAY, 10)
        self._calls, self._faults, self._deliver = calls, faults, deliver
        self._texts: dict[str, tuple[str, bool]] = {}
        """Serial -> the number, and whether the operator fails to deliver it."""
        self._asked: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(f"{PREFIX}/tencent_sms/", self._faulty("tencent_sms", self._tencent)),
            web.post(f"{PREFIX}/aliyun_sms/", self._faulty("aliyun_sms", self._aliyun)),
        ]

    def _faulty(
        self, vendor: str, answer: Callable[[web.Request, bytes, bool], Awaitable[tuple[Any, str]]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            action = request.headers.get("X-TC-Action") or request.headers.get("x-acs-action") or ""
            call = self._calls.arrival(SERVER, vendor, {"action": action})
            fault = self._faults.take(SERVER, vendor)
            if fault is not None:
                call.answer = fault.kind.value
                interrupted = await interrupt(fault, request)
                if interrupted is not None:
                    return interrupted
            said, word = await answer(request, body, fault is not None and fault.kind is Kind.UNDELIVERED)
            if fault is None:
                call.answer = word
            return web.Response(body=orjson.dumps(said), content_type="application/json", charset="utf-8")

        return handle

    async def _tencent(self, request: web.Request, raw: bytes, fails: bool) -> tuple[Any, str]:
        number = secrets.token_hex(8)

        def refused(code: str, text: str, word: str) -> tuple[Any, str]:
            return {"Response": {"Error": {"Code": code, "Message": text}, "RequestId": number}}, word

        wrong = _tencent_wrong(request, raw)
        if wrong is not None:
            return refused(*wrong, "token")
        body = orjson.loads(raw)
        if request.headers.get("X-TC-Action") == "PullSmsSendStatusByPhoneNumber":
            states = [
                {"SerialNo": serial, "PhoneNumber": phone, "ReportStatus": "FAIL" if failed else "SUCCESS"}
                | {"Description": "用户关机" if failed else "用户短信送达成功"}
                for serial, (phone, failed) in self._texts.items()
                if phone == body.get("PhoneNumber") and self._is_known(serial)
            ]
            return {"Response": {"PullSmsSendStatusSet": states, "RequestId": number}}, "ok"
        if not body.get("SignName"):
            return refused("FailedOperation.SignatureIncorrectOrUnapproved", "signature not approved", "parameters")
        if not str(body.get("TemplateId")).startswith("sandbox"):
            return refused("FailedOperation.TemplateIncorrectOrUnapproved", "template not approved", "parameters")
        statuses, words = [], []
        for phone in body.get("PhoneNumberSet") or []:
            parameters = [str(each) for each in body.get("TemplateParamSet") or []]
            taken = self._taken("tencent_sms", phone, parameters, fails)
            code, text = ("Ok", "send success") if taken[0] else (taken[1], taken[2])
            words.append("ok" if taken[0] else "quota" if "Limit" in code else "parameters")
            statuses.append({"SerialNo": taken[0], "PhoneNumber": phone, "Fee": 1, "Code": code, "Message": text})
        return {"Response": {"SendStatusSet": statuses, "RequestId": number}}, "ok" if "ok" in words else words[0]

    async def _aliyun(self, request: web.Request, _raw: bytes, fails: bool) -> tuple[Any, str]:
        number = secrets.token_hex(8)
        wrong = _aliyun_wrong(request)
        if wrong is not None:
            return {"Code": wrong[0], "Message": wrong[1], "RequestId": number}, "token"
        asked = request.query
        if request.headers.get("x-acs-action") == "QuerySendDetails":
            phone, failed = self._texts.get(asked.get("BizId", ""), ("", False))
            known = self._is_known(asked.get("BizId", ""))
            state = {"PhoneNum": phone, "SendStatus": (2 if failed else 3) if known else 1, "ErrCode": "DELIVERED"}
            found = [state | ({"ErrCode": "MK:0001"} if failed else {})] if phone == asked.get("PhoneNumber") else []
            return {"Code": "OK", "Message": "OK", "SmsSendDetailDTOs": {"SmsSendDetailDTO": found}}, "ok"
        if not asked.get("TemplateCode", "").startswith("sandbox"):
            return {"Code": "isv.SMS_TEMPLATE_ILLEGAL", "Message": "该账号下找不到对应模板", "RequestId": number}, "parameters"
        parameters = [str(each) for each in orjson.loads(asked.get("TemplateParam") or "{}").values()]
        serial, code, text = self._taken("aliyun_sms", asked.get("PhoneNumbers", ""), parameters, fails)
        if not serial:
            words = {"LimitExceeded.PhoneNumberThirtySecondLimit": ("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1")}
            code, text = words.get(code, ("isv.PARAM_LENGTH_LIMIT", text))
            return {"Code": code, "Message": text, "RequestId": number}, "quota" if "LIMIT_CONTROL" in code else "parameters"
        return {"Code": "OK", "Message": "OK", "BizId": serial, "RequestId": number}, "ok"

    def _is_known(self, serial: str) -> bool:
        """Whether the operator has spoken: not when it is first asked."""
        if serial in self._asked:
            return True
        self._asked.add(serial)
        return False

    def _taken(self, vendor: str, phone: str, parameters: list[str], fails: bool) -> tuple[str, str, str]:
        """Serial, code, text: the serial is empty where it is refused."""
        if any(len(each) > LONGEST_VARIABLE or "http" in each for each in parameters):
            return "", "FailedOperation.TemplateParamSetNotMatchApprovedTemplate", "a variable is too long, or holds a link"
        if self._quotas.take(phone, "sms") is not None:
            return "", "LimitExceeded.PhoneNumberThirtySecondLimit", "the number of messages to the number exceeds the limit"
        serial = secrets.token_hex(12)
        self._texts[serial] = (phone, fails)
        moment = clock.now().isoformat(sep=" ", timespec="seconds")[:19]
        self._deliver(Message(serial, phone, " · ".join(parameters), "txt", moment, status=2, channel=vendor))
        return serial, "", ""


def _tencent_wrong(request: web.Request, raw: bytes) -> Words | None:
    """What is wrong with a TC3 signature; None: nothing."""
    found = _ONE_OF.search(request.headers.get("Authorization", ""))
    moment = request.headers.get("X-TC-Timestamp", "")
    if found is None or not moment.isdecimal():
        return "AuthFailure.SignatureFailure", "The provided credentials could not be validated."
    if found[1] != KEY_ID:
        return "AuthFailure.SecretIdNotFound", "The SecretId is not found."
    if abs(int(moment) - clock.now().timestamp()) > _FIVE_MINUTES:
        return "AuthFailure.SignatureExpire", "Signature expired."
    scope = request.headers["Authorization"].split("Credential=", 1)[1].split(",")[0].split("/", 1)[1]
    day, service, _ = scope.split("/")
    lines = "".join(f"{name}:{_header(request, name)}\n" for name in found[2].split(";"))
    canonical = f"POST\n/\n\n{lines}\n{found[2]}\n{hashlib.sha256(raw).hexdigest()}"
    to_sign = f"TC3-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"TC3{KEY_SECRET}".encode()
    for part in (day, service, "tc3_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    right = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(right, found[3]):
        return "AuthFailure.SignatureFailure", "The provided credentials could not be validated."
    return None


def _header(request: web.Request, name: str) -> str:
    value = request.headers.get(name, "")
    return value.lower() if name == "x-tc-action" else value


def _aliyun_wrong(request: web.Request) -> Words | None:
    """What is wrong with an ACS3 signature; None: nothing."""
    found = _ONE_OF.search(request.headers.get("Authorization", ""))
    if found is None:
        return "IncompleteSignature", "The request signature does not conform to standards."
    if found[1] != KEY_ID:
        return "InvalidAccessKeyId.NotFound", "Specified access key is not found."
    query = "&".join(f"{quote(n, safe='~')}={quote(request.query[n], safe='~')}" for n in sorted(request.query))
    lines = "".join(f"{name}:{request.headers.get(name, '').strip()}\n" for name in found[2].split(";"))
    digest = request.headers.get("x-acs-content-sha256", "")
    canonical = f"POST\n/\n{query}\n{lines}\n{found[2]}\n{digest}"
    to_sign = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    right = hmac.new(KEY_SECRET.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(right, found[3]):
        return "SignatureDoesNotMatch", "Specified signature is not matched with our calculation."
    return None
