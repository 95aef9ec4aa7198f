"""The looks, one after the other; whatever goes wrong in one is its own finding, and stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from quant_pipeline.console.doctor import accounts, channels, clocks, storage, strategies, upstreams, versions, workers
from quant_pipeline.console.doctor.findings import Finding, Findings, Patient, State, Unusable
from quant_pipeline.language import say
from quant_pipeline.settings import Settings
from quant_pipeline.sources.failures import in_words
from quant_pipeline.warehouse.errors import described

LOOKS: Final[dict[str, Callable[[Patient], Findings]]] = {
    "versions": versions.look,
    "database": storage.database,
    "tables": storage.tables,
    "disk": storage.disk,
    "clock": clocks.clock,
    "zone": clocks.zone,
    "calendar": clocks.calendar,
    "sources": upstreams.look,
    "messages": channels.look,
    "vault": accounts.vault,
    "ths account": accounts.ths,
    "strategies": strategies.look,
    "daemon": workers.daemon,
    "schedules": workers.schedules,
}
"""Matter -> how it is looked at."""


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, as soon as it is known."""
    with Patient(settings) as patient:
        for matter, look in LOOKS.items():
            try:
                found = look(patient)
                yield from [found] if isinstance(found, Finding) else found
            except Unusable as error:
                yield Finding(matter, State.SKIPPED, say("not looked at: {why}", why=error))
            except Exception as error:
                yield Finding(matter, State.FAILED, described(error) or in_words(error))
