"""Tushare's weeks and months: fractions and percentages, labels of both kinds, pages of 4,500."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping

import polars as pl
import pytest

from quant_pipeline.market.datasets import MONTHLY_KLINE, WEEKLY_KLINE
from quant_pipeline.market.validation import validate
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.rehearsal import running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.interface import Market
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket
from quant_pipeline.sources.base import Tally
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sources.tushare_periods import monthly, weekly
from quant_pipeline.sources.units import Unit
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

FREE = {"tushare": {"*": RatePolicy(per_minute=None, per_second=None, retries=0)}}
OCTOBER = dt.date(2026, 10, 30)
"""The last session of a month that ends on a Saturday."""


class CalendarMonths:
    """A market whose months are labelled with their last day, as in Tushare's own samples."""

    def __init__(self, market: SimulatedMarket) -> None:
        self._market = market

    def edition(self) -> str:
        return self._market.edition()

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        del rows
        every = {name: value for name, value in params.items() if name == "ts_code"}
        bars = self._market.frame(api, every, 100_000).with_columns(
            pl.col("trade_date").str.to_date("%Y%m%d").dt.month_end().dt.strftime("%Y%m%d")
        )
        label = pl.col("trade_date")
        for name, fits in (("trade_date", label.eq), ("start_date", label.ge), ("end_date", label.le)):
            if name in params:
                bars = bars.filter(fits(pl.lit(params[name])))
        return bars


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return SimulatedMarket(Exchange(codes=60, first_year=2026))


@pytest.fixture
def limiter(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Limiter]:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")
    presence = Presence(warehouse.connect())
    yield Limiter(warehouse.pool, presence)
    presence.close()


def fetched(market: Market, limiter: Limiter, unit: Unit) -> tuple[pl.DataFrame, int]:
    """The sound months of a unit, and the calls they cost."""
    with running(market, quotas={"*": None}) as sandbox:
        tally = Tally()
        frame = TushareSource(sandbox.token, sandbox.tushare_url, xshg(), limiter, FREE).fetch(MONTHLY_KLINE, unit, tally)
    sessions = Exchange(codes=1, first_year=2026).sessions.days.astype(object).tolist()
    checked = validate(MONTHLY_KLINE, frame, expected_session=None, sessions=sessions)
    assert checked.bad.is_empty(), checked.bad
    return checked.good.sort("trade_date", "ts_code"), tally.calls


def test_fractions_and_percentages_both_become_percentages() -> None:
    bars = pl.DataFrame(
        {
            "close": [10.5, 10.5, 9.0, 10.0, 10.001, 30.0, 10.0, 10.0],
            "pre_close": [10.0, 10.0, 10.0, 10.0, 10.0, 10.0, None, 9.9],
            "pct_chg": [0.05, 5.0, -0.1, 0.0, 0.0001, 200.0, 0.05, None],
        }
    ).with_columns(low=pl.lit(1.0), high=pl.lit(1.0), vol=pl.lit(1.0), amount=pl.lit(0.1))
    said = weekly(bars.with_columns(pl.lit("20261030").alias("trade_date")), xshg())["pct_chg"].to_list()
    assert said == pytest.approx([5.0, 5.0, -10.0, 0.0, 0.01, 200.0, None, None])
    labelled = bars.with_columns(pl.lit("20261030").alias("trade_date"))
    assert monthly(labelled, xshg())["pct_chg"].to_list() == pytest.approx(said)


def test_a_label_that_is_the_months_last_day_becomes_its_last_session() -> None:
    labels = ["20261031", "20261030", "20261130", "20260228", "2026", None, "20261029"]
    one = dict.fromkeys(("low", "high", "close", "pre_close", "vol"), 1.0)
    bars = pl.DataFrame({"trade_date": labels, **one, "pct_chg": 0.0, "amount": 0.1})
    expected = ["20261030", "20261030", "20261130", "20260227", "2026", None, "20261029"]
    assert monthly(bars, xshg())["trade_date"].to_list() == expected


NAMES = ("trade_date", "low", "high", "close", "pre_close", "pct_chg", "vol", "amount")


def test_an_answer_without_rows_stays_one() -> None:
    empty = pl.DataFrame({name: pl.Series([], dtype=pl.Null) for name in NAMES})
    assert monthly(empty, xshg()).is_empty()


@pytest.mark.parametrize("by_code", [False, True])
def test_months_come_whichever_way_they_are_labelled(market: SimulatedMarket, limiter: Limiter, by_code: bool) -> None:
    code = market.frame("monthly", {"trade_date": "20261030"}, 1)["ts_code"][0]
    unit = Unit.code(code, dt.date(2026, 3, 2), OCTOBER) if by_code else Unit.session(OCTOBER)
    ours, calls = fetched(market, limiter, unit)
    theirs, calls_of_theirs = fetched(CalendarMonths(market), limiter, unit)
    assert ours.equals(theirs)
    assert ours["trade_date"].max() == OCTOBER
    assert len(ours) > (7 if by_code else 40)
    assert (calls, calls_of_theirs) == ((1, 1) if by_code else (1, 2))


