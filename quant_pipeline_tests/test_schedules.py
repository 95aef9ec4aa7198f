"""The daily schedule asks the calendar: a run on a session, a reason in words on a closed day."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.schedules import daily_sync_schedule
from quant_pipeline.warehouse.database import Database


@pytest.fixture
def warehouse_at(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> WarehouseResource:
    monkeypatch.setenv("QUANT_DATABASE_URL", warehouse.url)
    return WarehouseResource()


def tick(resource: WarehouseResource, moment: str) -> dg.RunRequest | dg.SkipReason:
    at = dt.datetime.fromisoformat(moment)
    context = dg.build_schedule_context(scheduled_execution_time=at, resources={"warehouse": resource})
    answer = daily_sync_schedule(context)
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


def test_it_ticks_at_half_past_five_in_shanghai_on_every_day() -> None:
    assert daily_sync_schedule.cron_schedule == "30 17 * * *"
    assert daily_sync_schedule.execution_timezone == str(EXCHANGE_ZONE) == "Asia/Shanghai"
    assert daily_sync_schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert daily_sync_schedule.job_name == "daily_sync"


def test_a_session_is_asked_for_once_by_its_own_key(warehouse_at: WarehouseResource) -> None:
    request = tick(warehouse_at, "2026-11-20T17:30+08:00")
    assert isinstance(request, dg.RunRequest)
    assert (request.partition_key, request.run_key) == ("2026-11-20", "daily_sync:2026-11-20")


def test_the_day_is_the_exchange_s_whatever_the_zone_of_the_tick(warehouse_at: WarehouseResource) -> None:
    request = tick(warehouse_at, "2026-11-19T20:30-05:00")
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2026-11-20"


@pytest.mark.parametrize(
    ("moment", "day", "last"),
    [
        ("2026-11-21T17:30+08:00", "2026-11-21", "2026-11-20"),
        ("2026-10-01T17:30+08:00", "2026-10-01", "2026-09-30"),
        ("2026-10-07T17:30+08:00", "2026-10-07", "2026-09-30"),
    ],
    ids=["a Saturday", "National Day", "the last day of Golden Week"],
)
def test_a_closed_day_is_skipped_with_a_reason_in_words(
    warehouse_at: WarehouseResource, moment: str, day: str, last: str
) -> None:
    answer = tick(warehouse_at, moment)
    assert isinstance(answer, dg.SkipReason)
    assert answer.skip_message == f"{day} 休市: the exchange is closed; the last session was {last}."


def test_a_day_that_the_exchange_closed_at_short_notice_is_skipped(
    warehouse_at: WarehouseResource, warehouse: Database
) -> None:
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO trade_calendar (exchange, cal_date, is_open, source) VALUES ('SSE', '2026-11-20', 0, 'tushare')"
        )
    assert isinstance(tick(warehouse_at, "2026-11-20T17:30+08:00"), dg.SkipReason)


def test_past_the_calendar_s_end_it_says_so_loudly(warehouse_at: WarehouseResource) -> None:
    with pytest.raises(Exception, match="sync trade_calendar"):
        tick(warehouse_at, "2031-01-06T17:30+08:00")
