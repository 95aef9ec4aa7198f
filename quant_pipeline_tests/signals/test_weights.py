"""Weights by each method, within the limits; orders that reach them in lots; risks counted by hand."""

from __future__ import annotations

import datetime as dt
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_pipeline.signals.ordering import Holding, Order, orders_to
from quant_pipeline.signals.risk import passed, risk_of
from quant_pipeline.signals.rules import OfPortfolio, Thresholds, Weighting
from quant_pipeline.signals.weights import PortfolioError, limited, target_weights

DAY = dt.date(2026, 11, 20)
A, B, C, STAR = "600000.SH", "600001.SH", "000001.SZ", "688001.SH"
FREE = {"max_weight": 1.0, "max_industry": 1.0, "reserve": 0.0}


def returns(**deviations: float) -> pl.DataFrame:
    """250 sessions of independent returns with these deviations."""
    rng = np.random.default_rng(7)
    return pl.DataFrame({code: rng.normal(0, deviation, 250) for code, deviation in deviations.items()})


def test_equal_weights_leave_the_reserve() -> None:
    found = target_weights([A, B], pl.DataFrame(), {}, OfPortfolio(max_weight=1, max_industry=1, reserve=0.02))
    assert found == {A: pytest.approx(0.49), B: pytest.approx(0.49)}
    assert target_weights([], pl.DataFrame(), {}, OfPortfolio()) == {}


def test_the_calmer_one_weighs_more_by_its_volatility() -> None:
    frame = returns(**{A: 0.01, B: 0.02})
    found = target_weights([A, B], frame, {}, OfPortfolio(weighting=Weighting.INVERSE_VOLATILITY, **FREE))
    ratio = float(frame[B].std()) / float(frame[A].std())  # type: ignore[arg-type]
    assert found[A] / found[B] == pytest.approx(ratio)
    assert sum(found.values()) == pytest.approx(1)


def test_one_that_was_halted_is_not_taken_for_calm() -> None:
    quiet = pl.when(pl.int_range(pl.len()) < 20).then(pl.col(A) / 1000)
    frame = returns(**{A: 0.01, B: 0.01}).with_columns(quiet.alias(C))
    rules = OfPortfolio(weighting=Weighting.INVERSE_VOLATILITY, **FREE)
    assert target_weights([A, B, C], frame, {}, rules)[C] == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize("weighting", [Weighting.MINIMUM_VARIANCE, Weighting.RISK_BUDGET])
def test_optimised_weights_follow_the_covariance(weighting: Weighting) -> None:
    pytest.importorskip("skfolio", reason="the extra `portfolio` is not installed")
    frame = returns(**{A: 0.01, B: 0.02, C: 0.03})
    found = target_weights([A, B, C], frame, {}, OfPortfolio(weighting=weighting, **FREE))
    covariance = np.cov(frame.select(A, B, C).to_numpy(), rowvar=False)
    weights = np.array([found[A], found[B], found[C]])
    risks = weights * (covariance @ weights)
    if weighting is Weighting.RISK_BUDGET:
        assert risks / risks.sum() == pytest.approx([1 / 3] * 3, abs=0.01)
    else:
        best = np.linalg.solve(covariance, np.ones(3))
        assert weights == pytest.approx(best / best.sum(), abs=0.01)


def test_minimum_variance_is_capped() -> None:
    pytest.importorskip("skfolio", reason="the extra `portfolio` is not installed")
    rules = OfPortfolio(weighting=Weighting.MINIMUM_VARIANCE, max_weight=0.4, max_industry=1, reserve=0)
    found = target_weights([A, B, C], returns(**{A: 0.001, B: 0.02, C: 0.03}), {}, rules)
    assert max(found.values()) <= 0.4 + 1e-6
    assert sum(found.values()) == pytest.approx(1)


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skfolio.optimization", None)
    with pytest.raises(PortfolioError, match=r"minimum_variance needs skfolio, .* pip install 'quant-pipeline\[portfolio\]'"):
        target_weights([A, B], returns(**{A: 0.01, B: 0.02}), {}, OfPortfolio(weighting=Weighting.MINIMUM_VARIANCE))


def test_what_one_may_not_have_the_others_get() -> None:
    found = limited({A: 8, B: 1, C: 1}, {}, code=0.5, industry=1, total=1)
    assert found == {A: pytest.approx(0.5), B: pytest.approx(0.25), C: pytest.approx(0.25)}
    banks = {A: "银行", B: "银行"}
    found = limited({A: 1, B: 1, C: 1}, banks, code=0.9, industry=0.4, total=1)
    assert found == {A: pytest.approx(0.2), B: pytest.approx(0.2), C: pytest.approx(0.6)}


def test_where_the_limits_leave_no_room_the_rest_is_cash() -> None:
    assert limited({A: 1, B: 1}, {}, code=0.15, industry=1, total=0.98) == {A: pytest.approx(0.15), B: pytest.approx(0.15)}


