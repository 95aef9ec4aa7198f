"""Handing a message to a channel and asking it, so that a fault of the channel's own code is an answer, and stops no other."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import replace

from quant_pipeline.language import marked
from quant_pipeline.notify.channels.contract import Accepted, Answer, Channel, Delivery, DeliveryState, Refused, Unknown
from quant_pipeline.notify.messages import Message
from quant_pipeline.services.result import LONGEST_WAIT

_FAULTY = "faulty"
_WHY = marked("the channel's own code failed")
_LONGEST_TEXT, _LONGEST_RECEIPT = 400, 2_000
_logger = logging.getLogger(__name__)


def hand_over(channel: Channel, message: Message, part: int = 0) -> tuple[Answer, bool]:
    """Sends one part of the message: the answer, in a form that can be kept, and whether it was the last part.

    Nothing was sent where the parts could not be made; where sending broke off, the message may have arrived.
    """
    try:
        parts = channel.parts(message)
        piece = parts[min(part, len(parts) - 1)]
    except Exception as error:
        _complain(channel, error)
        return Refused(_FAULTY, _WHY, retryable=True), True
    try:
        return _kept(channel.send(piece)), part + 1 >= len(parts)
    except Exception as error:
        _complain(channel, error)
        return Unknown(_WHY), True


def ask_about(channel: Channel, receipt: str) -> Delivery:
    """What became of an accepted message."""
    try:
        found = channel.poll(receipt)
        return replace(found, reason=_plain(found.reason, _LONGEST_TEXT))
    except Exception as error:
        _complain(channel, error)
        return Delivery(DeliveryState.UNKNOWN, _WHY, reached=False)


def _kept(answer: Answer) -> Answer:
    """The answer with nothing in it that the database cannot hold, whatever a plug-in says."""
    if isinstance(answer, Accepted):
        return Accepted(None if answer.receipt is None else _plain(answer.receipt, _LONGEST_RECEIPT))
    if isinstance(answer, Unknown):
        return Unknown(_plain(answer.text, _LONGEST_TEXT))
    wait = answer.retry_after
    if wait is not None:
        wait = min(max(wait, dt.timedelta()), dt.timedelta(seconds=LONGEST_WAIT)) or None
    return replace(answer, text=_plain(answer.text, _LONGEST_TEXT), retry_after=wait)


def _plain(text: str, longest: int) -> str:
    return "".join(sign for sign in text if sign.isprintable())[:longest]


def _complain(channel: Channel, error: Exception) -> None:
    """Only what kind of fault it was: its words may hold a secret."""
    _logger.error("the channel %s failed in its own code: %s", channel.name, type(error).__name__)
