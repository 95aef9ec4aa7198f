"""Bark (https://bark.day.app): to an iPhone, over the public server or one of one's own."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from pydantic import Field, SecretStr

from quant_pipeline.notify.channels import rendering
from quant_pipeline.notify.channels.contract import Limits
from quant_pipeline.notify.channels.http_channel import ChannelSettings, ServiceChannel, secret
from quant_pipeline.notify.messages import Message
from quant_pipeline.services.client import Answered, by_code
from quant_pipeline.services.result import Result, done
from quant_pipeline.sources.failures import FailureClass

_WORDS: tuple[tuple[str, FailureClass, float], ...] = (
    ("device token|device key", FailureClass.PERMANENT_SOURCE, 0.0),
    ("TooManyRequests", FailureClass.RATE_LIMITED, 60.0),
    ("PayloadTooLarge|body is empty", FailureClass.PERMANENT_API, 0.0),
)


class Settings(ChannelSettings):
    key: SecretStr = Field(description="The device's key: the part of the app's address after the host")
    group: str = "quant_pipeline"
    level: Literal["active", "timeSensitive", "passive", "critical"] = "active"


class Bark(ServiceChannel):
    """A phone: plain text, 4 KB with Apple's own share of it."""

    kind = "bark"
    settings_type = Settings
    address = "https://api.day.app"
    limits = Limits(longest_bytes=3_000)
    dialect = rendering.Plain()

    def handed_over(self, message: Message) -> Result:
        body = {
            "device_key": secret(self.settings.key),
            "title": message.title,
            "body": message.content,
            "group": self.settings.group,
            "level": self.settings.level,
        }
        return self.client.call("send", "POST", "/push", _verdict, json=body)


def _verdict(answered: Answered) -> Result | None:
    judged = by_code(answered, "code", "message", {}, success=frozenset({"200"}))
    if judged is None:
        return None
    if judged.success:
        return done(None, answered.json)
    for words, failure, wait in _WORDS:
        if re.search(words, judged.error_message):
            return replace(judged, failure=failure, wait=wait, unfamiliar=False)
    return judged


CHANNEL = Bark
