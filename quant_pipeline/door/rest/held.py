"""Whether the rows that a path is asked for are stored: judged as Tushare's door judges the same question."""

from __future__ import annotations

from typing import Any

from quant_pipeline.door.access import Access
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.tushare.errors import Refusal
from quant_pipeline.door.tushare.lacking import NotHeld, command_of, demand_held, told
from quant_pipeline.door.tushare.parameters import Call, question_of
from quant_pipeline.door.tushare.reading import rows_of
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE

_APIS = {DAILY_KLINE.name: "daily", ADJ_FACTOR.name: "adj_factor"}


def demand(access: Access, dataset: Dataset, ts_code: str, first: Any, last: Any) -> str:
    """What is to be known about the rows of these days (None: all that there ever were), in words; mostly nothing. PageError
    404 names what lacks, and the command that brings it."""
    span = {name: f"{day:%Y%m%d}" for name, day in (("start_date", first), ("end_date", last)) if day is not None}
    calendar = access.calendar()
    try:
        question = question_of(Call(_APIS[dataset.name], "", {"ts_code": ts_code, **span}, ()))
        rows = rows_of(access.database, calendar, question)
        try:
            return demand_held(access.database, calendar, question, rows)
        except NotHeld as missing:
            what = f"{dataset.zh}尚未同步 Not synced yet"
            raise PageError(404, what, why=told(question, missing.lack).text, command=command_of(missing.lack)) from None
    except Refusal as refusal:
        raise PageError(404, "没有这些数据 There is none of it", why=refusal.text) from None
