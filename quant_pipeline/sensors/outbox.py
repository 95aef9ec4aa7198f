"""Sends what waits in the outbox, and asks PushPlus what became of what it accepted."""

import dagster as dg

from quant_pipeline.resources.notifier import NotifierResource


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends waiting messages within PushPlus's limits. 发送待发消息",
)
def outbox(notifier: NotifierResource) -> dg.SkipReason:
    """Nothing is run: the tick itself does the work, and says what it did."""
    return dg.SkipReason(str(notifier.deliver()))