@given(
    shares=st.lists(st.floats(0.01, 10), min_size=1, max_size=12),
    industries=st.lists(st.sampled_from(["", "银行", "白酒", "半导体"]), min_size=12, max_size=12),
    code=st.floats(0.02, 1),
    industry=st.floats(0.05, 1),
)
def test_no_limit_is_ever_passed(shares: list[float], industries: list[str], code: float, industry: float) -> None:
    base = {f"{600000 + at}.SH": share for at, share in enumerate(shares)}
    names = dict(zip(base, industries, strict=False))
    found = limited(base, names, code=code, industry=industry, total=0.98)
    assert max(found.values()) <= code + 1e-9
    assert sum(found.values()) <= 0.98 + 1e-9
    for name in {each for each in names.values() if each}:
        assert sum(weight for each, weight in found.items() if names[each] == name) <= industry + 1e-9


def orders(
    targets: dict[str, float],
    held: dict[str, Holding] | None = None,
    prices: dict[str, float] | None = None,
    *,
    equity: float = 100_000,
    cash: float = 100_000,
) -> list[Order]:
    return orders_to(targets, held or {}, prices or {}, equity=equity, cash=cash, drift=0.25, limit=0.5, day=DAY)


def test_orders_are_in_the_board_s_lots() -> None:
    found = orders({A: 0.1234, STAR: 0.1234, C: 0.0005}, prices={A: 10.0, STAR: 40.0, C: 10.0})
    assert [(each.ts_code, each.side, each.shares) for each in found] == [
        (A, "buy", 1200),
        (STAR, "buy", 308),
        (C, "buy", 0),
    ]  # STAR: 200 and then by single shares
    assert found[2].reason == "less than a lot (100 shares)"
    assert orders({STAR: 0.05}, prices={STAR: 40.0})[0].shares == 0, "125 shares are less than 200"


def test_what_is_sold_is_sold_with_its_odd_rest_and_frees_cash() -> None:
    found = orders({B: 0.5}, {A: Holding(1_037, 10.0)}, {B: 5.0}, equity=10_370, cash=0)
    assert [(each.ts_code, each.side, each.shares) for each in found] == [(A, "sell", 1_037), (B, "buy", 1000)]


def test_what_is_near_its_weight_is_left_alone() -> None:
    assert orders({A: 0.10}, {A: Holding(1_200, 10.0)}) == []
    assert orders({A: 0.10}, {A: Holding(800, 10.0)}) == []
    (less,) = orders({A: 0.10}, {A: Holding(1_400, 10.0)})
    assert (less.side, less.shares) == ("sell", 400)
    (more,) = orders({A: 0.10}, {A: Holding(500, 10.0)})
    assert (more.side, more.shares) == ("buy", 500)


def test_buys_go_as_far_as_the_cash() -> None:
    found = orders({A: 0.5, B: 0.5}, prices={A: 10.0, B: 10.0}, equity=10_000, cash=6_000)
    assert [each.shares for each in found] == [500, 0]
    assert found[1].reason == "the cash does not reach for a lot (100 shares)"
    assert orders({A: 0.5}, prices={})[0].reason == "no price of it is known"


def test_risks_are_those_of_the_past_sessions_with_today_s_weights() -> None:
    one = np.linspace(-0.1, 0.1, 101)
    frame = pl.DataFrame({A: one, B: np.zeros(101)})
    index = pl.Series(one / 2)
    found = risk_of({A: 0.5, B: 0.3}, frame, index, {A: "银行", B: "银行"})
    assert found.exposure == pytest.approx(80)
    assert found.var_95 == pytest.approx(0.5 * 9.0)
    assert found.var_99 == pytest.approx(0.5 * 9.8)
    assert found.shortfall_95 == pytest.approx(0.5 * np.mean([10.0, 9.8, 9.6, 9.4, 9.2, 9.0]))
    assert found.beta == pytest.approx(1.0)
    assert (found.largest, found.largest_weight) == (A, pytest.approx(50))
    assert found.concentration == pytest.approx((5 / 8) ** 2 + (3 / 8) ** 2)
    assert (found.industry, found.industry_weight) == ("银行", pytest.approx(80))


def test_of_too_few_sessions_no_risk_is_told() -> None:
    found = risk_of({A: 0.5}, pl.DataFrame({A: [0.01] * 19}), None, {})
    assert (found.var_95, found.beta, found.sessions) == (None, None, 19)
    nothing = risk_of({}, pl.DataFrame(), None, {})
    assert (nothing.exposure, nothing.largest, nothing.concentration) == (0, None, None)


def test_alerts_are_the_figures_beyond_their_thresholds() -> None:
    figures = {
        "exposure": 99.0,
        "var_95": 4.2,
        "drawdown": -16.0,
        "largest_weight": 25.0,
        "industry_weight": 10.0,
        "beta": None,
    }
    assert passed(figures, Thresholds()) == {
        "var_95": "var_95 4.20 % is beyond 4 %",
        "drawdown": "drawdown 16.00 % is beyond 15 %",
    }
