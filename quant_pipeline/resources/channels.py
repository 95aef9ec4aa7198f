"""The channels that messages take: those of the file QUANT_CHANNELS; without it, the one PushPlus account of the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from quant_pipeline.notify import receivers
from quant_pipeline.notify.channels.configured import Configured, Means, configured
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.resources import upstream
from quant_pipeline.services.manager import Manager
from quant_pipeline.settings import Settings
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence


@contextmanager
def opened(database: Database, current: Settings) -> Iterator[Configured]:
    """The channels and the ways to bound people, for as long as the block lasts: their calls are counted for all processes."""
    with closing(Presence(database.connect())) as presence:
        own = found(current, database, Limiter(database.pool, presence))
        people = receivers.bound(database)
        tables = receivers.with_people(own.tables, list(own.channels.values()), people)
        yield replace(own, channels={**own.channels, **receivers.ways_to(people, own.channels)}, tables=tables)


def found(current: Settings, database: Database | None, limiter: Limiter | None = None) -> Configured:
    """The same without a database: their calls are not counted, and what stands in the vault cannot be had."""
    if current.channels is not None:
        means = Means(limiter, upstream.simulated_channels(current), None if database is None else _secrets(database))
        return configured(current.channels, means)
    at = upstream.pushplus(current)
    channels = {"pushplus": PushPlus(at.token, at.url, at.secret_key, limiter=limiter)} if at.token else {}
    return Configured(channels)


def services(current: Settings, database: Database, limiter: Limiter | None = None) -> Manager:
    """The services of the same file."""
    return Manager(current.channels, database, limiter, _secrets(database))


def _secrets(database: Database) -> Callable[[str], str]:
    """What `vault:NAME` stands for."""
    from quant_pipeline.vault.kinds import TOKEN  # here: its cryptography is for those who have a vault
    from quant_pipeline.vault.vault import Vault

    vault = Vault(database)
    return lambda name: str(vault.get(TOKEN, name))
