"""The names that a person types."""

from __future__ import annotations

import pytest

from quant_pipeline.console.choices import chosen_datasets
from quant_pipeline.market.datasets import SOURCED
from quant_pipeline.settings import SettingsError


def test_what_is_switched_off_is_neither_fetched_by_default_nor_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_WITHOUT", "auction, ths_hot")
    assert [dataset.name for dataset in chosen_datasets([], [])] == [
        name for name in SOURCED if name not in ("auction", "ths_hot")
    ]
    with pytest.raises(ValueError, match=r"switched off: auction .*QUANT_WITHOUT"):
        chosen_datasets(["auction", "stock_list"], [])


def test_a_typing_mistake_in_what_is_switched_off_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_WITHOUT", "acution")
    with pytest.raises(SettingsError, match="QUANT_WITHOUT: unknown data set: acution"):
        chosen_datasets([], [])


def test_data_sets_are_chosen_by_name_and_period_in_the_order_of_a_sync() -> None:
    assert [dataset.name for dataset in chosen_datasets([], [])] == list(SOURCED)
    assert [dataset.name for dataset in chosen_datasets(["adj_factor", "stock_list"], [])] == ["stock_list", "adj_factor"]
    assert [dataset.name for dataset in chosen_datasets([], ["daily"])] == ["daily_kline", "adj_factor"]
    assert [dataset.name for dataset in chosen_datasets(["stock_list"], ["daily"])] == [
        "stock_list",
        "daily_kline",
        "adj_factor",
    ]


@pytest.mark.parametrize(
    ("names", "periods", "told"),
    [(["daily_klin"], [], "unknown data set: daily_klin. Known: trade_calendar"), ([], ["weekley"], "unknown period: weekley")],
)
def test_unknown_names_are_told_with_the_known_ones(names: list[str], periods: list[str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        chosen_datasets(names, periods)
