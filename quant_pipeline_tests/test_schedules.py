"""The schedules ask the calendar: a run for what has ended, a reason in words on a closed day; times come from one file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import dagster as dg
import pytest

from quant_pipeline import timetable
from quant_pipeline.configuration import ConfigurationError
from quant_pipeline.jobs import JOBS
from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.resources.options import options_of
from quant_pipeline.resources.sync import QUEUE_TAG
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.schedules import SCHEDULES
from quant_pipeline.timetable import DEFAULTS
from quant_pipeline.warehouse.database import Database

BY_JOB = {schedule.job_name: schedule for schedule in SCHEDULES}
ROOT = Path(__file__).parents[1]


@pytest.fixture
def warehouse_at(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> WarehouseResource:
    monkeypatch.setenv("QUANT_DATABASE_URL", warehouse.url)
    return WarehouseResource()


def tick(resource: WarehouseResource, moment: str, job: str = "daily_sync") -> dg.RunRequest | dg.SkipReason:
    at = dt.datetime.fromisoformat(moment)
    context = dg.build_schedule_context(scheduled_execution_time=at, resources={"warehouse": resource})
    answer = BY_JOB[job](context)
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


def asked(resource: WarehouseResource, moment: str, job: str) -> dg.RunRequest:
    answer = tick(resource, moment, job)
    assert isinstance(answer, dg.RunRequest), answer
    return answer


def span(request: dg.RunRequest) -> tuple[str, str]:
    tags = request.tags
    return tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"]


@pytest.mark.parametrize(("job", "dataset"), [("auction_sync", "auction"), ("weekly_sync", "weekly_kline")])
def test_the_job_of_a_data_set_that_is_switched_off_says_so(
    warehouse_at: WarehouseResource, monkeypatch: pytest.MonkeyPatch, job: str, dataset: str
) -> None:
    monkeypatch.setenv("QUANT_WITHOUT", dataset)
    answer = tick(warehouse_at, "2026-11-20T09:27:00+08:00", job)
    assert isinstance(answer, dg.SkipReason)
    assert "QUANT_WITHOUT" in str(answer.skip_message)
    monkeypatch.delenv("QUANT_WITHOUT")
    asked(warehouse_at, "2026-11-20T09:27:00+08:00", job)


@pytest.mark.parametrize(
    ("job", "cron"),
    [
        ("daily_sync", "30 17 * * *"),
        ("catch_up", "0 1 * * *"),
        ("weekly_sync", "0 2 * * 1"),
        ("monthly_sync", "0 3 1 * *"),
        ("verification", "0 4 1 * *"),
        ("weekly_verification", "20 4 1 * *"),
        ("monthly_verification", "30 4 1 * *"),
        ("reference_sync", "30 8 * * *"),
        ("pre_open_sync", "45 8 * * *"),
        ("auction_sync", "27 9 * * *"),
        ("hot_sync", "0 10-15 * * *"),
        ("quotes_report", "30 18 * * *"),
    ],
)
def test_each_job_has_its_time_in_shanghai_and_runs_by_itself(job: str, cron: str) -> None:
    schedule = BY_JOB[job]
    assert schedule.cron_schedule == cron
    assert schedule.execution_timezone == str(EXCHANGE_ZONE) == "Asia/Shanghai"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_every_job_is_scheduled_and_every_time_is_some_job_s() -> None:
    by_hand = {"backtest_grid", "backtest_walk_forward", "bind_receiver"}
    logins = {job.name for job in JOBS if job.name.startswith("ths_")}  # by hand too, or by their sensor
    assert set(BY_JOB) == {job.name for job in JOBS} - by_hand - logins == set(DEFAULTS)


def test_a_session_is_asked_for_once_by_its_own_key(warehouse_at: WarehouseResource) -> None:
    request = asked(warehouse_at, "2026-11-20T17:30+08:00", "daily_sync")
    assert (request.partition_key, request.run_key) == ("2026-11-20", "daily_sync:2026-11-20")


def test_the_day_is_the_exchange_s_whatever_the_zone_of_the_tick(warehouse_at: WarehouseResource) -> None:
    assert asked(warehouse_at, "2026-11-19T20:30-05:00", "daily_sync").partition_key == "2026-11-20"


@pytest.mark.parametrize(
    "job", ["daily_sync", "reference_sync", "pre_open_sync", "auction_sync", "hot_sync", "operations_report"]
)
@pytest.mark.parametrize(
    ("moment", "day", "last"),
    [
        ("2026-11-21T17:30+08:00", "2026-11-21", "2026-11-20"),
        ("2026-10-01T17:30+08:00", "2026-10-01", "2026-09-30"),
    ],
)
def test_a_closed_day_is_skipped_with_the_reason(
    warehouse_at: WarehouseResource, job: str, moment: str, day: str, last: str
) -> None:
    answer = tick(warehouse_at, moment, job)
    assert isinstance(answer, dg.SkipReason)
    assert answer.skip_message is not None
    assert f"{day} 休市" in answer.skip_message
    assert last in answer.skip_message


def test_kept_quotes_are_reported_only_where_they_are_kept(
    warehouse_at: WarehouseResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = tick(warehouse_at, "2026-11-20T18:30+08:00", "quotes_report")
    assert isinstance(answer, dg.SkipReason)
    assert "QUANT_QUOTES_STORE=true" in str(answer.skip_message)
    monkeypatch.setenv("QUANT_QUOTES_STORE", "true")
    assert asked(warehouse_at, "2026-11-20T18:30+08:00", "quotes_report").partition_key == "2026-11-20"
    assert isinstance(tick(warehouse_at, "2026-11-21T18:30+08:00", "quotes_report"), dg.SkipReason)


def test_the_synced_calendar_overrules_the_built_in_one(
    warehouse_at: WarehouseResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T17:30")
    with warehouse_at.database.connect() as connection:
        connection.execute(
            "INSERT INTO trade_calendar (exchange, cal_date, is_open, source) VALUES ('SSE', '2026-11-20', 0, 'tushare')"
        )
    assert isinstance(tick(warehouse_at, "2026-11-20T17:30+08:00"), dg.SkipReason)


def test_the_night_after_a_session_the_last_ten_are_looked_at_again(warehouse_at: WarehouseResource) -> None:
    request = asked(warehouse_at, "2026-11-21T01:00+08:00", "catch_up")
    assert span(request) == ("2026-11-09", "2026-11-20")
    assert request.tags[QUEUE_TAG] == "true", "it waits for a sync that is still going on"
    assert isinstance(tick(warehouse_at, "2026-11-22T01:00+08:00", "catch_up"), dg.SkipReason)


def test_on_monday_the_weeks_that_have_ended_are_asked_for(warehouse_at: WarehouseResource) -> None:
    request = asked(warehouse_at, "2026-11-23T02:00+08:00", "weekly_sync")
    assert span(request) == ("2026-10-26", "2026-11-16")
    answer = tick(warehouse_at, "2026-10-12T02:00+08:00", "weekly_sync")
    assert isinstance(answer, dg.RunRequest), "after the Golden Week, of which one day was open"


def test_a_week_without_any_session_is_skipped(warehouse_at: WarehouseResource) -> None:
    answer = tick(warehouse_at, "2026-02-23T02:00+08:00", "weekly_sync")
    assert isinstance(answer, dg.SkipReason)
    assert "2026-02-16 .. 2026-02-22 休市" in str(answer.skip_message)


def test_on_the_first_the_months_that_have_ended_are_asked_for(warehouse_at: WarehouseResource) -> None:
    assert span(asked(warehouse_at, "2026-11-01T03:00+08:00", "monthly_sync")) == ("2026-07", "2026-10")
    assert span(asked(warehouse_at, "2027-01-01T03:00+08:00", "monthly_sync")) == ("2026-09", "2026-12")


def test_the_verification_repairs_all_that_is_stored(warehouse_at: WarehouseResource) -> None:
    assert isinstance(tick(warehouse_at, "2026-11-01T04:00+08:00", "verification"), dg.SkipReason)
    with warehouse_at.database.connect() as connection:
        connection.execute(
            "INSERT INTO sync_runs (id, trigger, status, process, presence) VALUES ('r', 't', 'success', 'p', 1);"
            "INSERT INTO sync_items (sync_run, dataset, unit, trade_date, status)"
            " VALUES ('r', 'daily_kline', '2019-05-06', '2019-05-06', 'success')"
        )
    request = asked(warehouse_at, "2026-11-01T04:00+08:00", "verification")
    assert span(request) == ("2019-05-06", "2026-10-30")
    assert options_of(request.run_config) == {"repair": True}
    weeks = asked(warehouse_at, "2026-11-01T04:20+08:00", "weekly_verification")
    assert options_of(weeks.run_config) == {"repair": True}
    months = asked(warehouse_at, "2026-11-01T04:30+08:00", "monthly_verification")
    assert span(months) == ("2019-05", "2026-10")


def test_the_hot_list_is_fetched_again_every_hour(warehouse_at: WarehouseResource) -> None:
    requests = [asked(warehouse_at, f"2026-11-20T{hour}:00+08:00", "hot_sync") for hour in (10, 11)]
    assert requests[0].run_key != requests[1].run_key
    assert options_of(requests[0].run_config) == {"force": True}


def test_past_the_calendar_s_end_the_lists_are_synced_and_all_else_says_why_it_waits(
    warehouse_at: WarehouseResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_NOW", "2027-01-04T18:00")
    asked(warehouse_at, "2027-01-04T08:30+08:00", "reference_sync")
    for job in ("daily_sync", "pre_open_sync", "catch_up"):
        answer = tick(warehouse_at, "2027-01-04T17:30+08:00", job)
        assert isinstance(answer, dg.SkipReason)
        assert "sync trade_calendar" in str(answer.skip_message)


def test_the_file_that_is_shipped_says_what_holds_without_it() -> None:
    assert timetable.load(ROOT / "schedules.toml") == DEFAULTS


def test_a_file_of_one_s_own_changes_and_switches_off(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('[daily_sync]\ncron = "0 19 * * *"\n\n[hot_sync]\non = false\n', encoding="utf-8")
    times = timetable.load(mine)
    assert (times["daily_sync"].cron, times["hot_sync"].on) == ("0 19 * * *", False)
    assert times["catch_up"] == DEFAULTS["catch_up"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[dayly_sync]\ncron = "0 19 * * *"', "there is no job 'dayly_sync'; jobs are daily_sync"),
        ('[daily_sync]\ncron = "19:00"', "no cron expression"),
        ('[daily_sync]\ncorn = "0 19 * * *"', "daily_sync"),
        ("daily_sync = 5", "write a table"),
        ("[daily_sync", "cannot be read"),
    ],
)
def test_a_wrong_file_is_told_by_name_and_place(tmp_path: Path, text: str, says: str) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=says) as refused:
        timetable.load(mine)
    assert str(mine) in str(refused.value)


def test_halts_and_limits_are_fetched_before_the_open_and_halts_once_more_in_the_evening(
    warehouse_at: WarehouseResource,
) -> None:
    request = asked(warehouse_at, "2026-11-20T08:45+08:00", "pre_open_sync")
    assert (request.partition_key, request.tags[QUEUE_TAG]) == ("2026-11-20", "true")
    evening = asked(warehouse_at, "2026-11-20T17:30+08:00", "daily_sync")
    assert evening.tags["quant/again"] == "suspensions"


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("45 8 * * *", "08:45 Asia/Shanghai 上海时间"),
        ("0 2 * * 1", "Monday 周一 02:00 Asia/Shanghai 上海时间"),
        ("0 2 * * 7", "Sunday 周日 02:00 Asia/Shanghai 上海时间"),
        ("0 3 1 * *", "the 1. of the month 每月 1 日 03:00 Asia/Shanghai 上海时间"),
        ("15 * * * *", "every hour at :15 每小时第 15 分 Asia/Shanghai 上海时间"),
        ("0 10-15 * * *", "0 10-15 * * * (Asia/Shanghai 上海时间)"),
        ("0 3 1 * 1", "0 3 1 * 1 (Asia/Shanghai 上海时间)"),
        ("0 3 1 6 *", "0 3 1 6 * (Asia/Shanghai 上海时间)"),
    ],
)
def test_the_ui_says_when_a_schedule_runs_as_it_was_set(cron: str, words: str) -> None:
    assert timetable.spoken(cron) == words


def test_each_schedule_s_description_begins_with_its_own_time_and_names_its_file() -> None:
    for schedule in SCHEDULES:
        assert isinstance(schedule.cron_schedule, str)
        assert schedule.description is not None
        assert schedule.description.startswith(timetable.spoken(schedule.cron_schedule) + ": ")
        assert "schedules.toml" in schedule.description
