"""DingTalk custom robot 钉钉自定义机器人 (https://open.dingtalk.com/document/robots/custom-robot-access).

The signature goes into the address, percent-encoded once. Who sends more than 20 a minute is mute for ten.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace

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
    "-1": FailureClass.RETRYABLE,
    "130101": FailureClass.RATE_LIMITED,
    "130102": FailureClass.RATE_LIMITED,
    "410100": FailureClass.RATE_LIMITED,
    "90030": FailureClass.RATE_LIMITED,
    "310000": FailureClass.PERMANENT_SOURCE,
    "300001": FailureClass.PERMANENT_SOURCE,
    "300005": FailureClass.PERMANENT_SOURCE,
    "400101": FailureClass.PERMANENT_SOURCE,
    "400102": FailureClass.PERMANENT_SOURCE,
    "400013": FailureClass.PERMANENT_SOURCE,
    "400105": FailureClass.PERMANENT_API,
    "460101": FailureClass.PERMANENT_API,
    "430101": FailureClass.PERMANENT_API,
}
_MUTE, _A_DAY = 600.0, 86_400.0
_WAITS = {"130101": _MUTE, "130102": _MUTE, "410100": _MUTE, "90030": _A_DAY}


def sign(secret: str, moment: str) -> str:
    """The signature of a moment (milliseconds), not yet percent-encoded."""
    digest = hmac.new(secret.encode(), f"{moment}\n{secret}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


class Settings(ChannelSettings):
    token: SecretStr = Field(description="The access_token of the robot's address")
    secret: SecretStr | None = Field(None, description="The secret of its signature (加签, begins with SEC)")
    keyword: str = Field("", description="The word that each text must hold, where the robot asks for one")
    at_mobiles: list[str] = Field([], description="Mobile numbers to mention")
    at_all: bool = False


class DingTalk(ServiceChannel):
    """A custom robot, by signature or keyword."""

    kind = "dingtalk"
    settings_type = Settings
    address = "https://oapi.dingtalk.com"
    limits = Limits(a_minute=20, longest_bytes=19_000)
    """The vendor counts 20,000 bytes of the whole body: the rest is JSON's own."""
    dialect = rendering.SimpleMarkdown()

    def dressed(self, title: str, content: str) -> str:
        mentioned = "".join(f"@{mobile} " for mobile in self.settings.at_mobiles)
        return "\n\n".join(each for each in (f"### {title}", content, self.settings.keyword, mentioned) if each)

    def lines(self, message: Message) -> list[str]:
        """A single line end is none in DingTalk's markdown: two spaces before it make it one."""
        return [f"{line}  " if line else line for line in super().lines(message)]

    def handed_over(self, message: Message) -> Result:
        asked = {"access_token": secret(self.settings.token)}
        if self.settings.secret is not None:
            moment = str(int(clock.now().timestamp() * 1_000))
            asked |= {"timestamp": moment, "sign": sign(secret(self.settings.secret), moment)}
        body = {
            "msgtype": "markdown",
            "markdown": {"title": message.title, "text": self.dressed(message.title, message.content)},
            "at": {"atMobiles": self.settings.at_mobiles, "isAtAll": self.settings.at_all},
        }
        return self.client.call("send", "POST", "/robot/send", _verdict, params=asked, json=body)


def _verdict(answered: Answered) -> Result | None:
    judged = by_code(answered, "errcode", "errmsg", CODES, success=frozenset({"0"}), waits=_WAITS)
    return replace(judged, data=None) if judged else None


CHANNEL = DingTalk
