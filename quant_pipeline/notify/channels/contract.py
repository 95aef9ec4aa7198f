"""What the outbox knows of a channel: the limits that it has, and what became of a message handed to it.

A channel never raises for its service's sake: what the service did is its answer. No text of an answer holds a secret.
Most services refuse with HTTP 200, so the answer is read from the body.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from quant_pipeline.notify.messages import Message


@dataclass(frozen=True)
class Limits:
    """What the service allows; None: it sets no such limit. The longest are of one message's content (UTF-8)."""

    a_minute: int | None = None
    a_second: int | None = None
    a_day: int | None = None
    longest_bytes: int | None = None
    longest_characters: int | None = None


@dataclass(frozen=True)
class Accepted:
    """The service took the message: it is not yet with the person. `receipt` is what `poll` asks by; None: it gives none."""

    receipt: str | None = None


@dataclass(frozen=True)
class Refused:
    """The service has not taken it: `code` is its own, or ours where it gave none (`unreachable`), `text` its words.

    `retryable`: the same message may be taken later; `retry_after`: not before that. `for_the_day`: nothing at all is to be
    sent over this account before the next day of the exchange's zone. `unfamiliar`: the code stands in no table of ours.
    """

    code: str
    text: str
    retryable: bool
    retry_after: dt.timedelta | None = None
    for_the_day: bool = False
    unfamiliar: bool = False


@dataclass(frozen=True)
class Unknown:
    """It was sent, and no answer of the protocol came: the message may have arrived."""

    text: str


Answer = Accepted | Refused | Unknown


class DeliveryState(StrEnum):
    """Where an accepted message is."""

    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Delivery:
    """What became of an accepted message; `reason` says why it failed, or is unknown.

    `reached`: the service answered the question. Where it did not, it need not be asked for the next message now.
    """

    state: DeliveryState
    reason: str = ""
    reached: bool = True


class Channel(Protocol):
    """A way to a person: a service, an account of it, and whom of its people it reaches."""

    @property
    def name(self) -> str:
        """What routes and commands call it: `wecom`, or a name of the user's."""

    @property
    def kind(self) -> str:
        """Which service it is: `pushplus`, `wecom`, `dingtalk` …"""

    @property
    def account(self) -> str:
        """Whose limits it draws from: channels of one account (a friend's beside one's own) share them."""

    @property
    def limits(self) -> Limits: ...

    @property
    def formats(self) -> Sequence[str]:
        """The templates of a Message that it can show, the best first: markdown, html, txt."""

    @property
    def polls(self) -> bool:
        """Whether it can say what became of a message."""

    def parts(self, message: Message) -> Sequence[Message]:
        """The message as it is sent: in a form that the channel can show, in as many numbered parts as its longest allows.

        The same message has always the same parts. Each is one `send`, and one call by the service's limits.
        """

    def send(self, message: Message) -> Answer:
        """Hands over one message (a part). It waits for nothing but the answer, which has a time limit."""

    def poll(self, receipt: str) -> Delivery:
        """What became of an accepted message."""
