"""The long tail: any of the services of the package apprise (ntfy, Gotify, Slack, Matrix …), by its addresses.

It says only whether it believes that the message went out. For the services that have a channel of their own here, take
that one: of theirs apprise reports refusals as successes.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr

from quant_pipeline.language import marked, say
from quant_pipeline.notify.channels.contract import Limits
from quant_pipeline.notify.channels.http_channel import ChannelSettings, ServiceChannel
from quant_pipeline.notify.messages import Message
from quant_pipeline.services.result import Result, done, refused
from quant_pipeline.sources.failures import FailureClass

if TYPE_CHECKING:
    from quant_pipeline.sources.limiter import Limiter


class NotInstalled(ValueError):
    """The package is an extra; the text says how to install it."""


class Settings(ChannelSettings):
    urls: list[SecretStr] = Field(min_length=1, description="Addresses as apprise writes them: ntfy://topic")


class Apprise(ServiceChannel):
    """Addresses that apprise knows."""

    kind = "apprise"
    settings_type = Settings
    limits = Limits(longest_characters=20_000)
    formats = ("markdown", "txt")

    def __init__(self, name: str, settings: Settings, limiter: Limiter | None = None) -> None:
        if find_spec("apprise") is None:
            raise NotInstalled(say("the package apprise is not installed: pip install 'quant-pipeline[apprise]'"))
        super().__init__(name, settings, limiter)

    def handed_over(self, message: Message) -> Result:
        return self.client.attempt("send", lambda: self._notified(message))

    def _notified(self, message: Message) -> Result:
        import apprise

        silent = logging.getLogger("apprise")  # it logs addresses with their secrets
        silent.disabled = True
        book = apprise.Apprise()
        known = [book.add(each.get_secret_value()) for each in self.settings.urls]
        if not all(known):
            text = marked("apprise does not know one of the addresses")
            return refused("address", text, FailureClass.PERMANENT_SOURCE, sent=False)
        if book.notify(title=message.title, body=message.content):
            return done()
        return refused("failed", marked("apprise says that it was not sent, and not why"), FailureClass.RETRYABLE)


CHANNEL = Apprise
