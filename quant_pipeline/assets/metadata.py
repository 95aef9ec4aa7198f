"""What a materialization shows: figures with stable keys (the UI plots them), a preview table, a picture."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import dagster as dg
import polars as pl

from quant_pipeline import settings
from quant_pipeline.assets.charts import candlesticks
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sync.engine import Outcome
from quant_pipeline.sync.ledger import Item
from quant_pipeline.warehouse.reads import read

SANDBOX_NOTE = "SANDBOX 沙盒: simulated numbers, not the market"
_PREVIEW_ROWS = 10
_CHARTED_CODES = 3
_CHARTED_DAYS = 120


def origin() -> dict[str, Any]:
    """Says SANDBOX where the numbers are simulated."""
    return {"origin": SANDBOX_NOTE if settings.load().sandboxed else "live 实盘数据"}


def unit_metadata(item: Item) -> dict[str, Any]:
    """A unit's counts and costs."""
    return origin() | {
        "dagster/row_count": item.rows,
        "inserted": item.inserted,
        "updated": item.updated,
        "unchanged": item.unchanged,
        "rejected": item.rejected,
        "missing": item.missing,
        **({"unreadable": item.unreadable} if item.unreadable else {}),
        "source": item.source or "",
        "calls": item.calls,
        "attempts": item.attempts,
        "seconds": round(item.seconds, 3),
        **({"not_whole": item.error} if item.error else {}),
    }


def sum_metadata(outcome: Outcome) -> dict[str, Any]:
    """The counts and costs of a list that came part by part."""
    counters = ("inserted", "updated", "unchanged", "rejected", "calls", "seconds")
    sums = {counter: round(outcome.total(counter), 3) for counter in counters}
    return origin() | {"dagster/row_count": outcome.total("rows"), **sums, "source": ", ".join(outcome.sources)}


def preview(warehouse: WarehouseResource, dataset: Dataset, session: dt.date | None) -> dict[str, Any]:
    """A few rows as a table; for daily_kline the most traded ones and their candlesticks."""
    rows = read(warehouse.database, dataset, start=session, end=session)
    if dataset is not DAILY_KLINE or session is None:
        return {"preview": table(rows.head(_PREVIEW_ROWS))}
    top = rows.sort("amount", descending=True, nulls_last=True)
    codes = top["ts_code"].head(_CHARTED_CODES).to_list()
    start = session - dt.timedelta(days=_CHARTED_DAYS)
    bars = read(warehouse.database, dataset, start=start, end=session, codes=codes)
    return {"preview": table(top.head(_PREVIEW_ROWS)), "candlesticks": candlesticks(bars, codes)}


def table(rows: pl.DataFrame) -> dg.TableMetadataValue:
    """A frame as a table in the UI. Its cells may be text, numbers or nothing: everything else is written out."""
    plain = rows.with_columns(pl.col(pl.Date, pl.Datetime).cast(pl.String))
    records = [dg.TableRecord(record) for record in plain.to_dicts()]
    columns = [dg.TableColumn(name, _shown_type(dtype)) for name, dtype in plain.schema.items()]
    return dg.TableMetadataValue(records, dg.TableSchema(columns))


def _shown_type(dtype: pl.DataType) -> str:
    if dtype.is_integer():
        return "int"
    return "float" if dtype.is_numeric() else "bool" if dtype == pl.Boolean else "string"


def failures_table(items: Iterable[Item]) -> dg.TableMetadataValue:
    """Which units failed, and why (at most a hundred)."""
    shown = [
        {"unit": item.unit, "source": item.source or "", "class": item.error_class or "", "error": item.error or ""}
        for item in list(items)[:100]
    ]
    return table(pl.DataFrame(shown))
