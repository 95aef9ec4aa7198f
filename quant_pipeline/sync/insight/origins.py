"""Where the rows of syncs came from: what each source inserted and updated, and which data set was had of whom."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

_ORIGINS = """
SELECT dataset, source, sum(inserted)::bigint AS inserted, sum(updated)::bigint AS updated, max(trade_date) AS latest
FROM sync_items WHERE sync_run = ANY(%(runs)s) AND source IS NOT NULL AND status <> 'failed'
GROUP BY dataset, source ORDER BY dataset, source
"""


@dataclass(frozen=True)
class Origin:
    """What one source (or several together: "tushare, baostock") gave of a data set; `latest`: the last session of it."""

    dataset: str
    source: str
    inserted: int
    updated: int
    latest: dt.date | None


def origins_of(database: Database, runs: Sequence[str]) -> list[Origin]:
    """Of these runs, by data set and source. `runs` are whole ids."""
    return [Origin(*row) for row in read_sql(database, _ORIGINS, {"runs": list(runs)}).iter_rows()]
