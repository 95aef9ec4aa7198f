"""What SMS channels have in common: a template that the vendor approved, whose variables a message fills."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from quant_pipeline.language import say
from quant_pipeline.notify.channels.contract import Delivery, DeliveryState, Limits
from quant_pipeline.notify.channels.http_channel import ChannelSettings, ServiceChannel
from quant_pipeline.notify.messages import Message, one_line
from quant_pipeline.services.result import Result

LONGEST_VARIABLE = 35
_URL = re.compile(r"https?://\S+")
_STATES = {"SUCCESS": DeliveryState.DELIVERED, "FAIL": DeliveryState.FAILED}
_BETWEEN = ":"
_FIELDS = ("title", "content")


class SmsSettings(ChannelSettings):
    template: str = Field(description="The id of the approved template")
    sign_name: str = Field(description="The approved signature (签名)")
    phones: list[str] = Field(min_length=1, max_length=100, description="Numbers: 13800000000, or +86…")
    variables: list[str] = Field(["title"], description="What fills the template's variables in their order: title, content")
    longest_variable: int = Field(LONGEST_VARIABLE, ge=1, le=500, description="Characters of a variable")

    @field_validator("phones")
    @classmethod
    def _are_numbers(cls, phones: list[str]) -> list[str]:
        for each in phones:
            if not re.fullmatch(r"\+?\d{6,15}", each):
                raise ValueError(say("{phone} is no number of a phone", phone=each))
        return phones

    @field_validator("variables")
    @classmethod
    def _are_known(cls, variables: list[str]) -> list[str]:
        for each in variables:
            if each.rpartition("=")[2] not in _FIELDS:
                raise ValueError(say("{variable} is none of {known}", variable=each, known=", ".join(_FIELDS)))
        return variables


class SmsChannel(ServiceChannel):
    """Short texts: a message's title, or what the template asks for. What the vendor takes is queued; `poll` tells the rest."""

    limits = Limits(a_minute=1, a_day=10)
    """Of one number and template, as both vendors have it."""
    formats = ("txt",)
    polls = True

    def parts(self, message: Message) -> list[Message]:
        """One: a text that would not fit is cut, for the rest stands where the message links to."""
        return [Message(one_line(message.title, 100), "\n".join(self.lines(message)), "txt")]

    def filled(self, message: Message) -> list[tuple[str, str]]:
        """The template's variables: (name, value); templates without names number them."""
        values = {name: _short(getattr(message, name), self.settings.longest_variable) for name in _FIELDS}
        named = [each.rpartition("=")[::2] for each in self.settings.variables]
        return [(name or field, values[field]) for name, field in ((n, f) for n, f in named)]

    def poll(self, receipt: str) -> Delivery:
        phone, _, serial = receipt.partition(_BETWEEN)
        result = self.asked(phone, serial)
        if not result.success:
            return Delivery(DeliveryState.UNKNOWN, result.error_message, reached=result.answered)
        state, words = result.data
        return Delivery(_STATES.get(state, DeliveryState.SENDING), words if state == "FAIL" else "")

    def asked(self, phone: str, serial: str) -> Result:
        """The vendor's word on a text."""
        raise NotImplementedError

    @staticmethod
    def receipt(taken: dict[str, str]) -> str:
        """The first number's: what `poll` asks by."""
        phone, serial = next(iter(taken.items()))
        return f"{phone}{_BETWEEN}{serial}"


def _short(text: str, longest: int) -> str:
    """Without addresses, which vendors refuse, and no longer than they allow."""
    return one_line(_URL.sub("", text).replace("[]()", ""), longest)
