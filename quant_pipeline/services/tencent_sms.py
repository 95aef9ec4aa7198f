"""Tencent Cloud SMS (https://cloud.tencent.com/document/product/382/55981): what is taken is queued, not yet sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from quant_pipeline.language import marked
from quant_pipeline.market import clock
from quant_pipeline.services import tencent_signature
from quant_pipeline.services.adapter import Adapter
from quant_pipeline.services.client import Answered, Call
from quant_pipeline.services.result import Result, done, refused
from quant_pipeline.sources.failures import FailureClass

_VERSION = "2021-01-11"
_OK = "Ok"
_DAY = 86_400
_PAGE = 100
_FAILURES: tuple[tuple[str, FailureClass, float], ...] = (
    ("LimitExceeded.PhoneNumberThirtySecondLimit", FailureClass.RATE_LIMITED, 30.0),
    ("LimitExceeded.PhoneNumberOneHourLimit", FailureClass.RATE_LIMITED, 3_600.0),
    ("LimitExceeded", FailureClass.RATE_LIMITED, 3_600.0),
    ("RequestLimitExceeded", FailureClass.RATE_LIMITED, 1.0),
    ("InternalError", FailureClass.RETRYABLE, 0.0),
    ("AuthFailure", FailureClass.PERMANENT_SOURCE, 0.0),
    ("UnauthorizedOperation", FailureClass.PERMANENT_SOURCE, 0.0),
    ("FailedOperation.InsufficientBalance", FailureClass.PERMANENT_SOURCE, 0.0),
    ("FailedOperation.Signature", FailureClass.PERMANENT_SOURCE, 0.0),
    ("FailedOperation.Template", FailureClass.PERMANENT_SOURCE, 0.0),
    ("FailedOperation", FailureClass.PERMANENT_API, 0.0),
    ("InvalidParameter", FailureClass.PERMANENT_API, 0.0),
    ("MissingParameter", FailureClass.PERMANENT_API, 0.0),
    ("UnsupportedOperation", FailureClass.PERMANENT_API, 0.0),
)
"""How a code begins, what it means, and the seconds after which another call may succeed."""


class TencentSms(Adapter):
    """An application of Tencent Cloud SMS. The signature's name is required for numbers of mainland China."""

    kind, provider, address = "sms", "tencent", "https://sms.tencentcloudapi.com"
    needs = ("secret_id", "secret_key", "app_id", "sign_name")
    takes = ("region",)

    def send_sms(self, phones: Sequence[str], template_id: str, parameters: Sequence[str] = ()) -> Result:
        """Queues a template's text for numbers (+8613…); data: number -> its serial, which `query_sms_status` asks by.

        Of several numbers one may be refused: its refusal is the result, unless another was taken.
        """
        asked = {
            "PhoneNumberSet": list(phones),
            "SmsSdkAppId": self.key("app_id"),
            "SignName": self.key("sign_name"),
            "TemplateId": template_id,
            "TemplateParamSet": list(parameters),
        }
        result = self.call("SendSms", "POST", "/", json=asked)
        if not result.success:
            return result
        statuses = result.data.get("SendStatusSet") or []
        taken = {str(each.get("PhoneNumber")): str(each.get("SerialNo")) for each in statuses if each.get("Code") == _OK}
        if taken:
            return done(taken, result.raw)
        first = statuses[0] if statuses else {"Code": "none", "Message": marked("the answer names no number")}
        return _refusal(str(first.get("Code")), str(first.get("Message")), result.raw)

    def query_sms_status(self, phone: str, serial: str) -> Result:
        """What became of a queued text of the last day: data is (SUCCESS, FAIL or WAITING, the operator's words)."""
        asked = {
            "BeginTime": int(clock.now().timestamp()) - _DAY,
            "Offset": 0,
            "Limit": _PAGE,
            "PhoneNumber": phone,
            "SmsSdkAppId": self.key("app_id"),
        }
        result = self.call("PullSmsSendStatusByPhoneNumber", "POST", "/", repeatable=True, json=asked)
        if not result.success:
            return result
        for each in result.data.get("PullSmsSendStatusSet") or []:
            if each.get("SerialNo") == serial:
                return done((str(each.get("ReportStatus")), str(each.get("Description") or "")), result.raw)
        return done(("WAITING", ""), result.raw)

    def before_request(self, call: Call) -> Call:
        body = json.dumps(call.asked["json"], ensure_ascii=False).encode()
        headers = tencent_signature.headers(
            secret_id=self.key("secret_id"),
            secret_key=self.key("secret_key"),
            service="sms",
            host=urlsplit(call.url).netloc,
            action=call.api,
            version=_VERSION,
            region=self.setup.options.get("region", "ap-guangzhou"),
            body=body,
            now=clock.now(),
        )
        return replace(call, asked={"data": body, "headers": headers})

    def judge(self, answered: Answered) -> Result | None:
        response = answered.json.get("Response") if isinstance(answered.json, dict) else None
        if not isinstance(response, Mapping):
            return None
        if error := response.get("Error"):
            return _refusal(str(error.get("Code")), str(error.get("Message")), answered.json)
        return done(dict(response), answered.json)


def _refusal(code: str, text: str, raw: object) -> Result:
    for beginning, failure, wait in _FAILURES:
        if code.startswith(beginning):
            return refused(code, text, failure, raw=raw, wait=wait)
    return refused(code, text, FailureClass.RETRYABLE, raw=raw, unfamiliar=True)
