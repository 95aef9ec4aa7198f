"""A program of the user's: a signed POST. It follows no redirect, and goes to no private address unless allowed.

The signature is `X-Signature: t=SECONDS,v1=HEX`: HMAC-SHA256 of `SECONDS.BODY` with the secret. A receiver compares it, and
refuses what is older than some minutes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import Any

from pydantic import Field, SecretStr, field_validator

from quant_pipeline.language import say
from quant_pipeline.market import clock
from quant_pipeline.notify.channels import rendering
from quant_pipeline.notify.channels.contract import Limits
from quant_pipeline.notify.channels.http_channel import ChannelSettings, ServiceChannel, secret
from quant_pipeline.notify.messages import Message
from quant_pipeline.services.client import Answered
from quant_pipeline.services.result import Result, done, refused
from quant_pipeline.sources.failures import FailureClass

_OK = 2
_REFUSALS = {
    400: FailureClass.PERMANENT_API,
    401: FailureClass.PERMANENT_SOURCE,
    403: FailureClass.PERMANENT_SOURCE,
    404: FailureClass.PERMANENT_SOURCE,
    410: FailureClass.PERMANENT_SOURCE,
    413: FailureClass.PERMANENT_API,
    422: FailureClass.PERMANENT_API,
}
_PLACES = ("title", "content", "html", "text")
_PLACE = re.compile(r"\{(" + "|".join(_PLACES) + r")\}")


def signature(secret: str, moment: int, body: bytes) -> str:
    """The header of a body sent at that moment (seconds)."""
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


class Settings(ChannelSettings):
    url: str = Field(pattern=r"^https?://", description="Where it is sent", repr=False)
    secret: SecretStr | None = Field(None, description="With which the body is signed")
    token: SecretStr | None = Field(None, description="Sent as Authorization: Bearer TOKEN")
    allow_private: bool = Field(False, description="Whether the address may be one of your own network")
    body: dict[str, Any] = Field(
        {"title": "{title}", "content": "{content}"},
        description="The JSON; {title}, {content} (markdown), {html} and {text} are filled in",
    )

    @field_validator("body")
    @classmethod
    def _tells_something(cls, body: dict[str, Any]) -> dict[str, Any]:
        if not any(f"{{{place}}}" in json.dumps(body, ensure_ascii=False) for place in _PLACES):
            raise ValueError(say("it holds none of {places}", places=", ".join(f"{{{place}}}" for place in _PLACES)))
        return body


class Webhook(ServiceChannel):
    """An address of the user's. What answers with 2xx has it."""

    kind = "webhook"
    settings_type = Settings
    limits = Limits()
    dialect = rendering.FullMarkdown()
    public = True

    def handed_over(self, message: Message) -> Result:
        known = {
            "title": message.title,
            "content": message.content,
            "html": rendering.as_html(message),
            "text": "\n".join(rendering.rendered(message, rendering.Plain())),
        }
        body = json.dumps(_filled(self.settings.body, known), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if self.settings.secret is not None:
            moment = int(clock.now().timestamp())
            headers["X-Signature"] = signature(secret(self.settings.secret), moment, body)
        if self.settings.token is not None:
            headers["Authorization"] = f"Bearer {secret(self.settings.token)}"
        return self.client.call("send", "POST", "", _verdict, data=body, headers=headers)


def _filled(value: Any, known: dict[str, str]) -> Any:
    match value:
        case dict():
            return {name: _filled(inner, known) for name, inner in value.items()}
        case list():
            return [_filled(inner, known) for inner in value]
        case str():
            return _PLACE.sub(lambda found: known[found[1]], value)  # in one pass: what is filled in is not looked at again
    return value


def _verdict(answered: Answered) -> Result | None:
    if answered.status // 100 == _OK:
        return done(None, answered.text)
    failure = _REFUSALS.get(answered.status)
    return None if failure is None else refused(answered.status, answered.text, failure)


CHANNEL = Webhook
