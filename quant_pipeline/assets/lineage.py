"""What is drawn between the assets: the edges that say something new."""

from __future__ import annotations

from collections.abc import Iterable

from quant_pipeline.market.datasets import DATASETS


def reduced(names: Iterable[str]) -> list[str]:
    """Of the data sets that something stands behind, those that no other of them stands behind already.

    `daily_kline` waits for `stock_list`; what waits for `daily_kline` need not be drawn behind `stock_list` as well.
    """
    wanted = list(names)
    implied = {before for name in wanted for before in _all_before(name)}
    return [name for name in wanted if name not in implied]


def _all_before(name: str) -> set[str]:
    direct = DATASETS[name].after
    return set(direct).union(*(_all_before(each) for each in direct))
