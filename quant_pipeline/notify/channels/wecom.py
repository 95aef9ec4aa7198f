"""WeCom group robot 企业微信群机器人 (https://developer.work.weixin.qq.com/document/path/91770). Its key is its secret."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr

from quant_pipeline.notify.channels import rendering
from quant_pipeline.notify.channels.contract import Limits
from quant_pipeline.notify.channels.http_channel import ChannelSettings, ServiceChannel, secret
from quant_pipeline.notify.messages import Message
from quant_pipeline.services.client import Answered, by_code
from quant_pipeline.services.result import Result
from quant_pipeline.sources.failures import FailureClass

if TYPE_CHECKING:
    from quant_pipeline.sources.limiter import Limiter

CODES = {
    "-1": FailureClass.RETRYABLE,
    "45009": FailureClass.RATE_LIMITED,
    "93000": FailureClass.PERMANENT_SOURCE,
    "40058": FailureClass.PERMANENT_API,
    "40008": FailureClass.PERMANENT_API,
    "44004": FailureClass.PERMANENT_API,
    "45002": FailureClass.PERMANENT_API,
}
_WAITS = {"45009": 60.0}


class Settings(ChannelSettings):
    key: SecretStr = Field(description="The key of the robot's address (…/webhook/send?key=…)")
    mentions: list[str] = Field([], description="Mobile numbers to mention, or @all: then the message is plain text")


class WeCom(ServiceChannel):
    """A group robot: markdown, 4,096 bytes; where somebody is mentioned plain text, 2,048 bytes. Twenty a minute."""

    kind = "wecom"
    settings_type = Settings
    address = "https://qyapi.weixin.qq.com"
    limits = Limits(a_minute=20, longest_bytes=4_096)
    dialect: rendering.Plain = rendering.SimpleMarkdown()

    def __init__(self, name: str, settings: Settings, limiter: Limiter | None = None) -> None:
        super().__init__(name, settings, limiter)
        if settings.mentions:
            self.limits = replace(self.limits, longest_bytes=2_048)
            self.dialect = rendering.Plain()

    def dressed(self, title: str, content: str) -> str:
        return f"{self.dialect.heading(title)}\n{content}"

    def handed_over(self, message: Message) -> Result:
        text = self.dressed(message.title, message.content)
        if message.template == "markdown":
            body: dict[str, object] = {"msgtype": "markdown", "markdown": {"content": text}}
        else:
            named = [each for each in self.settings.mentions if each == "@all"]
            mobiles = [each for each in self.settings.mentions if each != "@all"]
            called = {"mentioned_list": named, "mentioned_mobile_list": mobiles}
            body = {"msgtype": "text", "text": {"content": text, **called}}
        path = "/cgi-bin/webhook/send"
        return self.client.call("send", "POST", path, _verdict, params={"key": secret(self.settings.key)}, json=body)


def _verdict(answered: Answered) -> Result | None:
    judged = by_code(answered, "errcode", "errmsg", CODES, success=frozenset({"0"}), waits=_WAITS)
    return replace(judged, data=None) if judged else None


CHANNEL = WeCom
