"""Which state of the tables an export holds: what the marks of their changes add up to (see warehouse/table_changes.py)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from psycopg import sql

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.warehouse.lake import Snapshot
from quant_pipeline.warehouse.table_changes import EVERY_YEAR

_BOUNDS = """
SELECT extract(year FROM min(trade_date))::integer AS first, extract(year FROM max(trade_date))::integer AS last FROM {}
"""


def state_of(stored: Snapshot, datasets: Iterable[Dataset]) -> dict[str, str]:
    """`daily_kline 2026` -> its state, of every year of these data sets that ever changed. Equal: nothing changed since."""
    names = {dataset.name for dataset in datasets}
    return {f"{name} {year}": str(total) for (name, year), total in sorted(stored.sums.items()) if name in names}


def years_of(stored: Snapshot, dataset: Dataset) -> Collection[int]:
    """The years of which the table may have rows; of a list EVERY_YEAR alone."""
    if not dataset.dated:
        return [EVERY_YEAR]
    first, last = stored.sql(sql.SQL(_BOUNDS).format(sql.Identifier(dataset.name)).as_string()).row(0)
    return [] if first is None else range(first, last + 1)
