"""The specs: a wrong one cannot be made, and those that there are fit together."""

from __future__ import annotations

import re

import polars as pl
import pytest

from quant_pipeline.market.columns import ColumnType, number, text
from quant_pipeline.market.dataset import CODE, SOURCE, TRADE_DATE, Dataset, Partition
from quant_pipeline.market.datasets import DAILY_KLINE, DATASETS, SOURCED

EACH = pytest.mark.parametrize("dataset", DATASETS.values(), ids=list(DATASETS))


def _spec(**changes: object) -> Dataset:
    values: dict[str, object] = {
        "name": "bars",
        "zh": "行情",
        "doc": "Bars.",
        "group": "market",
        "partition": Partition.SESSION,
        "key": ("ts_code", "trade_date"),
        "columns": (CODE, TRADE_DATE, number("close", "收盘价", "Last price.", "元")),
    }
    return Dataset(**(values | changes))  # type: ignore[arg-type]


def test_a_spec_tells_its_columns() -> None:
    spec = _spec()
    assert spec.column_names == ("ts_code", "trade_date", "close")
    assert spec.stored_columns == (*spec.columns, SOURCE)
    assert spec.column("close").unit == "元"
    with pytest.raises(KeyError, match="bars has no column 'open'"):
        spec.column("open")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"columns": (CODE, TRADE_DATE, CODE)}, "stands twice"),
        ({"key": ("ts_code", "symbol")}, "key column 'symbol'"),
        ({"key": ("close",)}, "key column 'close'"),
        ({"key": ("ts_code",), "columns": (CODE,)}, "needs the column trade_date"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        _spec(**changes)


def test_a_list_needs_no_trade_date() -> None:
    names = _spec(partition=Partition.SNAPSHOT, key=("ts_code",), columns=(CODE, text("name", "名称", "Name.")))
    assert not names.dated
    assert _spec().dated


def test_every_type_has_one_in_polars() -> None:
    assert {kind.polars for kind in ColumnType} == {pl.String(), pl.Date(), pl.Float64(), pl.Int64()}


@EACH
def test_names_are_those_of_tables_and_every_column_is_explained(dataset: Dataset) -> None:
    assert DATASETS[dataset.name] is dataset
    for name in (dataset.name, *dataset.column_names):
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    assert "source" not in dataset.column_names, "the warehouse adds it"
    for column in dataset.columns:
        assert column.zh
        assert column.doc.endswith((".", "…"))


@EACH
def test_what_a_data_set_comes_after_comes_before_it(dataset: Dataset) -> None:
    order = list(DATASETS)
    assert all(order.index(first) < order.index(dataset.name) for first in dataset.after)


@EACH
def test_its_rules_can_be_asked_of_its_columns(dataset: Dataset) -> None:
    schema = {column.name: column.type.polars for column in dataset.columns}
    empty = pl.DataFrame(schema=schema)
    for rule in dataset.rules:
        assert empty.select(rule.holds()).schema.dtypes() == [pl.Boolean]


def test_bars_have_tushares_names_and_units() -> None:
    assert " ".join(DAILY_KLINE.column_names) == "ts_code trade_date open high low close pre_close change pct_chg vol amount"
    units = {name: DAILY_KLINE.column(name).unit for name in ("close", "pct_chg", "vol", "amount")}
    assert units == {"close": "元", "pct_chg": "%", "vol": "手", "amount": "千元"}


def test_computed_data_sets_have_no_source() -> None:
    assert {name for name, dataset in DATASETS.items() if not dataset.sourced} == {
        *("screen_results", "reconciliation", "market_overview", "signals", "signal_statistics", "portfolio_risk"),
        *("watchlists", "ths_watchlist", "intraday_quotes"),
    }


def test_what_is_only_fetched_for_others_is_asked_for_by_nobody() -> None:
    assert {name for name, dataset in DATASETS.items() if dataset.sourced} - set(SOURCED) == {"special_treatment"}
