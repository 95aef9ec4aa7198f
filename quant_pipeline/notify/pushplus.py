"""PushPlus over HTTP (https://www.pushplus.plus/doc/): send a message, ask what became of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from quant_pipeline.language import marked, told
from quant_pipeline.notify.messages import Message, one_line

URL = "https://www.pushplus.plus"
LONGEST_CONTENT = 20_000
LONGEST_TITLE = 100
_CUT = "\n\n…（内容过长，已截断 cut）"
_LARGEST = 2**20
"""Bytes of an answer: a true one has some hundred."""
_TIMEOUT = 15.0
"""Seconds for the whole answer."""
_QUESTION_TIMEOUT = 5.0
"""The same for questions, which can be asked again later."""
_OK, _UNAUTHORISED, _NOT_THERE = 200, 401, 600


class SendFailure(StrEnum):
    """What a failure means for the message."""

    RETRYABLE = "retryable"
    LIMITED_FOR_THE_DAY = "limited_for_the_day"
    """Nothing more is to be sent today: who goes on is blocked for longer (code 900)."""
    PERMANENT = "permanent"
    """It would be refused again."""


REFUSALS: tuple[tuple[frozenset[int], str, SendFailure], ...] = (
    # the limits per minute and per hour come as validation errors; only their texts tell them apart
    (frozenset({302, 401, 403, 600, 805, 888, 903, 905, 999}), "频繁|最多发送", SendFailure.RETRYABLE),
    (frozenset({900}), "", SendFailure.LIMITED_FOR_THE_DAY),
    (frozenset({302, 401, 403, 600, 805, 888, 903, 905, 999}), "", SendFailure.PERMANENT),
    (frozenset({500}), "", SendFailure.RETRYABLE),
)
"""PushPlus's codes, what their text says, and what it means; the first that fits."""


class PushPlusError(RuntimeError):
    """PushPlus refused, or did not answer; `code` is its own when it answered. The text never holds a secret.

    `unknown`: it refused with a code that REFUSALS does not have.
    """

    def __init__(self, failure: SendFailure, text: str, code: int | None = None, *, unknown: bool = False) -> None:
        super().__init__(text)
        self.failure = failure
        self.code = code
        self.unknown = unknown


class Delivery(StrEnum):
    """Where an accepted message is."""

    UNKNOWN = "unknown"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True)
class DeliveryState:
    """What became of an accepted message; `error` is PushPlus's reason when it failed or is unknown."""

    delivery: Delivery
    error: str = ""


_DELIVERIES = {"1": Delivery.SENDING, "2": Delivery.DELIVERED, "3": Delivery.FAILED}


class PushPlus:
    """A user's PushPlus account. Without `secret_key` it can send, but not ask (`can_ask`)."""

    def __init__(self, token: str, url: str | None = None, secret_key: str | None = None) -> None:
        """`url` None: the real service; else a server that speaks its protocol, such as the sandbox's."""
        self._token = token
        self._url = (url or URL).rstrip("/")
        self._secret_key = secret_key
        self._access_key: str | None = None

    @property
    def can_ask(self) -> bool:
        """PushPlus answers `result` only to those who have the account's secret key."""
        return self._secret_key is not None

    def send(self, message: Message) -> str:
        """Hands the message over and returns its receipt (short code): accepted, not yet delivered. PushPlusError."""
        content = message.content
        if len(content) > LONGEST_CONTENT:
            content = content[: LONGEST_CONTENT - len(_CUT)] + _CUT
        body = {"token": self._token, "title": message.title[:LONGEST_TITLE], "content": content, "template": message.template}
        return str(self._call("POST", "/send", _TIMEOUT, json=body))

    def result(self, short_code: str) -> DeliveryState:
        """What became of an accepted message. PushPlusError when PushPlus cannot be asked."""
        try:
            data = self._question(short_code)
        except PushPlusError as error:
            if error.code != _NOT_THERE:
                raise
            return DeliveryState(Delivery.UNKNOWN, str(error))
        delivery = _DELIVERIES.get(str(data.get("status")), Delivery.UNKNOWN)
        return DeliveryState(delivery, self._scrubbed(str(data.get("errorMessage") or "")))

    def _question(self, short_code: str) -> dict[str, Any]:
        held = self._access_key
        try:
            return self._asked(short_code, held or self._new_access_key())
        except PushPlusError as error:
            if error.code != _UNAUTHORISED or held is None:
                raise
        # A key ends after two hours, and when another process gets one.
        return self._asked(short_code, self._new_access_key())

    def _asked(self, short_code: str, access_key: str) -> dict[str, Any]:
        path, asked = "/api/open/message/sendMessageResult", {"shortCode": short_code}
        return _mapping(self._call("GET", path, _QUESTION_TIMEOUT, params=asked, headers={"access-key": access_key}))

    def _new_access_key(self) -> str:
        credentials = {"token": self._token, "secretKey": self._secret_key}
        granted = self._call("POST", "/api/common/openApi/getAccessKey", _QUESTION_TIMEOUT, json=credentials)
        self._access_key = str(_mapping(granted).get("accessKey"))
        return self._access_key

    def _call(self, method: str, path: str, timeout: float, **request: Any) -> Any:
        """The `data` of PushPlus's answer."""
        import requests

        from quant_pipeline.sources import bounded_http

        try:
            answer = bounded_http.request(method, self._url + path, timeout=timeout, largest=_LARGEST, **request)
        except requests.RequestException as error:
            words = bounded_http.fault_in_words(error)
            raise PushPlusError(SendFailure.RETRYABLE, told("PushPlus gave no answer: {why}", why=words)) from None
        if answer.status_code != _OK:
            raise PushPlusError(
                SendFailure.RETRYABLE, told("PushPlus answered with HTTP status {status}", status=answer.status_code)
            )
        try:
            content = answer.json()
            code, text = int(content["code"]), str(content.get("msg") or "")
        except (ValueError, TypeError, KeyError):
            raise PushPlusError(SendFailure.RETRYABLE, marked("PushPlus's answer is not one of its protocol")) from None
        if code != _OK:
            known = next((means for codes, words, means in REFUSALS if code in codes and re.search(words, text)), None)
            failure = known or SendFailure.RETRYABLE
            raise PushPlusError(failure, f"{code} {self._scrubbed(text)}", code, unknown=known is None)
        return content.get("data")

    def _scrubbed(self, text: str) -> str:
        for secret in (self._token, self._secret_key, self._access_key):
            if secret:
                text = text.replace(secret, "***")
        return one_line(text)


def _mapping(data: Any) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}
