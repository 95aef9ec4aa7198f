"""The router: the signals of a session are taken in, those that are open are decided upon, and every decision is kept."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg

from quant_pipeline.language import of_messages, say, speaking
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.datasets import SIGNALS
from quant_pipeline.signals.arising import Arisen, arisen
from quant_pipeline.signals.resolution import Conflict, Decision, Signal, resolved
from quant_pipeline.signals.rules import Policy, Rules
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql
from quant_pipeline.warehouse.upsert import Upserted, replace_rows

ACCEPTED, REFUSED, EXPIRED = "accepted", "refused", "expired"
Held = Callable[[dt.date], Collection[str] | None]
"""The codes that the portfolio holds after a session; None: there is no portfolio."""

_CARRIED = """
SELECT trade_date, strategy, ts_code, direction, strength, priority FROM signals
WHERE trade_date < %(session)s AND valid_until >= %(session)s AND status <> 'expired'
"""
_FORGET = "DELETE FROM signal_decisions WHERE decided_on = %s"
_INTO_HISTORY = """
COPY signal_decisions (decided_on, trade_date, strategy, ts_code, direction, decision, conflict, against, policy, reason)
FROM STDIN
"""
_SETTLE = """
UPDATE signals AS signal
SET status = %(status)s, conflict = %(conflict)s, policy = %(policy)s, reason = %(reason)s, decided_on = %(session)s,
    updated_at = now()
WHERE trade_date = %(trade_date)s AND strategy = %(strategy)s AND ts_code = %(ts_code)s AND direction = %(direction)s
  AND decided_on <= %(session)s
"""


_LATER = """
UPDATE signals AS signal
SET status = later.decision, conflict = later.conflict, policy = later.policy, reason = later.reason,
    decided_on = later.decided_on
FROM (
    SELECT DISTINCT ON (strategy, ts_code, direction) * FROM signal_decisions
    WHERE trade_date = %(session)s AND decided_on > %(session)s ORDER BY strategy, ts_code, direction, decided_on DESC
) AS later
WHERE signal.trade_date = %(session)s AND signal.strategy = later.strategy AND signal.ts_code = later.ts_code
  AND signal.direction = later.direction
"""
"""A session that is routed again has signals that later sessions decided upon since."""


@dataclass(frozen=True)
class Routed:
    """A session's decisions. `rows`: its own signals as they were written · `decisions`: on these and on older ones that are
    still valid · `conflicts`: how many of each kind."""

    session: dt.date
    rows: pl.DataFrame
    decisions: pl.DataFrame
    written: Upserted

    @property
    def conflicts(self) -> dict[str, int]:
        counts = self.decisions["conflict"].drop_nulls().value_counts()
        return {kind.value: dict(counts.iter_rows()).get(kind.value, 0) for kind in Conflict}


class NotScreened(ValueError):
    """No screen ran for the session: there is nothing to decide upon."""


def route(
    database: Database,
    calendar: Calendar,
    rules: Rules,
    sessions: Sequence[dt.date],
    *,
    policy: Policy | None = None,
    held: Held = lambda _: None,
) -> Iterator[tuple[dt.date, Routed | NotScreened, Arisen]]:
    """Takes in and decides, session after session in their order, each in a transaction of its own.

    `policy`: in place of that of the rules. A session that is routed again has its decisions made anew: nothing of its former
    ones stays. NotScreened is handed over, not raised: the other sessions go on.
    """
    chosen = rules.policy if policy is None else policy
    news = arisen(database, calendar, rules, sessions)
    for session in sorted(sessions):
        if session not in news.screened:
            words = say("no screen ran for {session}: run them first, `quant-pipeline run --date {session}`", session=session)
            yield session, NotScreened(words), news
            continue
        own = news.rows.filter(pl.col("trade_date") == session)
        carried = read_sql(database, _CARRIED, {"session": session})
        columns = ["trade_date", "strategy", "ts_code", "direction", "strength", "priority"]
        with speaking(of_messages()):
            decisions = resolved(
                [Signal(*row) for row in pl.concat([own.select(columns), carried.select(columns)]).iter_rows()],
                chosen,
                held(session),
            )
        rows = _rows(own, decisions, session, chosen)
        with database.connect() as connection, connection.transaction():
            written = replace_rows(connection, SIGNALS, rows, where={"trade_date": session})
            _keep(connection, session, decisions, chosen)
            connection.execute(_LATER, {"session": session})
        yield session, Routed(session, rows, _table(decisions), written), news


def _keep(connection: psycopg.Connection[Any], session: dt.date, decisions: Sequence[Decision], policy: Policy) -> None:
    """Writes the session's decisions into their history, and those on older signals to the signals, in the caller's
    transaction."""
    connection.execute(_FORGET, (session,))
    with connection.cursor().copy(_INTO_HISTORY) as copy:
        for each in decisions:
            signal = each.signal
            copy.write_row(
                (session, signal.session, signal.strategy, signal.ts_code, signal.direction, _status(each), each.conflict,
                 each.against or None, policy, each.reason)
            )  # fmt: skip
    older = [each for each in decisions if each.signal.session < session]
    with connection.cursor() as cursor:
        cursor.executemany(
            _SETTLE,
            [
                {
                    "session": session, "status": _status(each), "conflict": each.conflict, "policy": policy,
                    "reason": each.reason, "trade_date": each.signal.session, "strategy": each.signal.strategy,
                    "ts_code": each.signal.ts_code, "direction": each.signal.direction,
                }
                for each in older
            ],
        )  # fmt: skip


def _rows(own: pl.DataFrame, decisions: Sequence[Decision], session: dt.date, policy: Policy) -> pl.DataFrame:
    table = _table(decisions).drop("against").rename({"decision": "status"})
    joined = own.join(table, on=["trade_date", "strategy", "ts_code", "direction"], how="left")
    return joined.with_columns(policy=pl.lit(policy.value), decided_on=pl.lit(session)).select(SIGNALS.column_names)


def _table(decisions: Sequence[Decision]) -> pl.DataFrame:
    schema = {
        "trade_date": pl.Date, "strategy": pl.String, "ts_code": pl.String, "direction": pl.String, "decision": pl.String,
        "conflict": pl.String, "against": pl.String, "reason": pl.String,
    }  # fmt: skip
    rows = [
        (each.signal.session, each.signal.strategy, each.signal.ts_code, each.signal.direction, _status(each),
         each.conflict, each.against, each.reason)
        for each in decisions
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def _status(decision: Decision) -> str:
    return ACCEPTED if decision.accepted else REFUSED
