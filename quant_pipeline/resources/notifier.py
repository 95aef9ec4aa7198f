"""What is to be told to people, as a resource: it goes through the outbox, over the channels that are set up."""

import logging

import dagster as dg
import psycopg

from quant_pipeline import settings
from quant_pipeline.notify import outbox
from quant_pipeline.notify.channels.contract import Channel
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.notify.messages import Message
from quant_pipeline.resources import upstream
from quant_pipeline.resources.warehouse import WarehouseResource

_logger = logging.getLogger(__name__)


class NotifierResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Messages to people. Without PUSHPLUS_TOKEN they are logged instead, and nothing fails."""

    warehouse: dg.ResourceDependency[WarehouseResource]

    def enqueue(self, connection: psycopg.Connection, dedupe_key: str, message: Message) -> bool:
        """Puts the message into the outbox, in the caller's transaction; False when this event was told before."""
        return outbox.enqueue(connection, dedupe_key, message)

    def tell(self, dedupe_key: str, message: Message) -> None:
        """Enqueues the message and sends what is due. Never raises for a channel's sake: the outbox tries again later."""
        with self.warehouse.database.connect() as connection, connection.transaction():
            self.enqueue(connection, dedupe_key, message)
        self.deliver()

    def deliver(self) -> outbox.Delivered:
        """Sends what is due, and asks about what was accepted."""
        return outbox.deliver(self.warehouse.database, self._channels())

    def _channels(self) -> list[Channel]:
        at = upstream.pushplus(settings.load())
        return [PushPlus(at.token, at.url, at.secret_key)] if at.token else []
