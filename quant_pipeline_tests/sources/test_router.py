"""The router: failover per unit, no call to who cannot have it, and patience with sources that only rest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import polars as pl
import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import DAILY_KLINE, WEEKLY_KLINE
from quant_pipeline.market.validation import Checked
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.base import Source, Tally, serves
from quant_pipeline.sources.failures import FailureClass, Incomplete, SourceError, Unanswered
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.router import Router
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.warehouse.database import Database

DAY = dt.date(2026, 11, 20)
UNIT = Unit.session(DAY)
QUICK = RatePolicy(per_minute=None, per_second=None, retries=1, backoff=0, trip=2, cool_down=0.2)
ROWS = pl.DataFrame({"ts_code": ["600000.SH"]})
Answer = Callable[[], pl.DataFrame]


class Scripted(Source):
    """A source whose answers a test gives; every one is a call under the limiter."""

    name = "first"

    def __init__(self, limiter: Limiter, answer: Answer) -> None:
        super().__init__(xshg(), limiter, {self.name: {"*": QUICK}}, patience=0.0)
        self.answer = answer
        self.asked = 0

    @serves(DAILY_KLINE, by=(Grain.SESSION, Grain.CODE), api="daily", page=6000)
    def daily_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        return self.call("daily", self._answer, tally)

    @serves(WEEKLY_KLINE, by=(Grain.SESSION,), api="weekly", page=6000)
    def weekly_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self.daily_kline(unit, tally)

    def _answer(self) -> pl.DataFrame:
        self.asked += 1
        return self.answer()

    def lacks(self, dataset: Dataset, ts_code: str) -> bool:
        del dataset
        return self.name == "first" and ts_code.endswith(".BJ")

    def classify(self, api: str, error: Exception) -> SourceError:
        return SourceError(FailureClass.RETRYABLE, self.name, api, str(error))


class Second(Scripted):
    name = "second"
    daily_kline = Scripted.daily_kline


def good() -> pl.DataFrame:
    return ROWS


def fails(failure: FailureClass, api: str = "daily") -> Answer:
    def answer() -> pl.DataFrame:
        raise SourceError(failure, "first", api, "as ordered")

    return answer


def judge(frame: pl.DataFrame, source: Source) -> Checked:
    del source
    if frame.is_empty():
        raise Incomplete("nothing came")
    return Checked(frame, frame.clear())


@pytest.mark.parametrize(
    ("failure", "tries"),
    [
        (FailureClass.RETRYABLE, 2),
        (FailureClass.BANNED, 2),
        (FailureClass.PERMANENT_API, 1),
        (FailureClass.PERMANENT_SOURCE, 1),
        (FailureClass.EMPTY, 2),
    ],
)
def test_a_unit_fails_over_after_as_many_tries_as_its_failure_is_worth(
    limiter: Limiter, failure: FailureClass, tries: int
) -> None:
    first, second = Scripted(limiter, fails(failure)), Second(limiter, good)
    answer = Router([first, second]).fetch(DAILY_KLINE, UNIT, judge)
    assert answer.source == "second"
    assert (first.asked, second.asked) == (tries, 1)
    assert answer.calls == tries + 1


def test_an_answer_that_is_refused_goes_to_the_next_and_counts_as_empty(limiter: Limiter, warehouse: Database) -> None:
    first, second = Scripted(limiter, ROWS.clear), Second(limiter, good)
    assert Router([first, second]).fetch(DAILY_KLINE, UNIT, judge).source == "second"
    with warehouse.connect() as connection:
        outcomes = connection.execute("SELECT source, outcome FROM source_calls ORDER BY id").fetchall()
    assert outcomes == [("first", "empty"), ("first", "empty"), ("second", "ok")]


def test_who_does_not_have_the_code_or_the_running_week_is_not_asked(limiter: Limiter) -> None:
    first, second = Scripted(limiter, good), Second(limiter, good)
    router = Router([first, second])
    assert router.fetch(DAILY_KLINE, Unit.code("920001.BJ", DAY, DAY), judge).source == "second"
    assert router.fetch(DAILY_KLINE, Unit.code("600000.SH", DAY, DAY), judge, without={"first"}).source == "second"
    with pytest.raises(Unanswered, match=r"weekly_kline 2026-11-18: first, second cannot have it .*not ready yet"):
        router.fetch(WEEKLY_KLINE, Unit.session(dt.date(2026, 11, 18)), judge)
    assert first.asked == 0
    assert router.fetch(WEEKLY_KLINE, UNIT, judge).source == "first"


def test_when_all_only_rest_the_unit_waits_and_is_answered(limiter: Limiter) -> None:
    source = Scripted(limiter, fails(FailureClass.RETRYABLE))
    with pytest.raises(Unanswered):
        Router([source], patience=0.0).fetch(DAILY_KLINE, UNIT, judge)
    source.answer = good
    assert Router([source], patience=30.0).fetch(DAILY_KLINE, UNIT, judge).source == "first"


def test_patience_ends_and_every_source_s_last_word_is_told(limiter: Limiter) -> None:
    first, second = Scripted(limiter, fails(FailureClass.RETRYABLE)), Second(limiter, ROWS.clear)
    first._policies = {first.name: {"*": QUICK.model_copy(update={"cool_down": 60.0})}}
    router = Router([first, second], patience=0.0)
    with pytest.raises(Unanswered, match=r"daily_kline 2026-11-20: .*\[retryable\]; second\.daily: nothing came \[empty\]"):
        router.fetch(DAILY_KLINE, UNIT, judge)
    with pytest.raises(Unanswered, match=r"first\.daily: left alone for .*as ordered.*\[circuit_open\]"):
        router.fetch(DAILY_KLINE, UNIT, judge)
    assert first.asked == 2, "the second unit cost no call"
