"""What is asked of every built-in strategy: it knows nothing of the future, sees in a short window what it sees in all of
history, keeps codes apart unless it says that it compares, reads what it says it reads, and can be read itself."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np
import polars as pl
import pydantic
import pytest

from quant_pipeline.language import say, speaking
from quant_pipeline.market.stretches import ByCode
from quant_pipeline.strategies.base import Strategy
from quant_pipeline.strategies.panel import IN_UNIVERSE, SharedPanel
from quant_pipeline.strategies.registry import BUILT_IN
from quant_pipeline.wrong_values import problems
from quant_pipeline_tests.strategies.shared import market

CHINESE = re.compile(r"[\u4e00-\u9fff]")
KEY = ["ts_code", "trade_date"]
PANEL = market()
SIZE = max(100.0, PANEL.select(pl.col("close").max()).item())
DAYS = PANEL["trade_date"].unique().sort().to_list()
every = pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.name)


def _judged(strategy: Strategy, bars: pl.DataFrame) -> pl.DataFrame:
    return strategy.judged(bars)


def _no_deeper(strategy: Strategy, first: dt.date) -> pl.DataFrame:
    """The panel without what the strategy says that it does not look back at."""
    before = (pl.col("trade_date") < first).sum().over("ts_code").cast(pl.Int64)
    row = pl.int_range(pl.len(), dtype=pl.Int64).over("ts_code")
    seen = {column: pl.when(row >= before - bars).then(column) for column, bars in strategy.shallower.items()}
    return PANEL.with_columns(**seen)


def _few(kind: type[Strategy]) -> Strategy:
    """With as few of the market in hand as leaves others out."""
    return kind.with_parameters({"hold": 3} if "hold" in kind.Parameters.model_fields else {})


def _same(found: pl.DataFrame, expected: pl.DataFrame, *, tolerance: float) -> None:
    """The marks to the letter, the numbers to the tolerance: of their size, or of a hundred 元 or per cent."""
    assert found.select(*KEY, "buy", "sell").equals(expected.select(*KEY, "buy", "sell"))
    for name in found.columns:
        if found.schema[name].is_numeric():
            np.testing.assert_allclose(
                found[name].cast(pl.Float64).to_numpy(),
                expected[name].cast(pl.Float64).to_numpy(),
                rtol=tolerance,
                atol=tolerance * SIZE,
                equal_nan=True,
                err_msg=name,
            )


@every
def test_nothing_that_comes_later_changes_what_was(kind: type[Strategy]) -> None:
    strategy, cut = kind(), DAYS[500]
    rng = np.random.default_rng(7)
    later = pl.col("trade_date") > cut
    numbers = [name for name, dtype in PANEL.schema.items() if dtype.is_numeric()]
    wild = {name: pl.when(later).then(pl.col(name) * rng.uniform(0.2, 5, PANEL.height)).otherwise(name) for name in numbers}
    scrambled = PANEL.with_columns(**wild).filter(~later | pl.Series(rng.random(PANEL.height) < 0.8))
    past = _judged(strategy, PANEL).filter(pl.col("trade_date") <= cut)
    assert _judged(strategy, scrambled).filter(pl.col("trade_date") <= cut).equals(past)
    assert _judged(strategy, PANEL.filter(~later)).equals(past)


@every
def test_a_short_window_shows_what_all_of_history_shows(kind: type[Strategy]) -> None:
    strategy, session = kind(), DAYS[-3]
    bars = PANEL.filter(pl.col("trade_date") <= DAYS[-1])
    before = (pl.col("trade_date") < session).sum().over("ts_code").cast(pl.Int64)
    row = pl.int_range(pl.len(), dtype=pl.Int64).over("ts_code")
    window = _no_deeper(strategy, session).filter(row >= before - strategy.lookback, pl.col("trade_date") <= DAYS[-1])
    of_last = pl.col("trade_date") >= session
    assert window.height < bars.height
    _same(_judged(strategy, window).filter(of_last), _judged(strategy, bars).filter(of_last), tolerance=1e-6)


@every
def test_a_screen_of_a_shared_panel_shows_what_it_shows_of_all_of_history(kind: type[Strategy]) -> None:
    strategy, sessions = _few(kind), DAYS[-5:]
    seen = SharedPanel(ByCode.of(_no_deeper(strategy, sessions[0])), sessions[0]).seen(strategy.sight)
    assert seen.filter(pl.col("trade_date") < sessions[0]).group_by("ts_code").len()["len"].max() == strategy.lookback
    assert seen.filter(pl.col("trade_date") >= sessions[0]).height == PANEL.filter(pl.col("trade_date") >= sessions[0]).height
    judged = _judged(strategy, PANEL)
    found, expected = strategy.screen(seen, sessions), strategy.hits(judged).filter(pl.col("trade_date").is_in(sessions))
    assert found.select(KEY).equals(expected.select(KEY))
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-6, atol=1e-6 * SIZE)


@every
def test_a_code_s_marks_are_its_own_unless_it_compares(kind: type[Strategy]) -> None:
    strategy, code = kind(), PANEL["ts_code"][5000]
    alone = _judged(strategy, PANEL.filter(ts_code=code))
    together = _judged(strategy, PANEL).filter(ts_code=code)
    if kind.compares:
        assert not alone.equals(together)
    else:
        assert alone.equals(together)


@every
def test_it_reads_what_it_says_that_it_reads(kind: type[Strategy]) -> None:
    columns = [column for columns in kind.needs.values() for column in columns]
    lean = PANEL.select(*KEY, "raw_close", *columns)
    assert _judged(kind(), lean).equals(_judged(kind(), PANEL))


@every
def test_it_marks_something_and_says_why(kind: type[Strategy]) -> None:
    strategy = _few(kind)
    judged = _judged(strategy, PANEL)
    hits = strategy.screen(PANEL, DAYS)
    assert hits.height > 0, "the market of the tests has such a pattern"
    assert hits.height < judged.height / 2
    assert judged["sell"].any()
    assert hits["score"].null_count() == 0
    assert strategy.reason({name: judged[name][-1] for name in strategy.figures}).startswith(kind.zh)
    assert set(strategy.headings) >= set(strategy.figures)
    assert set(strategy.lines) <= set(judged.columns)


@every
def test_outside_the_universe_nothing_is_picked_or_ranked(kind: type[Strategy]) -> None:
    strategy = _few(kind)
    inside = pl.col("ts_code").str.ends_with(".SH")
    hits = strategy.screen(PANEL.with_columns(inside.alias(IN_UNIVERSE)), DAYS)
    assert hits["ts_code"].str.ends_with(".SH").all()
    decided = strategy.decisions(PANEL.with_columns(inside.alias(IN_UNIVERSE)))
    assert decided.filter(~inside)["signal"].max() <= 0


@every
def test_it_is_described_in_both_languages_with_bounds(kind: type[Strategy]) -> None:
    assert CHINESE.search(kind.zh)
    assert re.fullmatch(r"[A-Z0-9][\w ,.&-]+", kind.en)
    with speaking("zh"):
        assert CHINESE.search(say(kind.doc))
    assert re.search(r"[a-z]{3}", kind.doc)
    for name, field in kind.Parameters.model_fields.items():
        english, _, chinese = (field.description or "").rpartition(" ")
        assert CHINESE.search(chinese), (kind.name, name)
        assert re.search(r"[A-Za-z]{2}", english), (kind.name, name)
        assert not re.search(r"[\u4e00-\u9fff]", english.replace("亿元", "")), "pages take the last word for the Chinese"
        if field.annotation in (int, float):
            bounds = {type(each).__name__ for each in field.metadata}
            assert bounds == {"Ge", "Le"}, (kind.name, name)


@every
def test_its_bounds_can_be_taken(kind: type[Strategy]) -> None:
    """At the least and greatest value of each parameter it still works, or says in words what does not fit."""
    short = PANEL.filter(pl.col("ts_code").is_in(PANEL["ts_code"].unique().sort().head(4).to_list()))
    said: list[str] = []
    for name, field in kind.Parameters.model_fields.items():
        for bound in field.metadata:
            value = getattr(bound, "ge", getattr(bound, "le", None))
            try:
                strategy = kind(kind.Parameters(**{name: value}))
            except pydantic.ValidationError as error:
                said.append(problems(error))
                continue
            assert strategy.judged(short).height == short.height
            assert strategy.lookback >= 0
    assert not any("Value error" in each for each in said)


def test_names_are_of_one_strategy_each() -> None:
    for names in ([kind.name for kind in BUILT_IN], [kind.zh for kind in BUILT_IN], [kind.en for kind in BUILT_IN]):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "values", "bars"),
    [("macd", {}, 190), ("rsi", {"window": 14}, 190), ("rsi", {"window": 24}, 330), ("kdj", {}, 60), ("dual_ma", {}, 20)],
)
def test_warm_ups_are_those_that_the_field_found(name: str, values: dict[str, int], bars: int) -> None:
    kind = next(kind for kind in BUILT_IN if kind.name == name)
    assert kind.with_parameters(values).lookback == bars
