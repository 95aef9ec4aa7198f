"""Watches the sources: tells the user when one fails too often, is slow, or is left alone by its circuit breaker."""

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.market import clock
from quant_pipeline.notify.messages import refusal_unknown, sources_unhealthy
from quant_pipeline.resources.pushplus import PushPlusResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sources import registry
from quant_pipeline.sync.insight.health import health_of, troubles
from quant_pipeline.warehouse.database import Database

_KEY = "sources-unhealthy"
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
    description="Tells of sources that fail or are slow, each API once an hour, and of refusals in unknown words. "
    "数据源异常告警",
)
def source_health(warehouse: WarehouseResource, pushplus: PushPlusResource) -> dg.SkipReason:
    """Nothing is run: the tick itself looks and tells. One message names all that is new; its key says what it named."""
    current, database = settings.load(), warehouse.database
    found = troubles(health_of(database, registry.policies(current.rate_limits), registry.priorities()))
    event = f"{_KEY}:{clock.now():%Y-%m-%dT%H}:"
    known = _told(database, event)
    new = {name: words for name, words in found.items() if name not in known}
    if new:
        message = sources_unhealthy(troubles=list(new.items()), ui_url=current.ui_url, sandbox=current.sandboxed)
        pushplus.tell(event + ",".join(new), message)
    for key, source, api, text in _unknown_refusals(database):
        refusal = refusal_unknown(source=source, api=api, text=text, ui_url=current.ui_url, sandbox=current.sandboxed)
        pushplus.tell(key, refusal)
    return dg.SkipReason(
        f"异常 in trouble: {', '.join(found)}; 新告警 told now {len(new)}" if found else "数据源正常 all healthy"
    )


def _unknown_refusals(database: Database) -> list[tuple[str, str, str, str]]:
    """The key, source, API and text of each refusal in words that nobody knows, and of which no message tells yet."""
    with database.connect() as connection:
        return connection.execute(_UNKNOWN_REFUSALS).fetchall()


def _told(database: Database, event: str) -> set[str]:
    """The APIs that this hour's messages named."""
    with database.connect() as connection:
        rows = connection.execute("SELECT dedupe_key FROM messages WHERE starts_with(dedupe_key, %s)", (event,)).fetchall()
    return {name for (key,) in rows for name in key.removeprefix(event).split(",")}
