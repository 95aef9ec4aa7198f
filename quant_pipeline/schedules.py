"""When jobs run: by the exchange's calendar, in its time zone, at the times of `schedules.toml`."""

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg

from quant_pipeline import jobs, settings, timetable
from quant_pipeline.market.calendar import Calendar, CalendarError
from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.market.dataset import Partition
from quant_pipeline.market.datasets import AUCTION, INDEX_WEIGHTS, MONTHLY_KLINE, SUSPENSIONS, THS_HOT, WEEKLY_KLINE
from quant_pipeline.partitions import key_of, range_tags
from quant_pipeline.quotes.settings import QuotesSettings
from quant_pipeline.resources.options import AGAIN_TAG, run_config_of
from quant_pipeline.resources.sync import QUEUE_TAG
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.selections import BY_SESSION
from quant_pipeline.settings import read as read_settings
from quant_pipeline.switches import switched_off
from quant_pipeline.warehouse.reads import read_sql

if TYPE_CHECKING:
    from quant_pipeline.resources.dagster_private.names import AssetJob

CATCH_UP_SESSIONS = 10
"""How far back the nightly catch-up looks: a Golden Week and a bit."""
PERIODS_BACK = 4
"""How many weeks or months the weekly and monthly jobs look back: finished ones cost nothing."""
_ANSWER = dg.RunRequest | dg.SkipReason
_QUEUED = {QUEUE_TAG: "true"}
_DATASETS_OF = {
    jobs.auction_sync.name: (AUCTION.name,),
    jobs.hot_sync.name: (THS_HOT.name,),
    jobs.weekly_sync.name: (WEEKLY_KLINE.name,),
    jobs.monthly_sync.name: (MONTHLY_KLINE.name, INDEX_WEIGHTS.name),
    jobs.weekly_verification.name: (WEEKLY_KLINE.name,),
    jobs.monthly_verification.name: (MONTHLY_KLINE.name, INDEX_WEIGHTS.name),
}
"""The jobs that are for one data set or two: where all of them are switched off they have nothing to do."""
_TIMES = timetable.load(settings.load().schedules)
_FILE = f"{settings.load().schedules or timetable.FILE}"
_FIRST_STORED = "SELECT min(trade_date) AS first FROM sync_items WHERE status = 'success' AND dataset = 'daily_kline'"


def _schedule(job: "AssetJob | dg.JobDefinition", words: str) -> Callable[..., dg.ScheduleDefinition]:
    """A schedule of the job: the decorated function takes (day, warehouse), and answers with a run or a reason to skip."""
    times = _TIMES[job.name]

    def declare(decide: Callable[[dt.datetime, WarehouseResource], _ANSWER]) -> dg.ScheduleDefinition:
        @dg.schedule(
            name=f"{job.name}_schedule",
            job=job,
            cron_schedule=times.cron,
            execution_timezone=str(EXCHANGE_ZONE),
            default_status=dg.DefaultScheduleStatus.RUNNING if times.on else dg.DefaultScheduleStatus.STOPPED,
            description=f"{timetable.spoken(times.cron)}: {words} Closed days are skipped 休市日跳过. Set in {_FILE} 时间设置",
        )
        def schedule(context: dg.ScheduleEvaluationContext, warehouse: WarehouseResource) -> dg.RunRequest | dg.SkipReason:
            its_own = _DATASETS_OF.get(job.name, ())
            if its_own and switched_off().issuperset(its_own):
                return dg.SkipReason(f"{', '.join(its_own)} 已停用: it is switched off (QUANT_WITHOUT).")
            at = context.scheduled_execution_time.astimezone(EXCHANGE_ZONE)
            try:
                return decide(at, warehouse)
            except CalendarError as error:
                # In the first days of a year the calendar may not reach so far: the lists bring the new one, all else waits.
                if job.name == jobs.reference_sync.name:
                    return dg.RunRequest(run_key=f"{job.name}:{at.date()}", tags=_QUEUED)
                return dg.SkipReason(f"日历未更新: {error}")

        return schedule

    return declare


@_schedule(jobs.daily_sync, "The session's data, checks, screens, when it has ended. 收盘后：当日数据、检查、选股")
def daily_sync_schedule(at: dt.datetime, warehouse: WarehouseResource) -> _ANSWER:
    """The session that has just ended."""
    once_more = [SUSPENSIONS.name] if SUSPENSIONS.name in BY_SESSION else []  # of 08:45, without the halts of the day itself
    tags = {AGAIN_TAG: ",".join(once_more)} if once_more else {}
    return _on_a_session(
        at,
        warehouse.calendar(),
        lambda day: dg.RunRequest(run_key=f"daily_sync:{day}", partition_key=day.isoformat(), tags=tags),
    )


