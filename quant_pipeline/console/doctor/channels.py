"""The messages: whether the account answers, and whether any were left lying."""

from __future__ import annotations

from collections.abc import Iterator

from quant_pipeline.console.doctor.findings import Finding, Patient, State
from quant_pipeline.language import say
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.resources import upstream

_NOBODYS = "doctor"
"""A message that was never sent: asking for it costs none."""
_LEFT = """
SELECT count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = 'pending') FROM messages
WHERE created_at > now() - interval '7 days'
"""


def look(patient: Patient) -> Iterator[Finding]:
    """PushPlus, and the outbox of the last seven days."""
    yield _account(patient)
    with patient.database.connect() as connection:
        row = connection.execute(_LEFT).fetchone()
    failed, pending = row if row is not None else (0, 0)
    facts = {"failed": failed, "pending": pending}
    words = say("of the last 7 days: {failed} not delivered, {pending} waiting", failed=failed, pending=pending)
    advice = say("`quant-pipeline db psql -c \"SELECT title, error FROM messages WHERE status = 'failed'\"`") if failed else ""
    yield Finding("messages", State.WARNING if failed else State.OK, words, advice, facts)


def _account(patient: Patient) -> Finding:
    at = upstream.pushplus(patient.settings)
    if not at.token:
        words = say("no PUSHPLUS_TOKEN: messages are only logged")
        return Finding("pushplus", State.WARNING, words, say("set it to hear of hits and failures on WeChat"))
    account = PushPlus(at.token, at.url, at.secret_key)
    if not account.polls:
        words = say("the token is set; whether it is accepted is not known before a message is sent")
        return Finding("pushplus", State.WARNING, words, say("set PUSHPLUS_SECRET_KEY: then it can be asked"))
    asked = account.poll(_NOBODYS)
    if not asked.reached:
        return Finding("pushplus", State.FAILED, asked.reason, say("check PUSHPLUS_TOKEN, PUSHPLUS_SECRET_KEY and the network"))
    return Finding("pushplus", State.OK, say("token and secret key are accepted"))
