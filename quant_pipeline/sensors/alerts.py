"""Looks at the rules of the alerts, and tells of refusals in words that nobody knows."""

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.notify.messages import refusal_unknown
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.warehouse.database import Database

# Each text once for ever, whatever its numbers: the event of a text may be recorded anew when old events are removed.
_UNKNOWN_REFUSALS = """
SELECT key, source, api, reason FROM (
    SELECT DISTINCT ON (key) 'unknown-refusal:' || source || ':' || md5(regexp_replace(reason, '[0-9]+', '0', 'g')) AS key,
        source, api, reason, id
    FROM source_events WHERE kind = 'unknown_refusal' ORDER BY key, id
) AS text WHERE NOT EXISTS (SELECT FROM messages WHERE dedupe_key = key) ORDER BY id
"""


@dg.sensor(
    minimum_interval_seconds=120,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Opens and ends alerts by their rules, and tells both, each once; tells of refusals in unknown words. "
    "按规则告警与恢复",
)
def alerts(warehouse: WarehouseResource, notifier: NotifierResource) -> dg.SkipReason:
    """Nothing is run: the tick itself looks and tells. What is new stands in one message."""
    found = notifier.evaluate()
    current = settings.load()
    for key, source, api, text in _unknown_refusals(warehouse.database):
        refusal = refusal_unknown(source=source, api=api, text=text, ui_url=current.ui_url, sandbox=current.sandboxed)
        notifier.tell(key, refusal)
    return dg.SkipReason(str(found))


def _unknown_refusals(database: Database) -> list[tuple[str, str, str, str]]:
    """The key, source, API and text of each refusal in words that nobody knows, and of which no message tells yet."""
    with database.connect() as connection:
        return connection.execute(_UNKNOWN_REFUSALS).fetchall()
