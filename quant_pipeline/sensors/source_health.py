"""Watches the sources: tells the user when one fails too often, is slow, or is left alone by its circuit breaker."""

import datetime as dt
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.market import clock
from quant_pipeline.notify.messages import refusal_unknown, sources_unhealthy
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sources import registry
from quant_pipeline.sync.insight.health import health_of, troubles
from quant_pipeline.warehouse.database import Database

_KEY = "sources-unhealthy"
_RETURNED, _REMINDER = dt.timedelta(hours=1), dt.timedelta(days=1)
# Each text once for ever, whatever its numbers: the event of a text may be recorded anew when old events are removed.
_UNKNOWN_REFUSALS = """
SELECT key, source, api, reason FROM (
    SELECT DISTINCT ON (key) 'unknown-refusal:' || source || ':' || md5(regexp_replace(reason, '[0-9]+', '0', 'g')) AS key,
        source, api, reason, id
    FROM source_events WHERE kind = 'unknown_refusal' ORDER BY key, id
) AS text WHERE NOT EXISTS (SELECT FROM messages WHERE dedupe_key = key) ORDER BY id
"""


@dg.sensor(
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of sources that fail or are slow, each API once until it is well, and of refusals in unknown words. "
    "数据源异常告警",
)
def source_health(
    context: dg.SensorEvaluationContext, warehouse: WarehouseResource, notifier: NotifierResource
) -> dg.SkipReason:
    """Nothing is run: the tick itself looks and tells. One message names all that is new.

    The cursor holds what is in trouble and was told, and when: a state that lasts is told once, and again after a day; one
    that comes and goes, once an hour.
    """
    current, database = settings.load(), warehouse.database
    found = troubles(health_of(database, registry.policies(current.rate_limits), registry.priorities()))
    now, told = clock.now(), _read(context.cursor)
    new = {name: words for name, words in found.items() if name not in told or now - told[name].at >= _again(told[name])}
    context.update_cursor(_written(told, found, new, now))
    if new:
        event = f"{_KEY}:{now:%Y-%m-%dT%H:%M}:"
        message = sources_unhealthy(troubles=list(new.items()), ui_url=current.ui_url, sandbox=current.sandboxed)
        notifier.tell(event + ",".join(new), message)
    for key, source, api, text in _unknown_refusals(database):
        refusal = refusal_unknown(source=source, api=api, text=text, ui_url=current.ui_url, sandbox=current.sandboxed)
        notifier.tell(key, refusal)
    return dg.SkipReason(
        f"异常 in trouble: {', '.join(found)}; 新告警 told now {len(new)}" if found else "数据源正常 all healthy"
    )


def _unknown_refusals(database: Database) -> list[tuple[str, str, str, str]]:
    """The key, source, API and text of each refusal in words that nobody knows, and of which no message tells yet."""
    with database.connect() as connection:
        return connection.execute(_UNKNOWN_REFUSALS).fetchall()


@dataclass(frozen=True)
class _Told:
    """When an API was told of, and whether it has been in trouble ever since."""

    at: dt.datetime
    lasting: bool


def _again(told: _Told) -> dt.timedelta:
    """How long after it was told of it is worth another message."""
    return _REMINDER if told.lasting else _RETURNED


def _read(cursor: str | None) -> dict[str, _Told]:
    return {name: _Told(dt.datetime.fromisoformat(at), lasting) for name, (at, lasting) in json.loads(cursor or "{}").items()}


def _written(told: Mapping[str, _Told], found: Collection[str], new: Collection[str], now: dt.datetime) -> str:
    known = {name: (now, True) if name in new else (each.at, each.lasting and name in found) for name, each in told.items()}
    known |= dict.fromkeys(new, (now, True))
    kept = {name: (f"{at:%Y-%m-%dT%H:%M:%S%z}", lasting) for name, (at, lasting) in known.items() if now - at < _REMINDER * 2}
    return json.dumps(kept)
