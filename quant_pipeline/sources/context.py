"""What the platform gives a source when it builds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.settings import Variables
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import Policies
from quant_pipeline.warehouse.database import Database


class SourceSettings(Variables):
    """The variables of the environment that a source needs (address, token …); an adapter's own subclass declares them.

    Each field names its variable as `alias`. Secrets are `SecretStr`: they are never shown, and never in run config.
    """

    address: ClassVar[str | None] = None
    """The variable that says where the source's server is; set by hand, it wins in every mode. Where it is not set, the
    sandbox's server takes its place in sandbox mode, and nothing else of the user's is given to the source; a source that
    the sandbox does not simulate is left out there. None: the source asks no server (the warehouse, files)."""

    @property
    def is_a_server(self) -> bool:
        """Whether the address that was set by hand is that of a server in the source's place. A machine's web proxy is none:
        through it the sandbox would meet the real web."""
        return True


@dataclass(frozen=True)
class Context:
    """What all sources share: the warehouse, the exchange's calendar, the limiter and the pace of each API.

    `patience`: the longest wait (seconds) for a place under a quota before the next source is asked.
    """

    database: Database
    calendar: Calendar
    limiter: Limiter
    policies: Policies
    patience: float = 120.0
