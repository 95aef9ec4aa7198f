"""What all processes share of live quotes: who wants which codes, each code's last good quote, and how the poller fares."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.quotes.quote import Quote, status_of
from quant_pipeline.warehouse.database import Database

LEASE = dt.timedelta(seconds=60)
"""For so long a subscription lasts; to subscribe again renews it. A dead process's lapses by itself."""
CHANNEL = "live_quotes"
"""NOTIFY's channel; the payload is the sequence of what was published."""

_SUBSCRIBE = """
INSERT INTO quote_subscriptions (subscriber, codes, codes_until)
VALUES (%(subscriber)s, %(codes)s, clock_timestamp() + %(lease)s)
ON CONFLICT (subscriber) DO UPDATE SET codes = excluded.codes, codes_until = excluded.codes_until
"""
_MARKET = """
INSERT INTO quote_subscriptions (subscriber, market_until) VALUES (%(subscriber)s, clock_timestamp() + %(lease)s)
ON CONFLICT (subscriber) DO UPDATE SET market_until = excluded.market_until
"""
_LAPSED = """
DELETE FROM quote_subscriptions
WHERE greatest(codes_until, market_until) < clock_timestamp() - interval '1 hour' AND subscriber <> %s
"""
_WANTED = """
SELECT DISTINCT unnest(codes) FROM quote_subscriptions WHERE codes_until > coalesce(%s::timestamptz, clock_timestamp())
"""
_MARKET_WANTED = """
SELECT EXISTS (SELECT FROM quote_subscriptions WHERE market_until > coalesce(%s::timestamptz, clock_timestamp()))
"""
# The row of the poller is locked until the end of the transaction: sequences become visible in their order.
_NEXT = """
INSERT INTO quote_poller (one, sequence) VALUES (true, 1)
ON CONFLICT (one) DO UPDATE SET sequence = quote_poller.sequence + 1 RETURNING sequence
"""
_SAID = (
    "name", "price", "pre_close", "open", "high", "low", "volume", "amount", "bids", "asks", "exchange_time", "status"
)  # fmt: skip
_COLUMNS = ("ts_code", *_SAID, "received_at", "source")
_TYPES = {
    "ts_code": "text", "name": "text", "volume": "bigint", "bids": "jsonb", "asks": "jsonb", "exchange_time": "timestamptz",
    "status": "text", "received_at": "timestamptz", "source": "text",
}  # fmt: skip
_BEFORE = ", ".join(f"live_quotes.{column}" for column in _SAID)
_AFTER = ", ".join(f"excluded.{column}" for column in _SAID)
# A quote that says what is known already is no change, but it is not old either. One that is older than what is stored
# (a second source that lags) takes nothing back.
_PUBLISH = f"""
INSERT INTO live_quotes ({", ".join(_COLUMNS)}, sequence)
SELECT {", ".join(_COLUMNS)}, %(sequence)s
FROM jsonb_to_recordset(%(rows)s::jsonb) AS given({", ".join(f"{name} {_TYPES.get(name, 'float8')}" for name in _COLUMNS)})
ON CONFLICT (ts_code) DO UPDATE SET
    {", ".join(f"{column} = excluded.{column}" for column in (*_SAID, "received_at", "source"))},
    sequence = CASE WHEN ({_BEFORE}) IS DISTINCT FROM ({_AFTER}) THEN excluded.sequence ELSE live_quotes.sequence END
WHERE live_quotes.exchange_time IS NULL OR excluded.exchange_time IS NULL
    OR excluded.exchange_time >= live_quotes.exchange_time
RETURNING ts_code, sequence
"""
_READ = f"SELECT {', '.join(_COLUMNS)}, sequence FROM live_quotes"
_NOTIFY = "SELECT pg_notify(%s, %s)"
_STATE = "SELECT sequence, process, source, last_success, next_retry, error, refused FROM quote_poller"
_RECORD = """
INSERT INTO quote_poller (one, process, source, last_success, next_retry, error, refused)
VALUES (true, %(process)s, %(source)s, %(last_success)s, %(next_retry)s, %(error)s, %(refused)s::jsonb)
ON CONFLICT (one) DO UPDATE SET
    process = excluded.process, next_retry = excluded.next_retry, error = excluded.error, refused = excluded.refused,
    source = coalesce(excluded.source, quote_poller.source),
    last_success = coalesce(excluded.last_success, quote_poller.last_success)
"""


@dataclass(frozen=True)
class PollerState:
    """How the poller of all processes fares. Before its first poll all is None."""

    sequence: int = 0
    """Of what was published last."""
    process: str | None = None
    """host:pid of the process that polls, or polled last."""
    source: str | None = None
    """The source that answered last."""
    last_success: dt.datetime | None = None
    next_retry: dt.datetime | None = None
    """When it will ask again, where it waits for a source or for the exchange to open."""
    error: str | None = None
    """What failed in the last poll, in words (another source may have answered in its place); None: nothing."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Codes of the last poll that have no quote, and why: nobody knows them, or their figures cannot be."""


