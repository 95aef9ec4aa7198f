"""Source controls: circuits reset and priorities set by hand, and the record of every move."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from quant_pipeline.language import marked, say
from quant_pipeline.market.search import Named, near
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.rows import Row, rows_of

WHOLE = "*"
"""The API that stands for all of a source's."""
LAST_PRIORITY = 1000
CIRCUITS = {
    "closed": marked("closed"),
    "open": marked("open"),
    "half_open": marked("probing"),
    "blocked": marked("told to wait"),
}
"""The states of circuits in words."""
EVENTS = {
    "circuit_opened": marked("circuit opened"),
    "circuit_closed": marked("circuit closed"),
    "demoted": marked("put back"),
    "restored": marked("back in front"),
    "priority_set": marked("priority set"),
    "reset": marked("reset"),
    "failover": marked("failover"),
    "unknown_refusal": marked("unknown words"),
}
"""The kinds of moves in words."""

_APIS = "SELECT source, api FROM source_state WHERE api <> '*' ORDER BY source, api"
_RESET = """
WITH former AS (
    SELECT source, api, circuit, failures, blocked_until > now() AS blocked, demoted_at FROM source_state
    WHERE source = %(source)s AND (api = %(api)s OR %(api)s = '*') FOR UPDATE
), freed AS (
    UPDATE source_state
    SET circuit = 'closed', failures = 0, retry_at = NULL, probe = NULL, blocked_until = NULL, reason = NULL, demoted_at = NULL
    FROM former
    WHERE source_state.source = former.source AND source_state.api = former.api
      AND (former.circuit <> 'closed' OR former.failures > 0 OR former.blocked OR former.demoted_at IS NOT NULL)
    RETURNING former.*
)
INSERT INTO source_events (source, api, kind, reason)
SELECT source, api, 'reset', 'by hand, was: ' || concat_ws(', ',
    CASE WHEN circuit <> 'closed' THEN 'circuit ' || circuit END,
    CASE WHEN failures > 0 THEN failures || ' failed calls in a row' END,
    CASE WHEN blocked THEN 'asked to wait' END,
    CASE WHEN demoted_at IS NOT NULL THEN 'put behind the next source' END)
FROM freed RETURNING source, api, reason
"""
# The row of api * is the limiter's lock on the whole source: it is there before any API's.
_KNOW = "INSERT INTO source_state (source, api) VALUES (%(source)s, '*') ON CONFLICT DO NOTHING"
_SET = """
WITH former AS (
    SELECT priority FROM source_state WHERE source = %(source)s AND api = %(api)s
), written AS (
    INSERT INTO source_state (source, api, priority)
    SELECT %(source)s, %(api)s, %(priority)s WHERE %(priority)s::int IS NOT NULL OR EXISTS (SELECT FROM former)
    ON CONFLICT (source, api) DO UPDATE SET priority = excluded.priority
    WHERE source_state.priority IS DISTINCT FROM excluded.priority
    RETURNING priority
)
INSERT INTO source_events (source, api, kind, reason)
SELECT %(source)s, %(api)s, 'priority_set', format('by hand: %%s, was %%s',
    coalesce(written.priority::text, 'as the environment says'), coalesce(former.priority::text, 'as the environment says'))
FROM written LEFT JOIN former ON true
"""
_EVENTS = "SELECT at, source, api, kind, reason FROM source_events ORDER BY at DESC, id DESC LIMIT %(count)s"


@dataclass(frozen=True)
class SourceApi:
    """A source, or one of its APIs: what a person resets or ranks."""

    source: str
    api: str = WHOLE

    def __str__(self) -> str:
        return self.source if self.api == WHOLE else f"{self.source}.{self.api}"


def source_api_of(text: str, known: Mapping[str, Collection[str]]) -> SourceApi:
    """`SOURCE` or `SOURCE.API` as a person types it. `known`: source -> its APIs; ValueError says what was perhaps meant, else
    lists them."""
    source, _, api = text.strip().partition(".")
    if source not in known:
        raise ValueError(say("unknown source: {source!r}.", source=source) + _perhaps(source, known))
    if api and api != WHOLE and api not in known[source]:
        told = say("unknown API of {source}: {api!r}.", source=source, api=api)
        raise ValueError(told + _perhaps(api, sorted(known[source]), begin=f"{source}."))
    return SourceApi(source, api or WHOLE)


def _perhaps(typed: str, known: Iterable[str], *, begin: str = "") -> str:
    """What comes near, as it is to be typed: behind the `begin`; else all that there is."""
    if alike := near(typed, [Named(each, "") for each in known], limit=3):
        return say(" Did you mean {names}?", names=", ".join(f"{begin}{each.code}" for each in alike))
    return say(" Known: {names}", names=", ".join(known) or say("none"))


def priority_of(text: str, known: Mapping[str, Collection[str]]) -> tuple[SourceApi, int | None]:
    """`SOURCE[.API]=N` as a person types it; None for an empty value. ValueError says what to write."""
    name, equals, value = text.partition("=")
    if not equals or not (value.strip().isdecimal() or not value.strip()) or int(value.strip() or 0) > LAST_PRIORITY:
        raise ValueError(
            say(
                "{text!r} is no priority: write tushare=1 (1 is first, {last} the last, 0 is off) "
                "or tushare= (as the environment says)",
                text=text,
                last=LAST_PRIORITY,
            )
        )
    return source_api_of(name, known), int(value) if value.strip() else None


def called_apis(database: Database) -> dict[str, list[str]]:
    """source -> its APIs that were ever called."""
    called: dict[str, list[str]] = {}
    with database.connect() as connection:
        for source, api in connection.execute(_APIS):
            called.setdefault(source, []).append(api)
    return called


def reset(database: Database, target: SourceApi) -> list[str]:
    """Closes the circuit, lifts the wait that the source asked for, and the demotion: of one API, or of all of a source's.

    Each that was freed is recorded in source_events. Returns their names and what they were.
    """
    with database.connect() as connection:
        rows = connection.execute(_RESET, vars(target)).fetchall()
    return [f"{SourceApi(source, api)}: {reason}" for source, api, reason in rows]


def set_priority(database: Database, target: SourceApi, priority: int | None) -> bool:
    """Sets a priority that overrules the environment's (None: takes it away); False when it stood so already.

    A sync that is running follows within seconds.
    """
    with database.connect() as connection:
        connection.execute(_KNOW, vars(target))
        return connection.execute(_SET, vars(target) | {"priority": priority}).rowcount > 0


def events(database: Database, count: int = 50) -> list[Row]:
    """The last moves and changes of circuits, the latest first: at, source, api, kind, reason."""
    with database.connect() as connection:
        return rows_of(connection, _EVENTS, {"count": count})
