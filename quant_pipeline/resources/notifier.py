"""What is to be told to people, as a resource: it goes through the outbox, over the channels that are set up."""

import logging

import dagster as dg
import psycopg

from quant_pipeline import settings
from quant_pipeline.notify import outbox, routing
from quant_pipeline.notify.messages import Message
from quant_pipeline.resources import channels
from quant_pipeline.resources.warehouse import WarehouseResource

_logger = logging.getLogger(__name__)


class NotifierResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Messages to people, over the channels of QUANT_CHANNELS or PUSHPLUS_TOKEN. Without any they are logged instead."""

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
        database = self.warehouse.database
        with channels.opened(database, settings.load()) as found:
            usable = list(found.channels.values())
            for name, mistake in found.mistakes.items():
                _logger.warning("the channel %s is left out: %s", name, mistake)
            if found.mistakes and not usable:
                return outbox.Delivered()  # what waits stays: it is sent once the file is mended
            return outbox.deliver(database, usable, routing.routes_of(found.tables, usable))
