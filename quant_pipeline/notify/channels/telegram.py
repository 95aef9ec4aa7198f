"""Telegram bot (https://core.telegram.org/bots/api#sendmessage). From mainland China it needs a `proxy`."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr

from quant_pipeline.notify.channels import rendering
from quant_pipeline.notify.channels.contract import Limits
from quant_pipeline.notify.channels.http_channel import ChannelSettings, ServiceChannel, secret
from quant_pipeline.notify.messages import Message
from quant_pipeline.services.client import Answered
from quant_pipeline.services.result import Result, done, refused, seconds
from quant_pipeline.sources.failures import FailureClass

_CODES = {
    400: FailureClass.PERMANENT_API,
    401: FailureClass.PERMANENT_SOURCE,
    403: FailureClass.PERMANENT_SOURCE,
    404: FailureClass.PERMANENT_SOURCE,
    429: FailureClass.RATE_LIMITED,
}
_SERVERS_FAULT = 500


class Settings(ChannelSettings):
    token: SecretStr = Field(description="The bot's token")
    chat: str = Field(description="The chat's id: a number, or @channel")


class Telegram(ServiceChannel):
    """A chat: one message a second, twenty a minute, 4,096 characters."""

    kind = "telegram"
    settings_type = Settings
    address = "https://api.telegram.org"
    limits = Limits(a_minute=20, a_second=1, longest_characters=4_000)
    """A few less than the vendor's 4,096: he counts some characters twice."""
    dialect = rendering.TelegramHtml()

    def dressed(self, title: str, content: str) -> str:
        return f"{self.dialect.heading(self.dialect.text(title))}\n{content}"

    def handed_over(self, message: Message) -> Result:
        body: dict[str, Any] = {"chat_id": self.settings.chat, "text": self.dressed(message.title, message.content)}
        body |= {"parse_mode": "HTML", "link_preview_options": {"is_disabled": True}}
        return self.client.call("send", "POST", f"/bot{secret(self.settings.token)}/sendMessage", _verdict, json=body)


def _verdict(answered: Answered) -> Result | None:
    said = answered.json
    if not isinstance(said, dict) or "ok" not in said:
        return None
    if said["ok"] is True:
        return done((said.get("result") or {}).get("message_id"), said)
    code = int(said.get("error_code") or 0)
    failure = _CODES.get(code)
    wait = seconds((said.get("parameters") or {}).get("retry_after"))
    return refused(
        code,
        str(said.get("description") or ""),
        failure or FailureClass.RETRYABLE,
        raw=said,
        wait=wait,
        unfamiliar=failure is None and code < _SERVERS_FAULT,
    )


CHANNEL = Telegram
