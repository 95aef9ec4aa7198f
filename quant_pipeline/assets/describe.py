"""How a data set presents itself in the UI: bilingual description and column schema, from its spec."""

from __future__ import annotations

import dagster as dg

from quant_pipeline.language import chinese
from quant_pipeline.market.columns import Column
from quant_pipeline.market.dataset import Dataset


def description(dataset: Dataset) -> str:
    """Chinese name, what it is in both languages, key."""
    return f"{in_both(dataset.zh, dataset.doc)}\n\n主键 Key: {', '.join(dataset.key)} · 表 Table: {dataset.name}"


def in_both(zh: str, doc: str) -> str:
    """A thing's Chinese name and its English text, with the catalogue's Chinese one before it, where it has one.

    Without marks of Markdown: the catalogue of assets shows the beginning as plain text.
    """
    told = chinese(doc)
    return f"{zh} · {told}\n\n{doc}" if told != doc else f"{zh} · {doc}"


def column_schema(dataset: Dataset) -> dg.TableSchema:
    """Each column with type, unit and meaning in both languages."""
    return dg.TableSchema(columns=[_column(dataset, column) for column in dataset.stored_columns])


def _column(dataset: Dataset, column: Column) -> dg.TableColumn:
    unit = f" [{column.unit}]" if column.unit else ""
    return dg.TableColumn(
        name=column.name,
        type=column.type.value,
        description=in_both(f"{column.zh}{unit}", column.doc),
        constraints=dg.TableColumnConstraints(nullable=not column.required, unique=dataset.key == (column.name,)),
        tags={"unit": column.unit} if column.unit.isascii() and column.unit.isalnum() else {},
    )
