"""What was told, over which channel, what waits and why: the same rows for the command and the page."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import polars as pl
from psycopg.rows import dict_row

from quant_pipeline.language import marked, say
from quant_pipeline.market import clock
from quant_pipeline.retelling import retold
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

STATUSES: Final = {
    "pending": marked("waiting"),
    "accepted": marked("accepted"),
    "delivered": marked("delivered"),
    "failed": marked("not delivered"),
    "folded": marked("in a digest"),
    "logged": marked("only logged"),
    "waiting": marked("waiting"),
    "passed_on": marked("passed on"),
}
"""What became of a message, and of one of its deliveries."""
KEPT_DAYS = 30

_CHOSEN = "(%(status)s::text IS NULL AND status <> 'folded' OR status = %(status)s)"
_LISTED = f"""
SELECT id, created_at, severity, kind, title, status, error FROM messages WHERE {_CHOSEN}
ORDER BY id DESC LIMIT %(limit)s OFFSET %(offset)s
"""
_COUNTED = f"SELECT count(*) AS total FROM messages WHERE {_CHOSEN}"
_WAYS = """
SELECT message, receiver, channel, state, attempts, error, sent_at, not_before, folded_into,
       not_before > clock_timestamp() AS later, day_until > clock_timestamp() AS for_the_day,
       retry_at > clock_timestamp() AS resting, coalesce(day_until, retry_at) AS until, reason
FROM deliveries LEFT JOIN channel_state ON account = channel WHERE message = ANY(%s) ORDER BY message, deliveries.id
"""
_ONE = "SELECT id, created_at, severity, kind, title, content, template, status, error FROM messages WHERE id = %s"
_CALLS = """
SELECT channel, receiver, started_at, finished_at, outcome, delivery_attempts.error
FROM delivery_attempts JOIN deliveries ON deliveries.id = delivery WHERE message = %s ORDER BY delivery_attempts.id
"""
_CHANNELS = """
WITH lately AS (SELECT *, created_at > clock_timestamp() - interval '1 day' AS today FROM deliveries)
SELECT channel, count(*) FILTER (WHERE state = 'waiting') AS waiting,
       count(*) FILTER (WHERE today AND state IN ('accepted', 'delivered')) AS sent_day,
       count(*) FILTER (WHERE today AND state = 'passed_on') AS passed_day,
       count(*) FILTER (WHERE today AND state = 'failed') AS failed_day,
       coalesce(max(failures), 0) AS failures,
       CASE WHEN max(day_until) > clock_timestamp() THEN 'day' WHEN max(retry_at) > clock_timestamp() THEN 'resting'
            ELSE 'well' END AS state,
       greatest(max(day_until), max(retry_at)) AS until, max(reason) AS reason
FROM lately LEFT JOIN channel_state ON account = channel GROUP BY channel ORDER BY channel
"""
_PRUNE = f"DELETE FROM delivery_attempts WHERE started_at < clock_timestamp() - interval '{KEPT_DAYS} days'"


class MessageError(ValueError):
    """There is no such message."""


def messages(database: Database, *, status: str | None = None, limit: int, offset: int = 0) -> list[dict[str, Any]]:
    """Messages, the newest first: id, created_at, severity, kind, title, status, error, and `ways`: its deliveries.

    `status` None: all but those that a digest tells of. A way has receiver, channel, state, attempts, error, sent_at and `why`:
    what a waiting one waits for, in words.
    """
    rows = _local(read_sql(database, _LISTED, {"status": status, "limit": limit, "offset": offset})).to_dicts()
    ways = _ways(database, [row["id"] for row in rows])
    return [{**row, "ways": ways.get(row["id"], [])} for row in rows]


def count(database: Database, *, status: str | None = None) -> int:
    """How many `messages` there are."""
    return int(read_sql(database, _COUNTED, {"status": status}).item())


def message(database: Database, number: int) -> dict[str, Any]:
    """One message whole: as in `messages`, with its content, and `calls`: each attempt (channel, started_at, outcome, error).

    MessageError where there is none.
    """
    with database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_ONE, (number,)).fetchone()
        calls = cursor.execute(_CALLS, (number,)).fetchall()
    if row is None:
        raise MessageError(say("there is no message {number}; see `quant-pipeline messages`", number=number))
    return row | {"ways": _ways(database, [number]).get(number, []), "calls": calls}


def channels(database: Database) -> pl.DataFrame:
    """A row per channel that ever had a delivery: waiting, sent_day, passed_day, failed_day, failures (in a row), state
    (well, resting, day: limited for the day), until, reason."""
    return _local(read_sql(database, _CHANNELS))


def prune(database: Database) -> int:
    """Deletes what is kept of each attempt after 30 days; how many they were."""
    with database.connect() as connection:
        return connection.execute(_PRUNE).rowcount


def _ways(database: Database, numbers: list[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    with database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(_WAYS, (numbers,)).fetchall():
            shown = {name: row[name] for name in ("receiver", "channel", "state", "attempts", "error", "sent_at")}
            found.setdefault(row["message"], []).append({**shown, "why": _why(row)})
    return found


def _why(row: dict[str, Any]) -> str:
    """What a delivery waits for, or which digest tells of it; "": it does not wait."""
    if row["state"] == "folded":
        return say("told in message {number}", number=row["folded_into"])
    if row["state"] != "waiting":
        return ""
    if row["later"]:
        return say("not before {at}: quiet hours, or a digest that gathers", at=_moment(row["not_before"]))
    if row["for_the_day"]:
        return say("the channel is used up for the day, until {at}: {why}", at=_moment(row["until"]), why=_cause(row["reason"]))
    if row["resting"]:
        return say("the channel rests until {at}: {why}", at=_moment(row["until"]), why=_cause(row["reason"]))
    return say("in turn: its channel's limits, or what is more urgent")


_WORDS: Final = ("retryable", "permanent", "unknown", "limited_for_the_day")
"""What stands before a service's answer in a kept reason, as the outbox writes it."""


def _cause(reason: str | None) -> str:
    """What the service answered, without our word for what follows from it (`retryable: …`), which stands in the state."""
    word, colon, words = (reason or "").partition(": ")
    return retold(words if colon and word in _WORDS else reason or "")


def _moment(at: dt.datetime) -> str:
    """With the year where it is another one: nobody takes a time of next year for one of this."""
    here, today = at.astimezone(clock.EXCHANGE_ZONE), dt.datetime.now(clock.EXCHANGE_ZONE)
    return f"{here:%m-%d %H:%M}" if here.year == today.year else f"{here:%Y-%m-%d %H:%M}"


def _local(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.selectors.datetime().dt.convert_time_zone(str(clock.EXCHANGE_ZONE)))
