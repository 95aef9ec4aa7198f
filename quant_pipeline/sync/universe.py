"""The universe of a data set: the codes that its lists name, with their lives."""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import DATASETS
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

_NONE = pl.DataFrame(schema={"ts_code": pl.String, "list_date": pl.Date, "delist_date": pl.Date})


@dataclass(frozen=True)
class Universe:
    """`listed`: ts_code, list_date, delist_date of every code that owes rows in its time, in the order of codes.

    Codes whose first day is not known are left out, and paused shares (they trade no more).
    """

    listed: pl.DataFrame

    @classmethod
    def load(cls, database: Database, dataset: Dataset) -> Universe:
        """What the data set's lists hold now; of those of the spec's `codes`, where it has some."""
        found = pl.concat([_NONE, *(read_sql(database, _query(DATASETS[name])) for name in dataset.universe)])
        if dataset.codes:
            found = found.filter(pl.col("ts_code").is_in(dataset.codes))
        return cls(found.sort("ts_code"))

    def codes(self, start: dt.date, end: dt.date) -> list[str]:
        """The codes that were listed at some time from `start` to `end`: whom to ask for one by one."""
        alive = (pl.col("list_date") <= end) & (pl.col("delist_date").is_null() | (pl.col("delist_date") > start))
        return self.listed.filter(alive)["ts_code"].to_list()

    def rows_on(self, days: Sequence[dt.date]) -> list[int]:
        """How many codes were listed on each of the days: about as many rows has its answer."""
        came = sorted(self.listed["list_date"].to_list())
        went = sorted(self.listed["delist_date"].drop_nulls().to_list())
        return [bisect.bisect_right(came, day) - bisect.bisect_right(went, day) for day in days]

    def rows_of(self, codes: Sequence[str], days: Sequence[dt.date]) -> list[int]:
        """On how many of the days (in order) each of the codes was listed; on all, when it is none of the universe."""
        lives = {code: (first, end or dt.date.max) for code, first, end in self.listed.iter_rows()}
        always = (dt.date.min, dt.date.max)
        spans = (lives.get(code, always) for code in codes)
        return [bisect.bisect_left(days, end) - bisect.bisect_left(days, first) for first, end in spans]


def boards(database: Database, dataset: Dataset) -> list[str]:
    """The boards whose members are asked for one by one, in order."""
    queries = " UNION ".join(f"SELECT ts_code FROM {name}" for name in dataset.universe)
    return read_sql(database, f"{queries} ORDER BY ts_code")["ts_code"].to_list()


def _query(universe: Dataset) -> str:
    names = universe.column_names
    ends = "delist_date" if "delist_date" in names else "NULL::date AS delist_date"
    paused = " AND list_status <> 'P'" if "list_status" in names else ""
    return f"SELECT ts_code, list_date, {ends} FROM {universe.name} WHERE list_date IS NOT NULL{paused}"
