"""Which data sets an export of tables takes, and the parts that it cuts them into: one per year, a list as one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from quant_pipeline.exports.contract import ExportError
from quant_pipeline.exports.states import years_of
from quant_pipeline.language import say
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import DATASETS
from quant_pipeline.market.search import Named, near
from quant_pipeline.warehouse.lake import Snapshot
from quant_pipeline.warehouse.table_changes import EVERY_YEAR


@dataclass(frozen=True)
class Part:
    """A year of a data set (a list: EVERY_YEAR), and the state that its table is in."""

    dataset: Dataset
    year: int
    label: str

    @property
    def shown(self) -> str:
        return self.dataset.name if self.year == EVERY_YEAR else f"{self.dataset.name} {self.year}"


def chosen(text: str, present: Collection[str], first: Sequence[str]) -> list[Dataset]:
    """The data sets that the text names by commas, beside those that are `present` in the place already: what was exported
    once stays current. Of nothing named and nothing present, the `first` ones. ExportError for a name of none."""
    named = [each.strip() for each in text.split(",") if each.strip()]
    for name in named:
        if name not in DATASETS:
            alike = near(name, [Named(each.name, each.zh) for each in DATASETS.values()])
            words = say("there is no data set {name!r}.", name=name)
            if alike:
                words += " " + say("Did you mean {near}?", near=", ".join(each.code for each in alike))
            raise ExportError(words + " " + say("All: {names}", names=", ".join(DATASETS)))
    wanted = {*named, *present} or set(first)
    return [dataset for name, dataset in DATASETS.items() if name in wanted]


def rows_of(stored: Snapshot, part: Part) -> pl.DataFrame:
    """The part's rows with `source`, sorted by the data set's key."""
    names = [column.name for column in part.dataset.stored_columns]
    if part.year == EVERY_YEAR:
        return stored.read(part.dataset, columns=names)
    return stored.read(part.dataset, columns=names, start=dt.date(part.year, 1, 1), end=dt.date(part.year, 12, 31))


def parts_of(stored: Snapshot, datasets: Sequence[Dataset]) -> Iterator[Part]:
    """The years of these data sets of which there may be rows."""
    for dataset in datasets:
        for year in years_of(stored, dataset):
            yield Part(dataset, year, stored.label(dataset, year))
