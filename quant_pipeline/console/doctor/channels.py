"""The messages: whether the channels work, and whether any were left lying."""

from __future__ import annotations

from collections.abc import Iterator

from quant_pipeline.console.doctor.findings import Finding, Patient, State
from quant_pipeline.language import say
from quant_pipeline.notify.channels.contract import Channel
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.notify.routing import routes_of
from quant_pipeline.resources import channels
from quant_pipeline.retelling import retold
from quant_pipeline.services.health import Health, health_of

_NOBODYS = "doctor"
"""A message that was never sent: asking for it costs none."""
_SENDING = frozenset({"send", "SendSms"})
_LEFT = """
SELECT count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = 'pending') FROM messages
WHERE created_at > now() - interval '7 days'
"""


def look(patient: Patient) -> Iterator[Finding]:
    """Each channel, and the outbox of the last seven days."""
    yield from _channels(patient)
    with patient.desk.connect() as connection:
        row = connection.execute(_LEFT).fetchone()
    failed, pending = row if row is not None else (0, 0)
    facts = {"failed": failed, "pending": pending}
    words = say("of the last 7 days: {failed} not delivered, {pending} waiting", failed=failed, pending=pending)
    advice = "`quant-pipeline messages --failed`" if failed else ""
    yield Finding("messages", State.WARNING if failed else State.OK, words, advice, facts)


def _channels(patient: Patient) -> Iterator[Finding]:
    found = channels.found(patient.settings, patient.database if patient.has_a_server else None)
    if not found.channels and not found.mistakes:
        words = say("no channel is set up (PUSHPLUS_TOKEN, QUANT_CHANNELS): messages are only logged")
        yield Finding("pushplus", State.WARNING, words, say("set PUSHPLUS_TOKEN to hear of hits and failures on WeChat"))
    for name, mistake in found.mistakes.items():
        yield Finding(name or "channels", State.FAILED, mistake, say("mend the file; see channels.example.toml"))
    for mistake in routes_of(found.tables, list(found.channels.values())).mistakes:
        yield Finding("routes", State.FAILED, mistake, say("mend the file; see channels.example.toml"))
    health = {each.name: each for each in health_of(patient.desk, list(found.channels)) if each.api in _SENDING}
    for name, channel in found.channels.items():
        yield _account(channel) if isinstance(channel, PushPlus) else _state(channel, health.get(name))


def _state(channel: Channel, health: Health | None) -> Finding:
    """Of a service that cannot be asked without sending something."""
    name = channel.name
    if health is None or not health.calls:
        words = say("set up ({kind}); nothing was sent over it in the last day", kind=channel.kind)
        return Finding(name, State.OK, words, say("try it: `quant-pipeline notify test {name}`", name=name))
    rate = f"{health.success_rate or 0:.0%}"
    words = say("{kind}: {rate} of {count} calls of the last day were taken", kind=channel.kind, rate=rate, count=health.calls)
    if health.available:
        return Finding(name, State.OK if health.good else State.WARNING, words)
    held = say("; left alone for {seconds:.0f} s more: {why}", seconds=health.held, why=retold(health.reason or ""))
    return Finding(name, State.WARNING, words + held, say("try it: `quant-pipeline notify test {name}`", name=name))


def _account(account: PushPlus) -> Finding:
    if not account.polls:
        words = say("the token is set; whether it is accepted is not known before a message is sent")
        return Finding(account.name, State.WARNING, words, say("set PUSHPLUS_SECRET_KEY: then it can be asked"))
    asked = account.poll(_NOBODYS)
    if not asked.reached:
        advice = say("check PUSHPLUS_TOKEN, PUSHPLUS_SECRET_KEY and the network")
        return Finding(account.name, State.FAILED, asked.reason, advice)
    return Finding(account.name, State.OK, say("token and secret key are accepted"))
