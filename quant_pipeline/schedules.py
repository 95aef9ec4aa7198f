"""When jobs run: by the exchange's calendar, in its time zone."""

import dagster as dg

from quant_pipeline.jobs import daily_sync
from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.resources.warehouse import WarehouseResource


@dg.schedule(
    job=daily_sync,
    cron_schedule="30 17 * * *",
    execution_timezone=str(EXCHANGE_ZONE),
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="17:30 on every session of the exchange. 每个交易日 17:30",
)
def daily_sync_schedule(context: dg.ScheduleEvaluationContext, warehouse: WarehouseResource) -> dg.RunRequest | dg.SkipReason:
    """Asks the calendar, which knows the holidays (and says so loudly where it ends)."""
    day = context.scheduled_execution_time.astimezone(EXCHANGE_ZONE).date()
    calendar = warehouse.calendar()
    if not calendar.is_session(day):
        return dg.SkipReason(f"{day} 休市: the exchange is closed; the last session was {calendar.on_or_before(day)}.")
    return dg.RunRequest(run_key=f"daily_sync:{day}", partition_key=day.isoformat())
