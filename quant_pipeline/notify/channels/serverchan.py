"""Server酱 Turbo and SC3 (https://sct.ftqq.com, https://sc3.ft07.com): to WeChat, or to its own app."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr

from quant_pipeline.notify.channels import rendering
from quant_pipeline.notify.channels.contract import Delivery, DeliveryState, Limits
from quant_pipeline.notify.channels.http_channel import ChannelSettings, ServiceChannel, secret
from quant_pipeline.notify.messages import Message
from quant_pipeline.services.client import Answered, by_code
from quant_pipeline.services.result import Result, done
from quant_pipeline.sources.failures import FailureClass
from quant_pipeline.sources.refusals import Window, seconds_until_next

if TYPE_CHECKING:
    from quant_pipeline.sources.limiter import Limiter

_SC3 = re.compile(r"sctp(\d+)t")
_WORDS: tuple[tuple[str, FailureClass], ...] = (
    ("次数限制|频率|频繁", FailureClass.RATE_LIMITED),
    (r"\[AUTH\]", FailureClass.PERMANENT_SOURCE),
    (r"\[INPUT\]", FailureClass.PERMANENT_API),
)
"""Its codes are the same for many things: the words tell them apart."""
_BETWEEN = ":"


class Settings(ChannelSettings):
    key: SecretStr = Field(description="The SendKey (SCT…, or sctp… of SC3)")
    channel: str = Field("", description="Its own way to you: 9, 66 …, more than one by |")


class ServerChan(ServiceChannel):
    """An account of Server酱. Free ones have five messages a day."""

    kind = "serverchan"
    settings_type = Settings
    limits = Limits(a_minute=5, a_day=5, longest_bytes=32_000)
    longest_title = 22
    """32 with the number of a part."""
    dialect = rendering.FullMarkdown()
    polls = True

    def __init__(self, name: str, settings: Settings, limiter: Limiter | None = None) -> None:
        super().__init__(name, settings, limiter)
        newer = _SC3.match(secret(settings.key))
        if settings.url is None:
            self.client.address = f"https://{newer[1]}.push.ft07.com" if newer else "https://sctapi.ftqq.com"
        self.polls = newer is None

    def dressed(self, _title: str, content: str) -> str:
        return content

    def handed_over(self, message: Message) -> Result:
        form = {"title": message.title, "desp": message.content}
        if self.settings.channel:
            form["channel"] = self.settings.channel
        key = secret(self.settings.key)
        path = f"/{key}.send" if self.polls else f"/send/{key}.send"
        return self.client.call("send", "POST", path, _verdict, data=form)

    def poll(self, receipt: str) -> Delivery:
        number, _, key = receipt.partition(_BETWEEN)
        asked = {"id": number, "readkey": key}
        result = self.client.call("poll", "GET", "/push", _state, repeatable=True, timeout=5.0, params=asked)
        if not result.success:
            return Delivery(DeliveryState.UNKNOWN, result.error_message, reached=result.answered)
        state, reason = result.data
        return Delivery(state, reason)


def _verdict(answered: Answered) -> Result | None:
    judged = by_code(answered, "code", "message", {}, success=frozenset({"0"}))
    if judged is None:
        return None
    if judged.success:
        data = answered.json.get("data") or {}
        number, key = data.get("pushid"), data.get("readkey")
        return done(f"{number}{_BETWEEN}{key}" if number and key else None, answered.json)
    for words, failure in _WORDS:
        if re.search(words, judged.error_message):
            wait = seconds_until_next(Window.DAY) if failure is FailureClass.RATE_LIMITED else 0.0
            return replace(judged, failure=failure, wait=wait, for_the_day=wait > 0, unfamiliar=False)
    return judged


def _state(answered: Answered) -> Result | None:
    judged = by_code(answered, "code", "message", {}, success=frozenset({"0"}))
    if judged is None or not judged.success:
        return judged
    try:
        told = json.loads((answered.json.get("data") or {}).get("wxstatus") or "null")
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return done((DeliveryState.SENDING, ""))
    if told.get("errcode") == 0:
        return done((DeliveryState.DELIVERED, ""))
    return done((DeliveryState.FAILED, f"{told.get('errcode')} {told.get('errmsg')}"))


CHANNEL = ServerChan
