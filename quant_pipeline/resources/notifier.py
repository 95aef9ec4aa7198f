"""What is to be told to people, as a resource: it goes through the outbox, over the channels that are set up."""

import logging
from collections.abc import Callable

import dagster as dg
import psycopg

from quant_pipeline import settings
from quant_pipeline.alerts import events
from quant_pipeline.alerts.evaluation import Evaluated, evaluate
from quant_pipeline.alerts.rules import Rule, Sight
from quant_pipeline.notify import outbox, routing
from quant_pipeline.notify.messages import Message
from quant_pipeline.resources import channels
from quant_pipeline.resources.postman import POSTMAN
from quant_pipeline.resources.warehouse import WarehouseResource

_logger = logging.getLogger(__name__)


class NotifierResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Messages to people, over the channels of QUANT_CHANNELS or PUSHPLUS_TOKEN. Without any they are logged instead."""

    warehouse: dg.ResourceDependency[WarehouseResource]

    def enqueue(self, connection: psycopg.Connection, dedupe_key: str, message: Message) -> bool:
        """Puts the message into the outbox, in the caller's transaction; False when this event was told before."""
        return outbox.enqueue(connection, dedupe_key, message)

    def tell(self, dedupe_key: str, message: Message) -> None:
        """Enqueues the message, which is sent beside the caller. Never raises for a channel's sake, and waits for none."""
        with self.warehouse.database.connect() as connection, connection.transaction():
            self.enqueue(connection, dedupe_key, message)
        self.send_soon()

    def alert(self, rule: Rule, subject: str, cause: str, *, key: str, message: Message, link: str | None = None) -> None:
        """Opens the alert about the subject, or renews the open one, and tells the event as `tell` does."""
        with self.warehouse.database.connect() as connection, connection.transaction():
            events.raised(connection, rule, subject, cause, key=key, message=message, link=link)
        self.send_soon()

    def over(self, rule: Rule, about: Callable[[str], bool]) -> None:
        """The rule's alerts about such subjects are over: that is told, once."""
        with self.warehouse.database.connect() as connection, connection.transaction():
            ended = events.over(connection, rule, settings.load(), about)
        if ended:
            self.send_soon()

    def evaluate(self) -> Evaluated:
        """Looks at every rule of the alerts, and tells what is new or over."""
        found = evaluate(Sight(self.warehouse.database, self.warehouse.calendar(), settings.load()))
        if found.told or found.over:
            self.send_soon()
        return found

    def send_soon(self) -> None:
        """Has what is due sent beside the caller."""
        POSTMAN.send_soon(self.deliver)

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
