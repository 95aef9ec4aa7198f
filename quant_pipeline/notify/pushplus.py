"""The PushPlus client (WeChat messages). Source: the vendor's documented HTTP interface, www.pushplus.plus."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import requests

REAL_URL = "https://www.pushplus.plus"
LONGEST_CONTENT = 20_000
LONGEST_TITLE = 100
_TIME_OUTS = (5.0, 20.0)
_CUT = "\n\n……（内容过长，已截断 · cut here）"
_OK, _UNAUTHORISED, _SYSTEM, _LIMITED, _BAD_TOKEN, _INVALID = 200, 401, 500, 900, 903, 999
_TOO_FAST = ("频繁", "最多发送", "相同内容")
"""Words in the text of a 999 that means the pace, not the message (users' reports: 5 a minute, the same 3 an hour)."""
_MARGIN = 300.0
"""Seconds before its end from which an access key is not used any more."""


class PushPlusError(Exception):
    """A call that PushPlus did not carry out. The text is for a person and holds neither token nor key."""


class Retryable(PushPlusError):
    """The net, a gateway, a passing fault or the pace: the same call may succeed later."""


class Limited(PushPlusError):
    """Code 900: the account may not send for the rest of the day; going on makes the ban longer."""


class Rejected(PushPlusError):
    """PushPlus will not take this message (rights, points, real name …)."""


class BadToken(Rejected):
    """Codes 401 and 903: token, secret key or access key are not known to PushPlus."""


class Invalid(Rejected):
    """Code 999: the message itself breaks a rule of PushPlus."""


class State(IntEnum):
    """What became of an accepted message, in PushPlus's numbers."""

    UNSENT = 0
    SENDING = 1
    SENT = 2
    FAILED = 3


@dataclass(frozen=True)
class Delivery:
    """The delivery of a message; `error` says why it failed."""

    state: State
    error: str = ""


class PushPlus:
    """A client for one account. PushPlus is asynchronous: `send` says that a message was accepted, `delivery` the rest."""

    def __init__(self, token: str, url: str | None = None, *, secret_key: str | None = None) -> None:
        """`url`: None is the real service. `secret_key`: opens the interface that tells what became of a message."""
        self._token = token
        self._url = (url or REAL_URL).rstrip("/")
        self._secret_key = secret_key
        self._access_key: str | None = None
        self._access_key_ends = 0.0

    @property
    def tells_delivery(self) -> bool:
        """Whether `delivery` can be asked: it needs the account's secret key."""
        return self._secret_key is not None

    def send(self, title: str, content: str, template: str) -> str:
        """Hands a message over; gives its receipt (short code). PushPlusError's classes say what to do when it fails.

        Title and content are cut to what PushPlus takes (100 and 20,000 characters). `template`: html, markdown or txt.
        """
        if len(content) > LONGEST_CONTENT:
            content = content[: LONGEST_CONTENT - len(_CUT)] + _CUT
        message = {"token": self._token, "title": title[:LONGEST_TITLE], "content": content, "template": template}
        return str(self._call("POST", "/send", json=message))

    def delivery(self, short_code: str) -> Delivery:
        """What became of an accepted message. BadToken when there is no secret key, or not the right one."""
        try:
            answer = self._ask(short_code)
        except BadToken:  # another process asked for a newer key, which ended ours
            self._access_key = None
            answer = self._ask(short_code)
        try:
            return Delivery(State(answer["status"]), self._without_secrets(answer.get("errorMessage") or ""))
        except (TypeError, KeyError, ValueError):
            raise Retryable("PushPlus: the delivery's answer cannot be read") from None

    def _ask(self, short_code: str) -> Any:
        headers = {"access-key": self._key()}
        return self._call("GET", "/api/open/message/sendMessageResult", params={"shortCode": short_code}, headers=headers)

    def _key(self) -> str:
        if self._secret_key is None:
            raise BadToken("PushPlus: without PUSHPLUS_SECRET_KEY it does not tell what became of a message")
        if self._access_key is None or time.monotonic() > self._access_key_ends:
            credentials = {"token": self._token, "secretKey": self._secret_key}
            granted = self._call("POST", "/api/common/openApi/getAccessKey", json=credentials)
            try:
                self._access_key = str(granted["accessKey"])
                self._access_key_ends = time.monotonic() + float(granted["expiresIn"]) - _MARGIN
            except (TypeError, KeyError, ValueError):
                raise Retryable("PushPlus: the answer with the access key cannot be read") from None
        return self._access_key

    def _call(self, method: str, path: str, **request: Any) -> Any:
        """The answer's `data`; anything but code 200 raises."""
        try:
            answer = requests.request(method, self._url + path, timeout=_TIME_OUTS, **request)
        except requests.RequestException as error:
            raise Retryable(self._without_secrets(f"PushPlus cannot be reached: {type(error).__name__}: {error}")) from None
        try:
            body = answer.json()
            code, text = int(body["code"]), str(body.get("msg") or "")
        except (ValueError, TypeError, KeyError):
            raise Retryable(f"PushPlus answered with HTTP {answer.status_code} and no JSON of its own") from None
        if code != _OK:
            raise _refusal(code, self._without_secrets(text))
        return body.get("data")

    def _without_secrets(self, text: str) -> str:
        for secret in (self._token, self._secret_key, self._access_key):
            if secret:
                text = text.replace(secret, "***")
        return text


def _refusal(code: int, text: str) -> PushPlusError:
    told = f"PushPlus {code}: {text}"
    if code == _LIMITED:
        return Limited(told)
    if code == _SYSTEM or (code == _INVALID and any(word in text for word in _TOO_FAST)):
        return Retryable(told)
    if code in (_UNAUTHORISED, _BAD_TOKEN):
        return BadToken(told)
    return Invalid(told) if code == _INVALID else Rejected(told)
