"""What becomes of signals that nobody decides upon any more."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from quant_pipeline.language import of_messages, say, speaking
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.signals.rules import Rules
from quant_pipeline.warehouse.database import Database

_EXPIRE = """
WITH over AS (
    UPDATE signals SET status = 'expired', updated_at = now()
    WHERE valid_until < %(latest)s AND status = 'refused'
    RETURNING trade_date, strategy, ts_code, direction, conflict, policy, valid_until, reason
)
INSERT INTO signal_decisions (decided_on, trade_date, strategy, ts_code, direction, decision, conflict, policy, reason)
SELECT %(latest)s, trade_date, strategy, ts_code, direction, 'expired', conflict, policy,
       %(why)s || valid_until || ': ' || reason
FROM over
ON CONFLICT (decided_on, trade_date, strategy, ts_code, direction) DO NOTHING
"""
_FORGET = (
    "DELETE FROM signals WHERE trade_date < %(oldest)s",
    "DELETE FROM signal_decisions WHERE decided_on < %(oldest)s",
    "DELETE FROM signal_statistics WHERE trade_date < %(oldest)s",
)


@dataclass(frozen=True)
class Cleaned:
    """`expired`: signals that were refused until their validity ended · `forgotten`: rows older than `oldest`."""

    expired: int
    forgotten: int
    oldest: dt.date


def clean(database: Database, calendar: Calendar, rules: Rules) -> Cleaned:
    """Marks what has expired, with a row of history each, and deletes what is older than `rules.kept` sessions."""
    latest = calendar.latest()
    oldest = calendar.window(latest, rules.kept)[0]
    with speaking(of_messages()):
        why = say("its validity ended on ")
    with database.connect() as connection, connection.transaction():
        expired = connection.execute(_EXPIRE, {"latest": latest, "why": why}).rowcount
        forgotten = sum(connection.execute(each, {"oldest": oldest}).rowcount for each in _FORGET)
    return Cleaned(expired, forgotten, oldest)
