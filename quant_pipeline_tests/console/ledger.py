"""What the tests of commands put into the ledger."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from quant_pipeline.warehouse.database import Database


def record(warehouse: Database, datasets: Sequence[str], sessions: Sequence[dt.date], status: str = "success") -> None:
    """The ledger says that the data sets were synced for the sessions."""
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO sync_runs (id, trigger, status, process, presence) VALUES ('before', 'test', 'success', 'p', 1)"
            " ON CONFLICT DO NOTHING"
        )
        connection.execute(
            "INSERT INTO sync_items (sync_run, dataset, unit, trade_date, status)"
            " SELECT 'before', dataset, day::text, day, %s FROM unnest(%s::text[]) AS dataset, unnest(%s::date[]) AS day"
            " ON CONFLICT (sync_run, dataset, unit) DO UPDATE SET status = excluded.status",
            (status, list(datasets), list(sessions)),
        )
