"""What channels over HTTP have in common: settings, parts, and the outbox's words for what the client's Result says."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from quant_pipeline.language import marked
from quant_pipeline.notify.channels import rendering, splitting
from quant_pipeline.notify.channels.contract import (
    Accepted,
    Answer,
    Delivery,
    DeliveryState,
    Limits,
    Refused,
    Unknown,
)
from quant_pipeline.notify.messages import Message, one_line
from quant_pipeline.services.client import Client
from quant_pipeline.services.result import UNREACHED, Result
from quant_pipeline.sources.failures import FailureClass
from quant_pipeline.sources.policy import RatePolicy

if TYPE_CHECKING:
    from quant_pipeline.sources.limiter import Limiter

_PASSING = frozenset({FailureClass.RETRYABLE, FailureClass.RATE_LIMITED, FailureClass.BANNED, FailureClass.CIRCUIT_OPEN})


class ChannelSettings(BaseModel):
    """`[channels.NAME]` as a person writes it, beside `kind`; a kind's own lines stand in its subclass.

    The limits are the kind's own unless written: an account may have others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str | None = Field(None, pattern=r"^https?://", description="Another address of the service", repr=False)
    proxy: str | None = Field(None, description="A web proxy for this channel alone", repr=False)
    timeout: float = Field(15.0, gt=0, le=120, description="Seconds for an answer")
    a_minute: int | None = Field(None, ge=1, description="Messages a minute")
    a_day: int | None = Field(None, ge=1, description="Messages a day")

    def secrets(self) -> list[str]:
        """What no text may hold: services repeat addresses in their refusals, and these hold keys and passwords."""
        values: list[object] = [getattr(self, name) for name in type(self).model_fields]
        flat = [each for value in values for each in (value if isinstance(value, list | tuple) else [value])]
        given = [each.get_secret_value() for each in flat if isinstance(each, SecretStr)]
        return [*given, *_of_address(self.url), *_of_address(self.proxy)]


class ServiceChannel:
    """A channel over the services' client. A kind says its limits, how it dresses a text, and what an answer means."""

    kind: ClassVar[str]
    settings_type: ClassVar[type[ChannelSettings]] = ChannelSettings
    address: ClassVar[str] = ""
    limits: Limits
    longest_title: ClassVar[int] = 100
    formats: Sequence[str] = ("markdown", "html", "txt")
    polls: bool = False
    dialect: rendering.Plain = rendering.Plain()
    public: ClassVar[bool] = False
    """Whether private addresses are refused."""

    def __init__(self, name: str, settings: Any, limiter: Limiter | None = None) -> None:
        self.name = self.account = name
        self.settings = settings
        written = {field: value for field in ("a_minute", "a_day") if (value := getattr(settings, field)) is not None}
        self.limits = replace(type(self).limits, **written)
        self.client = Client(
            name,
            settings.url or self.address,
            policy_of(self.limits, settings.timeout),
            limiter,
            secrets=settings.secrets(),
            public=self.public and not getattr(settings, "allow_private", False),
            proxy=settings.proxy,
        )

    @classmethod
    def made(cls, name: str, settings: Any, limiter: Limiter | None) -> ServiceChannel:
        """A channel of the file's settings."""
        return cls(name, settings, limiter)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def parts(self, message: Message) -> Sequence[Message]:
        """See the contract: lines of the channel's dialect, split below its longest."""
        title = one_line(message.title, self.longest_title)
        longest = splitting.room(self.limits, self.dressed(splitting.numbered(title, 99, 99), ""))
        pieces = splitting.split(self.lines(message), longest, self.limits)
        return [
            Message(splitting.numbered(title, number, len(pieces)), piece, self.dialect.template)
            for number, piece in enumerate(pieces, 1)
        ]

    def lines(self, message: Message) -> list[str]:
        """The content in the channel's dialect."""
        return rendering.rendered(message, self.dialect)

    def dressed(self, title: str, content: str) -> str:
        """Title and content as the one text that the limits count."""
        return f"{title}\n{content}"

    def send(self, message: Message) -> Answer:
        return answer(self.handed_over(message))

    def handed_over(self, message: Message) -> Result:
        """The service's answer to one part; data: the receipt, or None."""
        raise NotImplementedError

    def poll(self, _receipt: str) -> Delivery:
        return Delivery(DeliveryState.UNKNOWN, marked("this service does not tell what became of a message"))


def policy_of(limits: Limits, timeout: float) -> RatePolicy:
    """A channel's limits as the limiter keeps them: for all processes together, by the service's own count."""
    return RatePolicy(
        per_minute=limits.a_minute,
        per_second=limits.a_second,
        burst=1,
        concurrency=4,
        retries=1,
        backoff=0.2,
        timeout=timeout,
    )


def answer(result: Result) -> Answer:
    """The outbox's word for what a call came to."""
    if result.success:
        return Accepted(None if result.data is None else str(result.data))
    if not result.answered and result.sent:
        return Unknown(result.error_message)
    passing = result.failure in _PASSING  # else a wait is that of this message, and no other's
    code = "" if result.error_code == UNREACHED else result.error_code  # the sentence says it in words
    return Refused(
        result.error_code,
        f"{code} {result.error_message}".strip(),
        retryable=passing or result.wait > 0,
        retry_after=dt.timedelta(seconds=result.wait) if passing and result.wait else None,
        for_the_day=result.for_the_day,
        unfamiliar=result.unfamiliar,
    )


def _of_address(address: str | None) -> list[str]:
    """What of an address may be secret: the password (also as a header bears it), the path, the values asked with."""
    if address is None:
        return []
    try:
        parts = urlsplit(address)
    except ValueError:
        return [address]
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    found = [parts.password, base64.b64encode(login.encode()).decode()] if parts.password else []
    asked = [value for _, value in parse_qsl(parts.query)]
    return [form for each in (*found, parts.query, parts.path.strip("/"), *asked) if each for form in (each, unquote(each))]


def secret(value: SecretStr | None) -> str:
    return "" if value is None else value.get_secret_value()
