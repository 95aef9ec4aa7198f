"""The sources: whether each has its token, is reached and answers, and what is left of its quota.

One cheap question is put to each, at its pace and under its quota like any other, without a second try.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from quant_pipeline.console.doctor.findings import Finding, Patient, State
from quant_pipeline.language import marked, say, say_many
from quant_pipeline.resources.source_check import Checked, ask, opened
from quant_pipeline.sources import registry
from quant_pipeline.sources.base import Source
from quant_pipeline.sources.failures import FailureClass
from quant_pipeline.sources.policy import Policies
from quant_pipeline.sync.insight.health import health_of

_SEPARATOR = " · "


def look(patient: Patient) -> Iterator[Finding]:
    """A finding per source."""
    ranks = registry.priorities()
    for name, why in registry.registered().broken.items():
        yield Finding(name, State.FAILED, why, say("mend or uninstall the package of this plug-in"))
    with opened(patient.desk, patient.calendar, patient.settings) as sources:
        yield from (Finding(each, State.OK, say("off (priority 0)")) for each in _off(ranks))
        built = {source.name for source in sources}
        for name in ranks.keys() - built - set(_off(ranks)):
            yield Finding(name, State.OK, say("not set up; it is optional"))
        asked = [source for source in sources if ranks[source.name]]
        with ThreadPoolExecutor(max_workers=max(len(asked), 1)) as pool:
            answers = list(pool.map(lambda source: ask(source, patient.calendar), asked))
        left = _quotas(patient, registry.policies(patient.settings.rate_limits), ranks)
        for source, answer in zip(asked, answers, strict=True):
            found = _told(source, answer)
            quota = left.get((source.name, answer.api), "")
            yield Finding(found.matter, found.state, found.words + quota, found.advice, found.facts)


def _told(source: Source, answer: Checked) -> Finding:
    if answer.unavailable is not None:
        return Finding(source.name, State.FAILED, answer.unavailable)
    if answer.api is None:
        return Finding(source.name, State.OK, say("it works from what is stored, and asks nobody"))
    facts: dict[str, Any] = {"api": answer.api, "dataset": answer.dataset}
    cost = say_many("{count} call", "{count} calls", answer.calls)
    if answer.failure is not None:
        words = f"{answer.problem} ({cost})"
        advice = _advice(source, answer.failure)
        return Finding(source.name, State.FAILED, words, advice, facts | {"class": answer.failure.value})
    facts |= {"calls": answer.calls, "seconds": round(answer.seconds, 2), "rows": answer.rows}
    words = say("{api} answered in {seconds:.1f} s ({cost})", api=answer.api, seconds=answer.seconds, cost=cost)
    return Finding(source.name, State.OK, words, facts=facts)


def _advice(source: Source, failure: FailureClass) -> str:
    off = registry.priority_variable(source.name)
    if failure is FailureClass.RATE_LIMITED:
        return say("wait, or lower its pace in QUANT_RATE_LIMITS")
    if failure in (FailureClass.RETRYABLE, FailureClass.UNREACHABLE):
        return say("check the network and its address; `{variable}=0` leaves it out", variable=off)
    if failure is FailureClass.BANNED:
        advice = marked("ask it again in an hour, or from another address of the network; `{variable}=0` leaves it out")
        return say(advice, variable=off)
    return say("check its token and the account's permissions; `{variable}=0` leaves it out", variable=off)


def _off(ranks: Mapping[str, int]) -> list[str]:
    return [name for name, rank in ranks.items() if not rank]


def _quotas(patient: Patient, paces: Policies, ranks: dict[str, int]) -> dict[tuple[str, Any], str]:
    """(source, API) -> how much of its quota is used, in words."""
    rows = health_of(patient.desk, paces, ranks)
    return {
        (row["source"], row["api"]): _SEPARATOR
        + say("{used} of {quota} calls a minute used", used=row["calls_minute"], quota=row["quota"])
        for row in rows
        if row["quota"]
    }
