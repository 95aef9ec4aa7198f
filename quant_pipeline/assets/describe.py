"""How a data set presents itself in the UI: bilingual description and column schema, from its spec."""

from __future__ import annotations

import dagster as dg

from quant_pipeline.market.columns import Column
from quant_pipeline.market.dataset import Dataset


def description(dataset: Dataset) -> str:
    """Markdown: Chinese name, what it is, key."""
    return f"**{dataset.zh}** · {dataset.doc}\n\nKey 主键: `{', '.join(dataset.key)}` · table 表: `{dataset.name}`"


def column_schema(dataset: Dataset) -> dg.TableSchema:
    """Each column with type, unit and meaning in both languages."""
    return dg.TableSchema(columns=[_column(dataset, column) for column in dataset.stored_columns])


def _column(dataset: Dataset, column: Column) -> dg.TableColumn:
    unit = f" [{column.unit}]" if column.unit else ""
    return dg.TableColumn(
        name=column.name,
        type=column.type.value,
        description=f"{column.zh}{unit} · {column.doc}",
        constraints=dg.TableColumnConstraints(nullable=not column.required, unique=dataset.key == (column.name,)),
        tags={"unit": column.unit} if column.unit.isascii() and column.unit.isalnum() else {},
    )