def test_weeks_are_percentages(market: SimulatedMarket, limiter: Limiter) -> None:
    with running(market, quotas={"*": None}) as sandbox:
        source = TushareSource(sandbox.token, sandbox.tushare_url, xshg(), limiter, FREE)
        bars = source.fetch(WEEKLY_KLINE, Unit.session(dt.date(2026, 11, 20)), Tally())
    given = market.frame("weekly", {"trade_date": "20261120"}, 1_000)
    assert bars["pct_chg"].to_list() == pytest.approx((given["pct_chg"] * 100).to_list())
    assert bars["pct_chg"].abs().max() > 1


def test_a_month_of_the_whole_market_takes_two_pages(limiter: Limiter) -> None:
    whole = SimulatedMarket(Exchange(first_year=2026))
    months, calls = fetched(whole, limiter, Unit.session(OCTOBER))
    given = whole.frame("monthly", {"trade_date": "20261030"}, 10_000)
    assert calls == 2
    assert len(months) == len(given) > 5_000
    assert months["ts_code"].to_list() == given["ts_code"].to_list()


class FridayWeeks(CalendarMonths):
    """A market whose weeks are labelled with their Friday, closed or not."""

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        del rows
        every = {name: value for name, value in params.items() if name == "ts_code"}
        bars = self._market.frame(api, every, 100_000)
        day = pl.col("trade_date").str.to_date("%Y%m%d")
        bars = bars.with_columns((day + pl.duration(days=5 - day.dt.weekday())).dt.strftime("%Y%m%d").alias("trade_date"))
        label = pl.col("trade_date")
        for name, fits in (("trade_date", label.eq), ("start_date", label.ge), ("end_date", label.le)):
            if name in params:
                bars = bars.filter(fits(pl.lit(params[name])))
        return bars


BEFORE_MAY_DAY = dt.date(2026, 4, 30)
"""A Thursday: the last session of a week whose Friday is a holiday."""


@pytest.mark.parametrize("by_code", [False, True])
def test_a_week_labelled_with_its_holiday_friday_bears_its_last_session(
    market: SimulatedMarket, limiter: Limiter, by_code: bool
) -> None:
    code = str(market.frame("weekly", {"trade_date": "20260430"}, 100)["ts_code"][0])
    unit = Unit.code(code, BEFORE_MAY_DAY, BEFORE_MAY_DAY) if by_code else Unit.session(BEFORE_MAY_DAY)
    with running(FridayWeeks(market), quotas={"*": None}) as sandbox:
        source = TushareSource(sandbox.token, sandbox.tushare_url, xshg(), limiter, FREE)
        weeks = source.fetch(WEEKLY_KLINE, unit, Tally())
    assert weeks["trade_date"].unique().to_list() == ["20260430"]
    assert code in weeks["ts_code"]


@pytest.mark.parametrize(
    ("close", "vol", "amount", "lots", "thousands"),
    [
        # weekly, 000001.SZ: 2026-08-21 as answered in 2026, 2018-10-26 as in Tushare's own sample (its turnover: 10 % off)
        (11.41, 521_717_458.0, 5.853922e9, 5_217_174.58, 5_853_922.0),
        (11.18, 9_062_500.14, 9_062_500.14 * 11.18 * 0.1 * 1.1, 9_062_500.14, 9_062_500.14 * 11.18 * 0.11),
        # what cannot be told stays as it is
        (11.18, 0.0, 0.0, 0.0, 0.0),
        (11.18, 9_062_500.14, None, 9_062_500.14, None),
    ],
)
def test_volumes_in_shares_and_in_lots_both_become_lots(
    close: float, vol: float, amount: float | None, lots: float, thousands: float | None
) -> None:
    prices = {"close": close, "pre_close": close, "low": close * 0.9, "high": close * 1.1}
    bar = {"trade_date": "20260821", **prices, "pct_chg": 0.0, "vol": vol, "amount": amount}
    rows = pl.DataFrame([bar], schema_overrides={"amount": pl.Float64})
    for as_stored in (weekly, monthly):
        (row,) = as_stored(rows, xshg()).to_dicts()
        assert row["vol"] == pytest.approx(lots)
        assert row["amount"] == (thousands if thousands is None else pytest.approx(thousands))


def test_a_month_with_a_split_is_in_lots_though_its_close_is_far_from_its_mean_price() -> None:
    """From 17.26 to 2.84: a mean price of 9.68, in 手 and 千元; the close's own scale would have called it 股."""
    prices = {"low": 2.71, "high": 18.96, "close": 2.84, "pre_close": 17.26, "pct_chg": -83.5458}
    rows = pl.DataFrame([{"trade_date": "20260731", **prices, "vol": 1_072_667.0, "amount": 1_038_524.738}])
    (row,) = monthly(rows, xshg()).to_dicts()
    assert (row["vol"], row["amount"]) == (1_072_667.0, 1_038_524.738)
