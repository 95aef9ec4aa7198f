"""What every strategy owes, and what becomes of one that does not give it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import polars as pl
import pytest
from pydantic import BaseModel

from quant_pipeline.market.stretches import ByCode
from quant_pipeline.strategies.base import Strategy, StrategyError
from quant_pipeline.strategies.panel import assembled, look_at_needs, together

DAY = dt.date(2026, 11, 19)
BARS = pl.DataFrame({"ts_code": ["a", "a", "b"], "trade_date": [DAY, DAY + dt.timedelta(days=1), DAY], "close": [1.0, 2, 3]})
MARKED = BARS.select("ts_code", "trade_date", buy=pl.lit(True), sell=pl.lit(False), score=pl.lit(1.0), fig=pl.col("close"))


class Nothing(BaseModel):
    pass


class Made(Strategy):
    """Of whatever it is told to return."""

    name, zh, doc, Parameters = "made", "试", "x", Nothing
    answer: Callable[[pl.DataFrame], object]

    lookback = 0
    figures = ("fig",)

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        return type(self).answer(bars)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda bars: bars["lack"], "made: the bars lack amount, high, low, open, pct_chg, pre_close, vol, which it needs"),
        (lambda _: 1 / 0, "made: it failed on these bars (division by zero): mend its file"),
        (lambda _: None, "made: signals() must return a polars DataFrame"),
        (
            lambda _: MARKED.drop("buy", "fig"),
            "made: signals() lacks buy, fig; it must return ts_code, trade_date, buy, fig",
        ),
        (lambda _: MARKED.with_columns(buy=pl.lit(1)), "made: buy of signals() must be true or false"),
        (lambda _: MARKED.with_columns(score=pl.lit("high")), "made: score of signals() must be a number"),
        (lambda _: pl.concat([MARKED, MARKED]), "made: signals() has 6 rows for 3 bars; it must have one per bar"),
    ],
)
def test_what_is_no_answer_is_a_sentence(answer: Callable[[pl.DataFrame], object], sentence: str) -> None:
    Made.answer = staticmethod(answer)
    bars = (
        BARS
        if "lack" in sentence and "bars lack" in sentence
        else BARS.with_columns(
            **{name: pl.lit(1.0) for name in ("open", "high", "low", "pre_close", "pct_chg", "vol", "amount")}
        )
    )
    with pytest.raises(StrategyError) as caught:
        Made().judged(bars)
    assert str(caught.value).startswith(sentence)


def test_what_is_left_out_is_never_and_equal() -> None:
    Made.answer = staticmethod(lambda _: MARKED.drop("sell", "score"))
    assert Made().decisions(BARS).select("signal", "score").rows() == [(1, None)] * 3


def test_an_unknown_parameter_is_said_with_those_that_there_are() -> None:
    with pytest.raises(StrategyError, match="made has no parameter quick, slow; it has –"):
        Made.with_parameters({"quick": 1, "slow": 2})


def test_a_null_mark_is_none_and_both_at_once_are_neither() -> None:
    Made.answer = staticmethod(
        lambda _: MARKED.with_columns(buy=pl.Series([True, None, True]), sell=pl.Series([True, True, False]))
    )
    assert Made().decisions(BARS)["signal"].to_list() == [0, -1, 1]


def test_what_lies_outside_the_universe_is_sold_but_not_bought() -> None:
    Made.answer = staticmethod(lambda _: MARKED.with_columns(sell=pl.Series([False, True, False])))
    bars = BARS.with_columns(in_universe=pl.Series([True, False, None]))
    assert Made().decisions(bars)["signal"].to_list() == [1, -1, 0]
    assert Made().screen(bars, [DAY, DAY + dt.timedelta(days=1)])["ts_code"].to_list() == ["a"]


def test_a_hit_has_a_reason_in_words() -> None:
    assert Made().reason({"fig": 1234.5, "other": None}) == "试：fig 1,234.50 · other –"


def test_needs_of_several_strategies_are_one_read() -> None:
    needs = together([{"daily_kline": ("close", "open")}, {"daily_basic": ("total_mv",), "stock_list": ("industry",)}])
    assert needs == {"daily_kline": ("open", "close"), "daily_basic": ("total_mv",), "stock_list": ("industry",)}


@pytest.mark.parametrize(
    ("needs", "sentence"),
    [
        ({"weekly": ("close",)}, "it needs weekly, which is no data set by code"),
        ({"trade_calendar": ("is_open",)}, "it needs trade_calendar, which is no data set by code"),
        ({"daily_basic": ("roe",)}, "it needs roe, which daily_basic has not"),
        ({"daily_kline": ("close",), "daily_basic": ("close",)}, "it needs close of daily_kline and of daily_basic"),
    ],
)
def test_needs_that_no_panel_can_meet_are_said(needs: dict[str, tuple[str, ...]], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        look_at_needs(needs)


def test_a_panel_has_limits_as_the_bars_are_adjusted_and_what_is_known_beside_them() -> None:
    days = [DAY + dt.timedelta(days=n) for n in range(3)]
    key = {"ts_code": ["000001.SZ"] * 3, "trade_date": days}
    close = [11.39, 12.53, 6.0]
    rows = {
        "daily_kline": pl.DataFrame({**key, "close": close}),
        "adj_factor": pl.DataFrame({**key, "adj_factor": [1.0, 1.0, 2.0]}),
        "price_limits": pl.DataFrame({**key, "up_limit": [11.39, 99_999.99, 6.6], "down_limit": [9.32, 0.01, 5.4]}),
        "daily_basic": pl.DataFrame({**key, "total_mv": [1e6, 1e6, 2e6]}).head(2),
    }
    lists = {"stock_list": pl.DataFrame({"ts_code": ["000001.SZ"], "industry": ["银行"]})}
    panel = assembled({name: ByCode.of(frame) for name, frame in rows.items()}, lists).frame()
    assert panel.columns == ["ts_code", "trade_date", "close", "up_limit", "down_limit", "raw_close", "total_mv", "industry"]
    assert panel["close"].to_list() == pytest.approx([5.695, 6.265, 6.0])
    assert panel.select((pl.col("close") == pl.col("up_limit")).alias("at"))["at"].to_list() == [True, None, False]
    assert panel["total_mv"].to_list() == [1e6, 1e6, None]


def test_a_bar_that_cannot_be_adjusted_is_left_out() -> None:
    key = {"ts_code": ["000001.SZ"] * 2, "trade_date": [DAY, DAY + dt.timedelta(days=1)]}
    rows = {
        "daily_kline": pl.DataFrame({**key, "close": [1.0, 2.0]}),
        "adj_factor": pl.DataFrame({**key, "adj_factor": [1.0, 2.0]}).tail(1),
    }
    panel = assembled({name: ByCode.of(frame) for name, frame in rows.items()}, {}).frame()
    assert panel["close"].to_list() == [2.0]
