"""The strategies that there are, and those that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator

from quant_pipeline.console.doctor.findings import Finding, Patient, State
from quant_pipeline.language import say
from quant_pipeline.strategies.registry import registered
from quant_pipeline.switches import ALL, screens_on


def look(patient: Patient) -> Iterator[Finding]:
    """How many run by themselves; a finding per file or plug-in that is left out, and for names in QUANT_SCREENS of none."""
    known, on = registered(), screens_on()
    words = say("{count} strategies, of which run by themselves: {on}", count=len(known.strategies), on=", ".join(on) or "–")
    yield Finding("strategies", State.OK, words, facts={"on": list(on)})
    for name, why in known.broken.items():
        yield Finding(name, State.WARNING, why, say("it is left out until it is mended or removed"))
    if unknown := sorted(patient.settings.screens - known.strategies.keys() - {ALL}):
        words = say("QUANT_SCREENS names no strategy: {names}", names=", ".join(unknown))
        yield Finding("strategies", State.WARNING, words, say("write one of {known}", known=", ".join(known.strategies)))
