"""The sources: whether each has its token, is reached and answers, and what is left of its quota.

One cheap question is put to each, at its pace and under its quota like any other, without a second try.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from quant_pipeline.console.doctor.findings import Finding, Patient, State
from quant_pipeline.language import say, say_many
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.resources.sources import SourcesResource
from quant_pipeline.sources import registry
from quant_pipeline.sources.base import Source, Tally
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.policy import Policies
from quant_pipeline.sources.question import cheapest, hasty
from quant_pipeline.sync.insight.health import health_of
from quant_pipeline.warehouse.presence import Presence

_PATIENCE = 5.0
"""Seconds that a question waits for a place under its quota."""
_SEPARATOR = " · "


def look(patient: Patient) -> Iterator[Finding]:
    """A finding per source."""
    ranks = registry.priorities()
    for name, why in registry.registered().broken.items():
        yield Finding(name, State.FAILED, why, say("mend or uninstall the package of this plug-in"))
    database = patient.desk
    presence = Presence(database.connect())
    try:
        paces = registry.policies(patient.settings.rate_limits)
        resource = SourcesResource(patience=_PATIENCE)
        with resource.opened(database, patient.calendar, presence, policies=hasty(paces)) as (sources, _):
            yield from (Finding(each, State.OK, say("off (priority 0)")) for each in _off(ranks))
            built = {source.name for source in sources}
            for name in ranks.keys() - built - set(_off(ranks)):
                yield Finding(name, State.OK, say("not set up; it is optional"))
            asked = [source for source in sources if ranks[source.name]]
            with ThreadPoolExecutor(max_workers=max(len(asked), 1)) as pool:
                answers = list(pool.map(lambda source: _ask(source, patient.calendar), asked))
                left = _quotas(patient, paces, ranks)
                for source, found in zip(asked, answers, strict=True):
                    quota = left.get((source.name, found.facts.get("api")), "")
                    yield Finding(found.matter, found.state, found.words + quota, found.advice, found.facts)
    finally:
        presence.close()


def _ask(source: Source, calendar: Calendar) -> Finding:
    if (why := source.unavailable()) is not None:
        return Finding(source.name, State.FAILED, why)
    question = cheapest(source, calendar)
    if question is None or type(source).settings.address is None:
        return Finding(source.name, State.OK, say("it works from what is stored, and asks nobody"))
    serving, unit = question
    tally = Tally()
    facts: dict[str, Any] = {"api": serving.api, "dataset": serving.dataset.name}
    try:
        rows = source.fetch(serving.dataset, unit, tally).height
    except SourceError as error:
        cost = say_many("{count} call", "{count} calls", tally.calls)
        words = f"{source.without_secrets(str(error))} ({cost})"
        return Finding(source.name, State.FAILED, words, _advice(source, error), facts | {"class": error.failure.value})
    facts |= {"calls": tally.calls, "seconds": round(tally.seconds, 2), "rows": rows}
    words = say(
        "{api} answered in {seconds:.1f} s ({cost})",
        api=serving.api, seconds=tally.seconds, cost=say_many("{count} call", "{count} calls", tally.calls),
    )  # fmt: skip
    return Finding(source.name, State.OK, words, facts=facts)


def _advice(source: Source, error: SourceError) -> str:
    off = registry.priority_variable(source.name)
    if error.failure is FailureClass.RATE_LIMITED:
        return say("wait, or lower its pace in QUANT_RATE_LIMITS")
    if error.failure is FailureClass.RETRYABLE:
        return say("check the network and its address; `{variable}=0` leaves it out", variable=off)
    return say("check its token and the account's permissions; `{variable}=0` leaves it out", variable=off)


def _off(ranks: Mapping[str, int]) -> list[str]:
    return [name for name, rank in ranks.items() if not rank]


def _quotas(patient: Patient, paces: Policies, ranks: dict[str, int]) -> dict[tuple[str, Any], str]:
    """(source, API) -> how much of its quota is used, in words."""
    rows = health_of(patient.desk, paces, ranks).to_dicts()
    return {
        (row["source"], row["api"]): _SEPARATOR
        + say("{used} of {quota} calls a minute used", used=row["calls_minute"], quota=row["quota"])
        for row in rows
        if row["quota"]
    }
