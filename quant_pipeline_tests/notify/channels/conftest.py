"""Channels as a file of settings makes them, over the real sockets of the sandbox's robots."""

from __future__ import annotations

from typing import Any

import pytest

from quant_pipeline.notify.channels.configured import Means, built
from quant_pipeline.notify.channels.contract import Answer, Channel
from quant_pipeline.notify.messages import Message
from quant_pipeline.sandbox.rehearsal import Rehearsal

MESSAGE = Message("双均线 选股", "**金叉** [查看](http://127.0.0.1:3001/day)\n\n- 600000.SH\n- 000001.SZ")
ROBOTS = ("wecom", "dingtalk", "feishu", "serverchan", "bark", "telegram", "webhook")
SMS = ("tencent_sms", "aliyun_sms")


class Robots:
    """The sandbox's robots, and channels to them."""

    def __init__(self, sandbox: Rehearsal) -> None:
        self.sandbox = sandbox

    def channel(self, kind: str, **lines: Any) -> Channel:
        """A channel of that kind; `lines` in place of the sandbox's own."""
        own = dict(self.sandbox.channels()[kind])
        if kind in SMS:
            own["phones"] = ["13800000000"]
        return built("mine", {"kind": kind, **own, **lines}, Means())

    def answers(self, kind: str) -> list[str]:
        """How the server answered the calls of that kind."""
        return [call["answer"] for call in self.sandbox.calls(kind, server="robots")]


@pytest.fixture
def robots(sandbox: Rehearsal) -> Robots:
    return Robots(sandbox)


def sent(channel: Channel, message: Message = MESSAGE) -> list[Answer]:
    """What became of each part."""
    return [channel.send(part) for part in channel.parts(message)]
