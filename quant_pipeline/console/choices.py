"""The names that a person types: data sets, periods, codes and sources, each checked against what there is."""

from __future__ import annotations

from collections.abc import Sequence

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import SOURCED
from quant_pipeline.sources.registry import registered
from quant_pipeline.switches import switched_on
from quant_pipeline.sync.symbols import codes_of

PERIODS = {"daily": ["daily_kline", "adj_factor"], "weekly": ["weekly_kline"], "monthly": ["monthly_kline"]}
"""The data sets behind each K-line period."""


def chosen_datasets(names: Sequence[str], periods: Sequence[str]) -> list[Dataset]:
    """The data sets of these names and periods (default: all that are switched on), in the order of a sync.

    ValueError names those that do not exist, and those that are switched off.
    """
    if unknown := [name for name in names if name not in SOURCED]:
        raise ValueError(f"unknown data set: {', '.join(unknown)}. Known: {', '.join(SOURCED)}")
    if unknown := [period for period in periods if period not in PERIODS]:
        raise ValueError(f"unknown period: {', '.join(unknown)}. Known: {', '.join(PERIODS)}")
    chosen, on = {*names, *(name for period in periods for name in PERIODS[period])}, switched_on()
    if off := sorted(chosen - on.keys()):
        raise ValueError(f"switched off: {', '.join(off)} 已停用. Take it out of QUANT_WITHOUT first")
    return [dataset for name, dataset in on.items() if not chosen or name in chosen]


def with_symbols(datasets: Sequence[Dataset], symbols: Sequence[str]) -> list[Dataset]:
    """Those of the data sets that have rows of the symbols; all of them, where no symbol is named.

    CodeError for what is no code, ValueError when none of the data sets has any of them.
    """
    if not symbols:
        return list(datasets)
    concerned = [dataset for dataset in datasets if codes_of(dataset, symbols)]
    if not concerned:
        raise ValueError(
            f"none of the data sets ({', '.join(each.name for each in datasets)}) has rows of {', '.join(symbols)}"
        )
    return concerned


def chosen_sources(names: Sequence[str]) -> list[str]:
    """The sources of these names, in that order; ValueError names those that do not exist."""
    known = registered().sources
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"unknown source: {', '.join(unknown)}. Known: {', '.join(known)}")
    return list(names)
