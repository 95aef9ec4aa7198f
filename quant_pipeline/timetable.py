"""When the scheduled jobs run: defaults, with the user's `schedules.toml` laid over them. All times are Asia/Shanghai."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from quant_pipeline import project
from quant_pipeline.configuration import ConfigurationError, read_toml
from quant_pipeline.language import say
from quant_pipeline.wrong_values import first_problem

FILE = Path("schedules.toml")
"""Looked for in the project's folder, unless QUANT_SCHEDULES names another."""


class TimetableError(ConfigurationError):
    """A schedules file that cannot be used; the text names it and what is wrong in it."""


def _is_understood(cron: str) -> bool:
    """Whether Dagster takes it for a schedule."""
    try:
        dg.ScheduleDefinition(job_name="any", cron_schedule=cron)
    except dg.DagsterInvalidDefinitionError:
        return False
    return True


class Times(BaseModel):
    """When one job runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: str = Field(description="minute hour day month weekday, Asia/Shanghai")
    on: bool = Field(True, description="Whether the schedule starts switched on; the UI's switch overrules it")

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, cron: str) -> str:
        if len(cron.split()) != 5 or not _is_understood(cron):
            raise ValueError(say("{cron!r} is no cron expression of five fields, such as '30 17 * * *'", cron=cron))
        return cron


_DAYS = ("Sunday 周日", "Monday 周一", "Tuesday 周二", "Wednesday 周三", "Thursday 周四", "Friday 周五", "Saturday 周六")
DEFAULTS: dict[str, Times] = {
    "daily_sync": Times(cron="30 17 * * *"),
    "catch_up": Times(cron="0 1 * * *"),
    "reference_sync": Times(cron="30 8 * * *"),
    "pre_open_sync": Times(cron="45 8 * * *"),
    "auction_sync": Times(cron="27 9 * * *"),
    "hot_sync": Times(cron="0 10-15 * * *"),
    "weekly_sync": Times(cron="0 2 * * 1"),
    "monthly_sync": Times(cron="0 3 1 * *"),
    "verification": Times(cron="0 4 1 * *"),
    "weekly_verification": Times(cron="20 4 1 * *"),
    "monthly_verification": Times(cron="30 4 1 * *"),
    "quotes_report": Times(cron="30 18 * * *"),
    "operations_report": Times(cron="15 * * * *"),
    "signals_cleanup": Times(cron="30 6 * * *"),
}
"""job -> when it runs."""


def load(path: Path | None) -> dict[str, Times]:
    """The times of every job. ConfigurationError when the file (default: schedules.toml, where there is one) cannot be used."""
    file = place(path)
    if path is None and not file.is_file():
        return dict(DEFAULTS)
    return laid_over(read_toml(file, say("the schedules")), file)


def place(path: Path | None) -> Path:
    """The file that times are read from: `path` (that of QUANT_SCHEDULES), else schedules.toml in the project's folder."""
    if path is not None:
        return path
    known = project.found()
    return known.folder / FILE if known is not None else FILE


def laid_over(written: Mapping[str, Any], path: Path) -> dict[str, Times]:
    """The times of every job, by the tables of a file and the defaults. TimetableError names what is wrong in `path`."""
    times = dict(DEFAULTS)
    for job, fields in written.items():
        if job not in DEFAULTS:
            text = say("{path}: there is no job {job!r}; jobs are {jobs}", path=path, job=job, jobs=", ".join(DEFAULTS))
            raise TimetableError(text)
        try:
            times[job] = Times(**DEFAULTS[job].model_dump() | fields)
        except (ValidationError, TypeError) as error:
            text = first_problem(error) if isinstance(error, ValidationError) else say("write a table, such as [daily_sync]")
            raise TimetableError(f"{path}, [{job}]: {text}") from None
    return times


def spoken(cron: str) -> str:
    """The time as a person says it: "17:30", "Monday 02:00"; an expression with more to it as it is. Shanghai time."""
    minute, hour, day, month, weekday = cron.split()
    if not (minute.isdigit() and (hour.isdigit() or hour == "*")) or month != "*":
        return f"{cron} (Asia/Shanghai 上海时间)"
    at = f"{int(hour):02}:{int(minute):02}" if hour != "*" else f"every hour at :{int(minute):02} 每小时第 {int(minute)} 分"
    if day.isdigit() and weekday == "*":
        at = f"the {int(day)}. of the month 每月 {int(day)} 日 {at}"
    elif weekday.isdigit() and day == "*":
        at = f"{_DAYS[int(weekday) % 7]} {at}"
    elif (day, weekday) != ("*", "*"):
        return f"{cron} (Asia/Shanghai 上海时间)"
    return f"{at} Asia/Shanghai 上海时间"