@_schedule(jobs.catch_up, "The last ten sessions once more, in the night after a session. 夜间补数：最近十个交易日")
def catch_up_schedule(at: dt.datetime, warehouse: WarehouseResource) -> _ANSWER:
    """The last ten sessions."""
    calendar, eve = warehouse.calendar(), at.date() - dt.timedelta(days=1)
    if not calendar.is_session(eve):
        return _closed(eve, calendar)
    start = calendar.window(eve, CATCH_UP_SESSIONS)[0]
    tags = range_tags(Partition.SESSION, start, eve) | _QUEUED
    return dg.RunRequest(run_key=f"catch_up:{eve}", tags=tags)


@_schedule(jobs.reference_sync, "All lists, before the open. 开盘前：基础列表")
def reference_sync_schedule(at: dt.datetime, warehouse: WarehouseResource) -> _ANSWER:
    """All lists."""
    return _on_a_session(at, warehouse.calendar(), lambda day: dg.RunRequest(run_key=f"reference_sync:{day}", tags=_QUEUED))


@_schedule(jobs.pre_open_sync, "Halts and limit prices of the session, before it opens. 开盘前停牌与涨跌停价")
def pre_open_sync_schedule(at: dt.datetime, warehouse: WarehouseResource) -> _ANSWER:
    """Today's halts and limit prices; it waits behind the lists of 08:30."""
    return _on_a_session(
        at,
        warehouse.calendar(),
        lambda day: dg.RunRequest(run_key=f"pre_open_sync:{day}", partition_key=day.isoformat(), tags=_QUEUED),
    )


@_schedule(jobs.auction_sync, "The opening auction, when it is over. 集合竞价结束后")
def auction_sync_schedule(at: dt.datetime, warehouse: WarehouseResource) -> _ANSWER:
    """Today's opening auction."""
    return _on_a_session(at, warehouse.calendar(), lambda day: _of_session(jobs.auction_sync, day))


@_schedule(jobs.hot_sync, "THS's hot list, again and again during a session. 盘中：同花顺热榜")
def hot_sync_schedule(at: dt.datetime, warehouse: WarehouseResource) -> _ANSWER:
    """The hot list again, though it was synced an hour ago."""
    again = run_config_of({"force": True})
    return _on_a_session(
        at,
        warehouse.calendar(),
        lambda day: dg.RunRequest(
            run_key=f"hot_sync:{at:%Y-%m-%dT%H:%M}", partition_key=day.isoformat(), run_config=again, tags=_QUEUED
        ),
    )


@_schedule(jobs.weekly_sync, "The week that has ended. 上周周线")
def weekly_sync_schedule(at: dt.datetime, warehouse: WarehouseResource) -> _ANSWER:
    """The weeks before this one."""
    monday = at.date() - dt.timedelta(days=at.weekday())
    return _of_periods(
        "weekly_sync",
        Partition.WEEK,
        warehouse.calendar(),
        start=monday - dt.timedelta(weeks=PERIODS_BACK),
        end=monday - dt.timedelta(days=1),
        last_from=monday - dt.timedelta(weeks=1),
    )


@_schedule(jobs.monthly_sync, "The month that has ended. 上月月线、指数成分")
def monthly_sync_schedule(at: dt.datetime, warehouse: WarehouseResource) -> _ANSWER:
    """The months before this one."""
    end = at.date().replace(day=1) - dt.timedelta(days=1)
    start = end
    for _ in range(PERIODS_BACK - 1):
        start = start.replace(day=1) - dt.timedelta(days=1)
    return _of_periods(
        "monthly_sync",
        Partition.MONTH,
        warehouse.calendar(),
        start=start.replace(day=1),
        end=end,
        last_from=end.replace(day=1),
    )


@_schedule(jobs.verification, "The whole stored history: what is short, broken or restated is fetched again. 全历史校验")
def verification_schedule(at: dt.datetime, warehouse: WarehouseResource) -> _ANSWER:
    """Repairs what is short, broken or restated, from the first stored session to the latest; the lists are fetched again."""
    return _repair(at, warehouse, jobs.verification, Partition.SESSION)


