"""PostgreSQL tables made from the Dataset specs, beside the operational ones: together, what a warehouse holds."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from quant_pipeline.market.columns import Column, ColumnType
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import DATASETS
from quant_pipeline.warehouse.backtests import BACKTESTS
from quant_pipeline.warehouse.operations import OPERATIONS
from quant_pipeline.warehouse.portfolio import PORTFOLIO

_TYPES: dict[ColumnType, type[sa.types.TypeEngine[Any]]] = {
    ColumnType.TEXT: sa.Text,
    ColumnType.DATE: sa.Date,
    ColumnType.FLOAT: sa.Double,
    ColumnType.INT: sa.BigInteger,
}

IDENTITY = sa.Table(
    "quant_warehouse",
    sa.MetaData(),
    sa.Column("one", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("mode", sa.Text, nullable=False, comment="sandbox|live: they never share a database"),
    sa.Column("fingerprint", sa.Text, nullable=False, comment="Of the specs and revisions that the tables follow"),
    sa.CheckConstraint("one", name="quant_warehouse_is_one_row"),
    comment="What this database is: one row",
)


def table_of(dataset: Dataset, metadata: sa.MetaData | None = None) -> sa.Table:
    """The table of a data set: its columns with their comments, `source` and `updated_at`; primary key = `dataset.key`.

    Data sets by session have an index on ts_code as well, for the history of a code.
    """
    indexes = []
    if dataset.dated and "ts_code" in dataset.key:
        indexes.append(sa.Index(f"{dataset.name}_ts_code", "ts_code"))
    return sa.Table(
        dataset.name,
        metadata if metadata is not None else sa.MetaData(),
        *(_column_of(column, dataset) for column in dataset.stored_columns),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.now(),
            comment="When the row was written, or last changed",
        ),
        sa.PrimaryKeyConstraint(*dataset.stored_order, name=f"{dataset.name}_pkey"),
        *indexes,
        comment=f"{dataset.zh}. {dataset.doc}",
    )


def metadata_of(datasets: dict[str, Dataset] | None = None) -> sa.MetaData:
    """The whole warehouse: the operational tables and a table per data set (default: all of market/datasets.py)."""
    metadata = sa.MetaData()
    for table in (IDENTITY, *OPERATIONS.sorted_tables, *BACKTESTS.sorted_tables, *PORTFOLIO.sorted_tables):
        table.to_metadata(metadata)
    for dataset in (DATASETS if datasets is None else datasets).values():
        table_of(dataset, metadata)
    return metadata


def _column_of(column: Column, dataset: Dataset) -> sa.Column[object]:
    unit = f" [{column.unit}]" if column.unit else ""
    return sa.Column(
        column.name,
        _TYPES[column.type](),
        nullable=not column.required and column.name not in dataset.key,
        autoincrement=False,
        comment=f"{column.zh}{unit}. {column.doc}",
    )
