"""The parameters of a Tushare call: days and lists of values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import polars as pl

from quant_pipeline.sandbox.simulation.interface import ParameterError
from quant_pipeline.sandbox.simulation.sessions import Sessions


def day(params: Mapping[str, str], name: str) -> dt.date:
    """The day of a parameter. ParameterError when it is none."""
    try:
        return dt.datetime.strptime(str(params[name]), "%Y%m%d").date()  # noqa: DTZ007  (a calendar day has no zone)
    except ValueError:
        raise ParameterError(f"参数校验失败，{name}={params[name]} 不是YYYYMMDD格式的日期") from None


def span(params: Mapping[str, str], sessions: Sessions, first: int, stop: int) -> tuple[int, int]:
    """The ordinals (first, stop) that trade_date, start_date and end_date leave of the given ones."""
    if params.get("trade_date"):
        only = day(params, "trade_date")
        first, stop = max(first, sessions.ordinal(only)), min(stop, sessions.ordinal(only + dt.timedelta(days=1)))
    if params.get("start_date"):
        first = max(first, sessions.ordinal(day(params, "start_date")))
    if params.get("end_date"):
        stop = min(stop, sessions.ordinal(day(params, "end_date") + dt.timedelta(days=1)))
    return first, stop


def among(frame: pl.DataFrame, column: str, values: str) -> pl.DataFrame:
    """The rows whose value is one of a comma-separated list."""
    return frame.filter(pl.col(column).is_in([value.strip() for value in values.split(",")]))


def matching(frame: pl.DataFrame, params: Mapping[str, str], *names: str) -> pl.DataFrame:
    """The rows that fit each of the named parameters that was given, where there is such a column."""
    for name in names:
        if params.get(name) and name in frame.columns:
            frame = among(frame, name, params[name])
    return frame
