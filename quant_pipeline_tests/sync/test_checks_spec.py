"""Which checks a data set has: by its spec, with names of their own, and able to look at nothing at all."""

from __future__ import annotations

import re

import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import SOURCED
from quant_pipeline.sync.checks import Scope, checks_of
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import CALENDAR, NOW, sessions

DATED = {"no_closed_day", "no_future_row", "fresh", "nothing_refused"}
EXPECTED = {
    "trade_calendar": {"rows_sane", "fresh", "calendar_believed"},
    "bse_mapping": {"fresh"},
    "ths_members": {"rows_sane", "fresh", "members_known", "all_members_known"},
    "suspensions": {"rows_sane", *DATED},
    "stock_list": {"rows_sane", "fresh", "known_boards"},
    "daily_kline": {
        *("rows_sane", *DATED, "row_count", "every_row"),
        *("within_price_limits", "no_repeated_session", "pre_close_chain", "known_boards", "early_volume_fits"),
    },
    "adj_factor": {"rows_sane", *DATED, "row_count", "every_row", "factor_jumps_on_ex_dates"},
    "dividends": {"rows_sane", *DATED, "dividends_explain_ex_prices"},
    "index_weights": {"rows_sane", *DATED},
    "auction": {"rows_sane", *DATED, "row_count"},
    "index_daily": {"rows_sane", *DATED, "row_count", "every_row", "no_repeated_session"},
    "etf_daily": {
        *("rows_sane", *DATED, "row_count", "no_repeated_session"),
        *("codes_known", "moves_plausible", "pre_close_chain"),
    },
    "cb_daily": {
        *("rows_sane", *DATED, "row_count", "no_repeated_session"),
        *("codes_known", "prices_plausible", "cb_value_fits_share"),
    },
    "ths_hot": {"rows_sane", *DATED},
    "weekly_kline": {"rows_sane", *DATED, "row_count", "every_row", "one_bar_per_period", "as_daily_bars", "early_volume_fits"},
    "monthly_kline": {
        "rows_sane",
        *DATED,
        "row_count",
        "every_row",
        "one_bar_per_period",
        "as_daily_bars",
        "early_volume_fits",
    },
}


@pytest.mark.parametrize(("name", "expected"), EXPECTED.items(), ids=EXPECTED)
def test_a_data_set_has_the_checks_that_its_spec_calls_for(name: str, expected: set[str]) -> None:
    assert {check.name for check in checks_of(SOURCED[name])} == expected


@pytest.mark.parametrize("dataset", SOURCED.values(), ids=lambda dataset: dataset.name)
def test_checks_have_names_of_their_own_in_both_languages(dataset: Dataset) -> None:
    checks = checks_of(dataset)
    assert len({check.name for check in checks}) == len(checks) > 0
    for check in checks:
        assert re.search(r"[\u4e00-\u9fff]", check.zh)
        assert re.search(r"[A-Za-z]{4}", check.doc)


def test_an_empty_warehouse_is_stale_and_nothing_else(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", NOW)
    for dataset in SOURCED.values():
        for days in (sessions(30), ()):
            scope = Scope(warehouse, dataset, days, CALENDAR)
            assert {check.name for check in checks_of(dataset) if not check.judge(scope).passed} == {"fresh"}, dataset.name
