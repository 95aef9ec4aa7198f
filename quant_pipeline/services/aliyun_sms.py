"""Aliyun SMS (https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-sendsms): queued, not yet sent."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from quant_pipeline.market import clock
from quant_pipeline.services import aliyun_signature
from quant_pipeline.services.adapter import Adapter
from quant_pipeline.services.client import Answered, Call
from quant_pipeline.services.result import Result, done, refused
from quant_pipeline.sources.failures import FailureClass

_VERSION = "2017-05-25"
_OK = "OK"
_STATES = {1: "WAITING", 2: "FAIL", 3: "SUCCESS"}
_FAILURES: tuple[tuple[str, FailureClass, float], ...] = (
    ("isv.BUSINESS_LIMIT_CONTROL", FailureClass.RATE_LIMITED, 60.0),
    ("isv.DAY_LIMIT_CONTROL", FailureClass.RATE_LIMITED, 3_600.0),
    ("Throttling", FailureClass.RATE_LIMITED, 1.0),
    ("isp.", FailureClass.RETRYABLE, 0.0),
    ("ServiceUnavailable", FailureClass.RETRYABLE, 0.0),
    ("InternalError", FailureClass.RETRYABLE, 0.0),
    ("SignatureDoesNotMatch", FailureClass.PERMANENT_SOURCE, 0.0),
    ("InvalidAccessKeyId", FailureClass.PERMANENT_SOURCE, 0.0),
    ("InvalidTimeStamp", FailureClass.PERMANENT_SOURCE, 0.0),
    ("isv.AMOUNT_NOT_ENOUGH", FailureClass.PERMANENT_SOURCE, 0.0),
    ("isv.OUT_OF_SERVICE", FailureClass.PERMANENT_SOURCE, 0.0),
    ("isv.ACCOUNT", FailureClass.PERMANENT_SOURCE, 0.0),
    ("isv.SMS_SIGNATURE", FailureClass.PERMANENT_SOURCE, 0.0),
    ("isv.SMS_TEMPLATE", FailureClass.PERMANENT_SOURCE, 0.0),
    ("isv.", FailureClass.PERMANENT_API, 0.0),
    ("Missing", FailureClass.PERMANENT_API, 0.0),
    ("Invalid", FailureClass.PERMANENT_API, 0.0),
)
"""How a code begins, what it means, and the seconds after which another call may succeed."""


class AliyunSms(Adapter):
    """An account of Aliyun SMS."""

    kind, provider, address = "sms", "aliyun", "https://dysmsapi.aliyuncs.com"
    needs = ("key_id", "key_secret", "sign_name")

    def send_sms(self, phones: Sequence[str], template_id: str, parameters: Mapping[str, str] | None = None) -> Result:
        """Queues a template's text for numbers; data: number -> the batch's id, which `query_sms_status` asks by."""
        asked = {
            "PhoneNumbers": ",".join(phones),
            "SignName": self.key("sign_name"),
            "TemplateCode": template_id,
            "TemplateParam": json.dumps(dict(parameters or {}), ensure_ascii=False),
        }
        result = self.call("SendSms", "POST", "/", params=asked)
        if not result.success:
            return result
        return done(dict.fromkeys(phones, str(result.data.get("BizId"))), result.raw)

    def query_sms_status(self, phone: str, batch: str) -> Result:
        """What became of a text queued today: data is (SUCCESS, FAIL or WAITING, the operator's code)."""
        asked = {
            "PhoneNumber": phone,
            "BizId": batch,
            "SendDate": f"{clock.now():%Y%m%d}",
            "PageSize": "10",
            "CurrentPage": "1",
        }
        result = self.call("QuerySendDetails", "POST", "/", repeatable=True, params=asked)
        if not result.success:
            return result
        details = (result.data.get("SmsSendDetailDTOs") or {}).get("SmsSendDetailDTO") or []
        first = details[0] if details else {}
        return done((_STATES.get(first.get("SendStatus", 1), "WAITING"), str(first.get("ErrCode") or "")), result.raw)

    def before_request(self, call: Call) -> Call:
        parameters = call.asked["params"]
        headers = aliyun_signature.headers(
            key_id=self.key("key_id"),
            key_secret=self.key("key_secret"),
            host=urlsplit(call.url).netloc,
            action=call.api,
            version=_VERSION,
            parameters=parameters,
            nonce=secrets.token_hex(16),
            now=clock.now(),
        )
        return replace(call, url=f"{call.url}?{aliyun_signature.query_of(parameters)}", asked={"headers": headers})

    def judge(self, answered: Answered) -> Result | None:
        if not isinstance(answered.json, dict) or "Code" not in answered.json:
            return None
        code, text = str(answered.json["Code"]), str(answered.json.get("Message") or "")
        if code == _OK:
            return done(answered.json, answered.json)
        for beginning, failure, wait in _FAILURES:
            if code.startswith(beginning):
                return refused(code, text, failure, raw=answered.json, wait=wait)
        return refused(code, text, FailureClass.RETRYABLE, raw=answered.json, unfamiliar=True)
