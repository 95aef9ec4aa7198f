"""Cookies as people bring them (a header, a mapping, a browser's export), and what they tell without a call."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from quant_pipeline.language import marked, told
from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.ths.errors import Failure, ThsError

NEEDED = ("userid", "ticket")
_DROPPED = ("v",)
"""Of a browser's own page view: it means nothing elsewhere."""
_FORMS = marked(
    "paste the Cookie header of a logged-in page (name=value; name=value), a JSON object of names and values, or a browser "
    "extension's JSON list"
)


def read(text: str) -> dict[str, str]:
    """The cookies in a header's text, a JSON object, or the JSON list of a browser's extension.

    ThsError (refused) where it is none of these, or lacks `userid` or `ticket`; nothing of it stands in the text.
    """
    found = {name: value for name, value in _found(text.strip()).items() if name not in _DROPPED and value}
    if lacking := [name for name in NEEDED if name not in found]:
        what = ", ".join(lacking)
        raise ThsError(
            Failure.REFUSED,
            told("the cookies lack {what}: log in at www.10jqka.com.cn, then {forms}", what=what, forms=_FORMS),
        )
    return found


def _found(text: str) -> dict[str, str]:
    if not text.startswith(("[", "{")):
        return _of_header(text)
    try:
        written = json.loads(text)
    except json.JSONDecodeError:
        raise ThsError(Failure.REFUSED, told("the cookies begin like JSON and are none: {forms}", forms=_FORMS)) from None
    if isinstance(written, dict):
        return {str(name): str(value) for name, value in written.items() if isinstance(value, str | int)}
    listed = [each for each in written if isinstance(each, dict) and "name" in each and "value" in each]
    return {str(each["name"]): str(each["value"]) for each in listed}


def _of_header(text: str) -> dict[str, str]:
    head, colon, tail = text.partition(":")
    if colon and head.strip().lower() == "cookie":
        text = tail
    pairs = (each.partition("=") for each in text.replace("\n", " ").split(";"))
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def expiry(cookies: Mapping[str, str]) -> dt.datetime | None:
    """Until when they hold, as `sess_tk` (a JWT) says; None where it does not."""
    parts = cookies.get("sess_tk", "").split(".")
    if len(parts) != 3:
        return None
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return dt.datetime.fromtimestamp(int(claims["exp"]), EXCHANGE_ZONE)
    except (ValueError, TypeError, KeyError, OverflowError, OSError, binascii.Error):
        return None


def nickname(cookies: Mapping[str, str]) -> str:
    """The account's name as the cookies have it; "" where they do not."""
    return unquote(cookies.get("escapename") or cookies.get("u_name") or "")
