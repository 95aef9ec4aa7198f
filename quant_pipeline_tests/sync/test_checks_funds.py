"""Funds and convertible bonds: known codes, plausible prices and moves, and the bond's tie to its share."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import CB_DAILY, CONVERTIBLE_BONDS, DAILY_KLINE, ETF_DAILY, ETF_LIST
from quant_pipeline.sync.checks import checks_of
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import LATEST, LISTED, NOW, bars, execute, judged, sessions, store

DAYS = sessions(3)
ETFS = ["510010.SH", "510300.SH", "159915.SZ"]
BONDS = ["113010.SH", "127045.SZ"]
SHARES = ["600000.SH", "000001.SZ"]


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", NOW)


@pytest.fixture
def funds(warehouse: Database) -> Database:
    store(warehouse, ETF_LIST, [{"ts_code": code, "status": "L", "list_date": LISTED} for code in ETFS])
    store(warehouse, ETF_DAILY, bars(ETFS, DAYS))
    return warehouse


@pytest.fixture
def bonds(warehouse: Database) -> Database:
    """Two bonds at a conversion price of 8 元, and their shares."""
    terms = [
        {"ts_code": bond, "stk_code": share, "list_date": LISTED, "first_conv_price": 8.0, "conv_price": 8.0}
        for bond, share in zip(BONDS, SHARES, strict=True)
    ]
    store(warehouse, CONVERTIBLE_BONDS, terms)
    shares = bars(SHARES, DAYS)
    store(warehouse, DAILY_KLINE, shares)
    prices = [(pl.col(name) + 100).alias(name) for name in ("open", "high", "low", "close", "pre_close")]
    bond_of = dict(zip(SHARES, BONDS, strict=True))
    value = shares.with_columns(pl.col("ts_code").replace_strict(bond_of), cb_value=pl.col("close") * 100 / 8)
    store(warehouse, CB_DAILY, value.with_columns(prices))
    return warehouse


@pytest.mark.parametrize(
    ("dataset", "universe", "code"), [(ETF_DAILY, "etf_list", ETFS[1]), (CB_DAILY, "convertible_bonds", BONDS[0])]
)
def test_a_code_that_its_list_does_not_have_then_is_named(
    request: pytest.FixtureRequest, dataset: Dataset, universe: str, code: str
) -> None:
    database = request.getfixturevalue("funds" if dataset is ETF_DAILY else "bonds")
    assert judged(database, dataset, "codes_known", DAYS).passed
    execute(database, f"UPDATE {universe} SET list_date = %s WHERE ts_code = %s", DAYS[1], code)
    early = judged(database, dataset, "codes_known", DAYS)
    assert early.offending.select("ts_code", "trade_date").rows() == [(code, DAYS[0])]
    execute(database, f"UPDATE {universe} SET list_date = NULL, delist_date = %s WHERE ts_code = %s", DAYS[1], code)
    late = judged(database, dataset, "codes_known", DAYS)
    assert late.offending.select("ts_code", "trade_date").rows() == [(code, DAYS[2])]
    execute(database, f"DELETE FROM {universe} WHERE ts_code = %s", code)
    unknown = judged(database, dataset, "codes_known", DAYS)
    assert not unknown.passed
    assert unknown.offending["ts_code"].to_list() == [code] * 3
    execute(database, f"DELETE FROM {universe}")
    assert judged(database, dataset, "codes_known", DAYS).passed, "without a list nobody is unknown"


def test_a_fund_that_moves_further_than_its_limit_is_named_but_on_its_first_session(funds: Database) -> None:
    assert judged(funds, ETF_DAILY, "moves_plausible", DAYS).passed
    execute(funds, "UPDATE etf_daily SET pct_chg = 24 WHERE ts_code = %s AND trade_date = %s", ETFS[0], DAYS[1])
    verdict = judged(funds, ETF_DAILY, "moves_plausible", DAYS)
    assert verdict.offending.select("ts_code", "trade_date").rows() == [(ETFS[0], DAYS[1])]
    execute(funds, "UPDATE etf_list SET list_date = %s WHERE ts_code = %s", DAYS[1], ETFS[0])
    assert judged(funds, ETF_DAILY, "moves_plausible", DAYS).passed
    execute(funds, "UPDATE etf_daily SET close = pre_close * 1.31 WHERE ts_code = %s AND trade_date = %s", ETFS[0], DAYS[1])
    assert not judged(funds, ETF_DAILY, "moves_plausible", DAYS).passed, "so far not even on its first session"


@pytest.mark.parametrize("price", [19.9, 5000.1])
def test_a_bond_at_a_price_that_no_bond_has_is_named(bonds: Database, price: float) -> None:
    assert judged(bonds, CB_DAILY, "prices_plausible", DAYS).passed
    execute(bonds, "UPDATE cb_daily SET open = %s WHERE ts_code = %s AND trade_date = %s", price, BONDS[1], DAYS[0])
    verdict = judged(bonds, CB_DAILY, "prices_plausible", DAYS)
    assert verdict.offending.select("ts_code", "trade_date").rows() == [(BONDS[1], DAYS[0])]


def test_a_conversion_value_far_from_the_share_s_is_named(bonds: Database) -> None:
    verdict = judged(bonds, CB_DAILY, "cb_value_fits_share", DAYS)
    assert (verdict.passed, verdict.looked_at) == (True, 2)
    spoil = "UPDATE cb_daily SET cb_value = cb_value * %s WHERE ts_code = %s AND trade_date = %s"
    execute(bonds, spoil, 1.5, BONDS[0], DAYS[0])
    execute(bonds, spoil, 1.015, BONDS[0], LATEST)
    assert judged(bonds, CB_DAILY, "cb_value_fits_share", DAYS).passed, "only the latest session, to 2 %"
    execute(bonds, spoil, 1.015, BONDS[0], LATEST)
    verdict = judged(bonds, CB_DAILY, "cb_value_fits_share", DAYS)
    assert not verdict.passed
    assert verdict.offending.select("ts_code", "trade_date", "stk_code").rows() == [(BONDS[0], LATEST, SHARES[0])]
    execute(bonds, "UPDATE convertible_bonds SET first_conv_price = 8.5 WHERE ts_code = %s", BONDS[0])
    verdict = judged(bonds, CB_DAILY, "cb_value_fits_share", DAYS)
    assert (verdict.passed, verdict.looked_at) == (True, 1), "its price was changed: the list knows only today's"
    (check,) = (each for each in checks_of(CB_DAILY) if each.name == "cb_value_fits_share")
    assert check.warns


def test_the_latest_session_without_bonds_passes(bonds: Database) -> None:
    assert judged(bonds, CB_DAILY, "cb_value_fits_share", [LATEST - dt.timedelta(days=60)]).passed
