"""A message that shows whether a channel works: sent past the outbox, within the channel's own limits."""

from __future__ import annotations

import time
from dataclasses import dataclass

from quant_pipeline.language import marked, of_messages, say, speaking
from quant_pipeline.market import clock
from quant_pipeline.notify.channels.contract import Accepted, Answer, Channel, Delivery, DeliveryState, Refused
from quant_pipeline.notify.handing_over import ask_about, hand_over
from quant_pipeline.notify.messages import Message

_PATIENCE = 5.0
"""Seconds for which is asked whether it arrived."""
_PAUSE = 0.5
_SANDBOX = marked("> **SANDBOX**: the platform works on its simulated market.")


@dataclass(frozen=True)
class Trial:
    """What a channel answered, and what it told of the delivery (None: it does not)."""

    channel: str
    kind: str
    answer: Answer
    delivery: Delivery | None = None

    @property
    def ok(self) -> bool:
        failed = self.delivery is not None and self.delivery.state is DeliveryState.FAILED
        return isinstance(self.answer, Accepted) and not failed

    def words(self) -> str:
        """What became of it, for the reader."""
        if not isinstance(self.answer, Accepted):
            later = self.answer.retry_after if isinstance(self.answer, Refused) else None
            wait = say(" (again in {seconds} s)", seconds=round(later.total_seconds())) if later else ""
            return self.answer.text + wait
        if self.delivery is None or self.delivery.state is DeliveryState.UNKNOWN:
            return say("taken: look whether it arrived")
        if self.delivery.state is DeliveryState.DELIVERED:
            return say("delivered")
        if self.delivery.state is DeliveryState.FAILED:
            return say("taken, and not delivered: {why}", why=self.delivery.reason)
        return say("taken, on its way")


def tried(channel: Channel, *, sandbox: bool) -> Trial:
    """Sends a trial, and asks for some seconds whether it arrived."""
    with speaking(of_messages()):
        now = f"{clock.now():%Y-%m-%d %H:%M:%S}"
        lines = [
            *([say(_SANDBOX), ""] if sandbox else []),
            say(
                "If you read this, the channel **{name}** works ({kind}, {now}).", name=channel.name, kind=channel.kind, now=now
            ),
        ]
        message = Message(say("quant_pipeline: a trial"), "\n".join(lines))
    answer, _ = hand_over(channel, message)
    if not isinstance(answer, Accepted) or answer.receipt is None or not channel.polls:
        return Trial(channel.name, channel.kind, answer)
    return Trial(channel.name, channel.kind, answer, _settled(channel, answer.receipt))


def _settled(channel: Channel, receipt: str) -> Delivery:
    deadline = time.monotonic() + _PATIENCE
    while True:
        delivery = ask_about(channel, receipt)
        if delivery.state is not DeliveryState.SENDING or time.monotonic() > deadline:
            return delivery
        time.sleep(_PAUSE)