class Store:
    """Quotes and subscriptions in the database. Threads may share it. DatabaseError where the database cannot be had."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def subscribe(self, subscriber: str, codes: Collection[str]) -> None:
        """From now on `subscriber` wants these codes, in place of those before, for 60 s: to subscribe again renews it."""
        with self._database.pool.connection() as connection:
            connection.execute(_SUBSCRIBE, {"subscriber": subscriber, "codes": sorted(set(codes)), "lease": LEASE})
            connection.execute(_LAPSED, (subscriber,))

    def ask_for_market(self, subscriber: str) -> None:
        """For the next 60 s `subscriber` wants the whole market beside its codes."""
        with self._database.pool.connection() as connection:
            connection.execute(_MARKET, {"subscriber": subscriber, "lease": LEASE})

    def unsubscribe(self, subscriber: str) -> None:
        """`subscriber` wants nothing more."""
        with self._database.pool.connection() as connection:
            connection.execute("DELETE FROM quote_subscriptions WHERE subscriber = %s", (subscriber,))

    def wanted(self, now: dt.datetime | None = None) -> frozenset[str]:
        """The codes of all subscriptions that last at `now` (default: the database's own time, in which leases count)."""
        with self._database.pool.connection() as connection:
            return frozenset(code for (code,) in connection.execute(_WANTED, (now,)))

    def market_wanted(self, now: dt.datetime | None = None) -> bool:
        """Whether somebody wants the whole market at `now`."""
        with self._database.pool.connection() as connection:
            return bool(connection.execute(_MARKET_WANTED, (now,)).fetchall()[0][0])

    def publish(self, quotes: Iterable[Quote]) -> frozenset[str]:
        """Keeps the quotes, tells every listener where one changed, and gives the codes of those."""
        rows = [_row(quote) for quote in quotes]
        if not rows:
            return frozenset()
        with self._database.pool.connection() as connection:
            ((sequence,),) = connection.execute(_NEXT).fetchall()
            given = {"sequence": sequence, "rows": json.dumps(rows, ensure_ascii=False)}
            changed = frozenset(code for code, at in connection.execute(_PUBLISH, given) if at == sequence)
            if changed:
                connection.execute(_NOTIFY, (CHANNEL, str(sequence)))
        return changed

    def latest(self, codes: Collection[str] | None = None) -> dict[str, Quote]:
        """The last good quote of each code (None: of all) that has one."""
        return {
            quote.ts_code: quote
            for quote in self._read("WHERE %(codes)s::text[] IS NULL OR ts_code = ANY(%(codes)s)", codes)[0]
        }

    def changed_since(self, sequence: int, codes: Collection[str] | None = None) -> tuple[list[Quote], int]:
        """The quotes (of `codes`; None: of all) that changed after `sequence`, and the sequence to ask from the next time."""
        where = "WHERE sequence > %(sequence)s AND (%(codes)s::text[] IS NULL OR ts_code = ANY(%(codes)s)) ORDER BY sequence"
        quotes, newest = self._read(where, codes, sequence)
        return quotes, max(sequence, newest)

    def state(self) -> PollerState:
        """How the poller fares."""
        with self._database.pool.connection() as connection:
            row = connection.execute(_STATE).fetchone()
        return PollerState() if row is None else PollerState(*row)

    def record(
        self,
        process: str,
        *,
        source: str | None = None,
        last_success: dt.datetime | None = None,
        next_retry: dt.datetime | None = None,
        error: str | None = None,
        refused: Mapping[str, str] | None = None,
    ) -> None:
        """Keeps how a poll went; a failed one (no source, no success) leaves the last good one's source and moment."""
        given = {
            "process": process, "source": source, "last_success": last_success, "next_retry": next_retry, "error": error,
            "refused": json.dumps(dict(refused or {}), ensure_ascii=False),
        }  # fmt: skip
        with self._database.pool.connection() as connection:
            connection.execute(_RECORD, given)

    def _read(self, where: str, codes: Collection[str] | None, sequence: int = 0) -> tuple[list[Quote], int]:
        given = {"codes": None if codes is None else list(codes), "sequence": sequence}
        with self._database.pool.connection() as connection:
            rows = connection.execute(f"{_READ} {where}", given).fetchall()
        return [_quote(row) for row in rows], max((row[-1] for row in rows), default=0)


def _row(quote: Quote) -> dict[str, Any]:
    row = {column: getattr(quote, column) for column in _COLUMNS}
    for column in ("exchange_time", "received_at"):
        row[column] = None if row[column] is None else row[column].isoformat()
    return row


def _quote(row: tuple[Any, ...]) -> Quote:
    said = dict(zip(_COLUMNS, row[:-1], strict=True))
    for side in ("bids", "asks"):
        said[side] = tuple((float(price), int(shares)) for price, shares in said[side])
    for column in ("exchange_time", "received_at"):
        said[column] = None if said[column] is None else said[column].astimezone(EXCHANGE_ZONE)
    return Quote(**said | {"status": status_of(said["status"])})
