"""Feishu or Lark custom robot 飞书自定义机器人 (https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot).

Its signature is DingTalk's with key and message exchanged, of seconds, and stands in the body. Its vendor advises against the
full and the half hour, when everybody's robots speak.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import Any

from pydantic import Field, SecretStr

from quant_pipeline.market import clock
from quant_pipeline.notify.channels import rendering
from quant_pipeline.notify.channels.contract import Limits
from quant_pipeline.notify.channels.http_channel import ChannelSettings, ServiceChannel, secret
from quant_pipeline.notify.messages import Message
from quant_pipeline.services.client import Answered, by_code
from quant_pipeline.services.result import Result
from quant_pipeline.sources.failures import FailureClass

CODES = {
    "11232": FailureClass.RATE_LIMITED,
    "11233": FailureClass.RATE_LIMITED,
    "19001": FailureClass.PERMANENT_SOURCE,
    "19002": FailureClass.PERMANENT_API,
    "19021": FailureClass.PERMANENT_SOURCE,
    "19022": FailureClass.PERMANENT_SOURCE,
    "19024": FailureClass.PERMANENT_SOURCE,
    "9499": FailureClass.PERMANENT_API,
}
_WAITS = {"11232": 60.0, "11233": 60.0}


def sign(secret: str, moment: str) -> str:
    """The signature of a moment (seconds): moment and secret are the key, and the message is empty."""
    return base64.b64encode(hmac.new(f"{moment}\n{secret}".encode(), b"", hashlib.sha256).digest()).decode()


class Settings(ChannelSettings):
    token: SecretStr = Field(description="The last part of the robot's address (…/bot/v2/hook/TOKEN)")
    secret: SecretStr | None = Field(None, description="The secret of its signature (签名校验)")
    keyword: str = Field("", description="The word that each text must hold, where the robot asks for one")


class Feishu(ServiceChannel):
    """A custom robot: a card with a heading, 20 KB with all that is around it."""

    kind = "feishu"
    settings_type = Settings
    address = "https://open.feishu.cn"
    limits = Limits(a_minute=100, a_second=5, longest_bytes=19_000)
    """The vendor counts 20 KB of the whole body: the rest is the card's own."""
    dialect = rendering.SimpleMarkdown()

    def dressed(self, title: str, content: str) -> str:
        return "\n".join(each for each in (title, content, self.settings.keyword) if each)

    def handed_over(self, message: Message) -> Result:
        body: dict[str, Any] = {"msg_type": "interactive", "card": self._card(message)}
        if self.settings.secret is not None:
            moment = str(int(clock.now().timestamp()))
            body |= {"timestamp": moment, "sign": sign(secret(self.settings.secret), moment)}
        path = f"/open-apis/bot/v2/hook/{secret(self.settings.token)}"
        return self.client.call("send", "POST", path, _verdict, json=body)

    def _card(self, message: Message) -> dict[str, Any]:
        texts = [each for each in (message.content, self.settings.keyword) if each]
        return {
            "config": {"wide_screen_mode": True},
            "header": {"title": {"tag": "plain_text", "content": message.title}},
            "elements": [{"tag": "markdown", "content": each} for each in texts],
        }


def _verdict(answered: Answered) -> Result | None:
    judged = by_code(answered, "code", "msg", CODES, success=frozenset({"0"}), waits=_WAITS)
    return replace(judged, data=None) if judged else None


CHANNEL = Feishu