@_schedule(jobs.weekly_verification, "All stored weeks: what is short or broken is fetched again. 周线全历史校验")
def weekly_verification_schedule(at: dt.datetime, warehouse: WarehouseResource) -> _ANSWER:
    """Repairs the weeks."""
    return _repair(at, warehouse, jobs.weekly_verification, Partition.WEEK)


@_schedule(jobs.monthly_verification, "All stored months: what is short or broken is fetched again. 月线、指数成分全历史校验")
def monthly_verification_schedule(at: dt.datetime, warehouse: WarehouseResource) -> _ANSWER:
    """Repairs the months."""
    return _repair(at, warehouse, jobs.monthly_verification, Partition.MONTH)


@_schedule(jobs.quotes_report, "What was kept of the session's live quotes, beside its bars. 盘中快照汇总与核对")
def quotes_report_schedule(at: dt.datetime, warehouse: WarehouseResource) -> _ANSWER:
    """Today's quotes, where they are kept."""
    if not read_settings(QuotesSettings).stored:
        return dg.SkipReason("未开启留存: live quotes are not kept (QUANT_QUOTES_STORE=true in .env switches it on).")
    return _on_a_session(at, warehouse.calendar(), lambda day: _of_session(jobs.quotes_report, day))


@_schedule(jobs.operations_report, "Status, history, sources, statistics. 运行报告")
def operations_report_schedule(at: dt.datetime, warehouse: WarehouseResource) -> _ANSWER:
    """The reports of the group operations: on closed days nothing changes that they could tell."""
    return _on_a_session(at, warehouse.calendar(), lambda day: dg.RunRequest(run_key=f"operations_report:{day}T{at:%H:%M}"))


@_schedule(jobs.signals_cleanup, "Expired signals are marked, old ones forgotten. 清理过期信号")
def signals_cleanup_schedule(at: dt.datetime, warehouse: WarehouseResource) -> _ANSWER:
    """In the night after a session, when the next day's are not there yet."""
    eve = at.date() - dt.timedelta(days=1)
    calendar = warehouse.calendar()
    return dg.RunRequest(run_key=f"signals_cleanup:{eve}") if calendar.is_session(eve) else _closed(eve, calendar)


SCHEDULES = [
    daily_sync_schedule,
    catch_up_schedule,
    reference_sync_schedule,
    pre_open_sync_schedule,
    auction_sync_schedule,
    hot_sync_schedule,
    weekly_sync_schedule,
    monthly_sync_schedule,
    verification_schedule,
    weekly_verification_schedule,
    monthly_verification_schedule,
    quotes_report_schedule,
    operations_report_schedule,
    signals_cleanup_schedule,
]


def _on_a_session(at: dt.datetime, calendar: Calendar, request: Callable[[dt.date], dg.RunRequest]) -> _ANSWER:
    """Asks the calendar, which knows the holidays (and says so loudly where it ends)."""
    day = at.date()
    return request(day) if calendar.is_session(day) else _closed(day, calendar)


def _repair(at: dt.datetime, warehouse: WarehouseResource, job: "AssetJob", partition: Partition) -> _ANSWER:
    """A run that repairs the job's data sets, from the first stored session to the latest before the tick."""
    first = read_sql(warehouse.database, _FIRST_STORED).item()
    if first is None:
        return dg.SkipReason("尚无数据: nothing is stored yet, there is nothing to verify.")
    repair = run_config_of({"repair": True})
    tags = range_tags(partition, first, warehouse.calendar().on_or_before(at.date() - dt.timedelta(days=1)))
    return dg.RunRequest(run_key=f"{job.name}:{at:%Y-%m}", run_config=repair, tags=tags | _QUEUED)


def _closed(day: dt.date, calendar: Calendar) -> dg.SkipReason:
    return dg.SkipReason(f"{day} 休市: the exchange is closed; the last session was {calendar.on_or_before(day)}.")


def _of_session(job: "AssetJob", day: dt.date) -> dg.RunRequest:
    return dg.RunRequest(run_key=f"{job.name}:{day}", partition_key=day.isoformat())


def _of_periods(
    job: str, partition: Partition, calendar: Calendar, *, start: dt.date, end: dt.date, last_from: dt.date
) -> _ANSWER:
    """The periods from `start` to `end`; a reason to skip where the last one, which begins on `last_from`, had no session."""
    if not calendar.between(last_from, end):
        return dg.SkipReason(f"{last_from} .. {end} 休市: the exchange was closed for the whole {partition}.")
    tags = range_tags(partition, calendar.between(start, end)[0], end) | _QUEUED
    return dg.RunRequest(run_key=f"{job}:{key_of(partition, end)}", tags=tags)
