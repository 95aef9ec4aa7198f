"""PushPlus over HTTP (https://www.pushplus.plus/doc/): send a message, ask what became of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

from quant_pipeline.language import marked, told
from quant_pipeline.notify.channels.contract import Accepted, Answer, Delivery, DeliveryState, Limits, Refused, Unknown
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


_DELIVERIES = {"1": DeliveryState.SENDING, "2": DeliveryState.DELIVERED, "3": DeliveryState.FAILED}


class PushPlus:
    """A user's PushPlus account. Without `secret_key` it can send, but not ask (`polls`)."""

    kind = "pushplus"
    limits = Limits(a_minute=5, a_day=200, longest_characters=LONGEST_CONTENT)
    formats: Sequence[str] = ("markdown", "html", "txt")

    def __init__(self, token: str, url: str | None = None, secret_key: str | None = None, *, name: str = "pushplus") -> None:
        """`url` None: the real service; else a server that speaks its protocol, such as the sandbox's."""
        self.name = self.account = name
        self._token = token
        self._url = (url or URL).rstrip("/")
        self._secret_key = secret_key
        self._access_key: str | None = None

    @property
    def polls(self) -> bool:
        """PushPlus answers `poll` only to those who have the account's secret key."""
        return self._secret_key is not None

    def parts(self, message: Message) -> Sequence[Message]:
        """One: what is too long is cut, and says so."""
        content = message.content
        if len(content) > LONGEST_CONTENT:
            content = content[: LONGEST_CONTENT - len(_CUT)] + _CUT
        return (replace(message, title=message.title[:LONGEST_TITLE], content=content),)

    def send(self, message: Message) -> Answer:
        """Hands the message over; the receipt is PushPlus's short code."""
        body = {"token": self._token, "title": message.title, "content": message.content, "template": message.template}
        try:
            return Accepted(str(self._call("POST", "/send", _TIMEOUT, json=body)))
        except PushPlusError as error:
            if error.code is None:
                return Unknown(str(error))
            return Refused(
                str(error.code),
                str(error),
                retryable=error.failure is not SendFailure.PERMANENT,
                for_the_day=error.failure is SendFailure.LIMITED_FOR_THE_DAY,
                unfamiliar=error.unknown,
            )

    def poll(self, receipt: str) -> Delivery:
        """What became of an accepted message."""
        try:
            data = self._question(receipt)
        except PushPlusError as error:
            return Delivery(DeliveryState.UNKNOWN, str(error), reached=error.code == _NOT_THERE)
        state = _DELIVERIES.get(str(data.get("status")), DeliveryState.UNKNOWN)
        return Delivery(state, self._scrubbed(str(data.get("errorMessage") or "")))

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
