"""What every source owes the router, whatever its client does: a SourceError, or rows; and the record of its calls."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import polars as pl
import psycopg
import pytest

from quant_pipeline.market.codes import CodeError
from quant_pipeline.market.datasets import DAILY_KLINE, MONTHLY_KLINE, NAME_HISTORY
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.base import Source, Tally, serves
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sources.loopback import send_json, serving, tushare_rows

SESSION = dt.date(2026, 11, 20)
FREE = RatePolicy(per_minute=None, per_second=None, retries=0)
POLICIES = {"tushare": {"*": FREE}, "plain": {"*": FREE}}


class _Plain(Source):
    """A source that makes its rows as the test says, out of one call that goes well."""

    name = "plain"

    def __init__(self, limiter: Limiter, make: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        super().__init__(xshg(), limiter, POLICIES)
        self._make = make

    def secrets(self) -> tuple[str, ...]:
        return "hush", "hush-hush", ""

    def classify(self, api: str, error: Exception) -> SourceError:
        return SourceError(FailureClass.RETRYABLE, self.name, api, str(error))

    @serves(DAILY_KLINE, by=(Grain.SESSION,), api="bars", page=10)
    def daily_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        return self._make(self.call("bars", lambda: pl.DataFrame({"trade_date": [20261120]}), tally))


def _outcomes(database: Database) -> list[str]:
    with database.connect() as connection:
        return [outcome for (outcome,) in connection.execute("SELECT outcome FROM source_calls ORDER BY id").fetchall()]


def _raising(error: BaseException) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def make(_: pl.DataFrame) -> pl.DataFrame:
        raise error

    return make


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda rows: rows.filter(pl.col("trade_date") <= "20261120"), "cannot be used"),
        (lambda rows: rows.select("close"), "close"),
        (lambda _: pl.DataFrame({"close": [1, 2], "open": [1]}), "cannot be used"),
        (_raising(CodeError("'999999': no board has such codes")), "'999999': no board"),
        (_raising(KeyError("data")), "it lacks 'data'"),
        (_raising(TypeError()), "no reason was given"),
        (_raising(RecursionError("too deep")), "too deep"),
        (_raising(MemoryError()), "cannot be used"),
        (_raising(pl.exceptions.PanicException("index out of bounds")), "out of bounds"),
    ],
)
def test_whatever_goes_wrong_over_an_answer_is_the_sources_failure_and_its_calls_outcome(
    limiter: Limiter, warehouse: Database, make: Callable[[pl.DataFrame], pl.DataFrame], words: str
) -> None:
    tally = Tally()
    with pytest.raises(SourceError, match=words) as failed:
        _Plain(limiter, make).fetch(DAILY_KLINE, Unit.session(SESSION), tally)
    assert failed.value.failure is FailureClass.RETRYABLE
    assert (failed.value.source, failed.value.api) == ("plain", "bars")
    assert "2026-11-20" in str(failed.value)
    assert _outcomes(warehouse) == ["retryable"]
    assert tally.seconds > 0


def test_the_second_answer_alone_is_blamed_for_itself(limiter: Limiter, warehouse: Database) -> None:
    answers = iter([lambda rows: rows, _raising(TypeError("the second"))])
    source, tally = _Plain(limiter, lambda rows: next(answers)(rows)), Tally()
    source.fetch(DAILY_KLINE, Unit.session(SESSION), tally)
    with pytest.raises(SourceError, match="the second"):
        source.fetch(DAILY_KLINE, Unit.session(SESSION), tally)
    assert _outcomes(warehouse) == ["ok", "retryable"]
    assert tally.calls == 2


def test_every_secret_is_blotted_out_wherever_it_stands(limiter: Limiter) -> None:
    source = _Plain(limiter, _raising(ValueError("token hush, again hush, and hush-hush")))
    with pytest.raises(SourceError) as failed:
        source.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    assert failed.value.text.endswith("token ***, again ***, and ***")


def test_a_long_text_is_cut_and_stands_on_one_line(limiter: Limiter) -> None:
    with pytest.raises(SourceError) as failed:
        _Plain(limiter, _raising(ValueError("row\n" * 1000))).fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    assert len(failed.value.text) < 400
    assert "\n" not in failed.value.text


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), psycopg.OperationalError("the database is gone")])
def test_the_user_and_the_platforms_own_database_are_no_source(limiter: Limiter, error: BaseException) -> None:
    with pytest.raises(type(error)):
        _Plain(limiter, _raising(error)).fetch(DAILY_KLINE, Unit.session(SESSION), Tally())


@pytest.mark.parametrize(
    "item",
    [
        ["600000.SH", 20261130, 1.0],  # numbers for dates
        [600000, 20261130, "x"],
        [20261130, "600000.SH", 1.0],  # in another order than `fields`
        [["600000.SH"], {"day": 1}, None],
    ],
)
def test_values_of_other_types_are_the_sources_failure_too(limiter: Limiter, warehouse: Database, item: list[Any]) -> None:
    def respond(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        send_json(handler, tushare_rows(["ts_code", "trade_date", "close"], [item]))

    unit = Unit.code("600000.SH", dt.date(2026, 10, 1), SESSION)
    with serving(respond) as url, pytest.raises(SourceError) as failed:
        TushareSource("token", url, xshg(), limiter, POLICIES).fetch(MONTHLY_KLINE, unit, Tally())
    assert failed.value.failure is FailureClass.RETRYABLE
    assert _outcomes(warehouse) == ["retryable"]


class _Retried(_Plain):
    """Its one call fails as often as the test says before it goes well."""

    failures: list[Exception]

    @serves(DAILY_KLINE, by=(Grain.SESSION, Grain.CODE), api="bars", page=10, asks=2, session_calls=1)
    def daily_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        return self.call("bars", self._answer, tally)

    @serves(MONTHLY_KLINE, by=(Grain.SESSION, Grain.CODE), api="months", page=10, running=True)
    def monthly_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self.daily_kline(unit, tally)

    def _answer(self) -> pl.DataFrame:
        if self.failures:
            raise self.failures.pop(0)
        return pl.DataFrame({"close": [1.0]})


def _retried(limiter: Limiter, *failures: Exception, retries: int = 1) -> _Retried:
    source = _Retried(limiter, lambda rows: rows)
    source._policies = {"plain": {"*": FREE.model_copy(update={"retries": retries, "backoff": 0.0})}}
    source.failures = list(failures)
    return source


@pytest.mark.parametrize("failure", [FailureClass.RETRYABLE, FailureClass.BANNED])
def test_a_passing_failure_is_tried_again_as_often_as_the_policy_says(
    limiter: Limiter, warehouse: Database, failure: FailureClass
) -> None:
    errors = [SourceError(failure, "plain", "bars", f"number {number}") for number in range(4)]
    tally = Tally()
    _retried(limiter, *errors[:1]).fetch(DAILY_KLINE, Unit.session(SESSION), tally)
    assert (tally.calls, len(tally.leases)) == (2, 2)
    with pytest.raises(SourceError, match="number 3"):
        _retried(limiter, *errors[2:]).fetch(DAILY_KLINE, Unit.session(SESSION), tally)
    assert (tally.calls, len(tally.leases)) == (4, 2), "leases are those of the latest answer"
    assert _outcomes(warehouse) == [failure.value, "ok", failure.value, failure.value]


@pytest.mark.parametrize("failure", [FailureClass.EMPTY, FailureClass.PERMANENT_API, FailureClass.PERMANENT_SOURCE])
def test_what_does_not_pass_is_asked_once(limiter: Limiter, failure: FailureClass) -> None:
    tally = Tally()
    with pytest.raises(SourceError, match="first"):
        _retried(limiter, SourceError(failure, "plain", "bars", "first"), retries=3).fetch(
            DAILY_KLINE, Unit.session(SESSION), tally
        )
    assert tally.calls == 1


def test_an_answer_that_was_judged_and_refused_is_recorded_so_and_the_one_before_is_not(
    limiter: Limiter, warehouse: Database
) -> None:
    source, tally = _retried(limiter), Tally()
    for _ in range(2):
        source.fetch(DAILY_KLINE, Unit.session(SESSION), tally)
    source.disown(tally)
    assert _outcomes(warehouse) == ["ok", "empty"]


def test_what_a_source_serves_in_which_grain_and_at_which_price(limiter: Limiter) -> None:
    source = _retried(limiter)
    assert source.can_serve(DAILY_KLINE, Grain.CODE)
    assert not source.can_serve(DAILY_KLINE, Grain.SNAPSHOT)
    assert not source.can_serve(NAME_HISTORY, Grain.SNAPSHOT)
    bars, months = source.servings["daily_kline"], source.servings["monthly_kline"]
    assert [bars.calls_for(rows, Grain.CODE) for rows in (0, 9, 10, 25)] == [2, 2, 3, 4]
    assert bars.calls_for(25, Grain.SESSION) == 1
    assert months.calls_for(25, Grain.SESSION) == 3


def test_the_running_month_is_had_by_those_that_say_so_and_a_closed_one_by_all(limiter: Limiter) -> None:
    running, closed = Unit.session(SESSION), Unit.session(dt.date(2026, 10, 30))
    source, tushare = _retried(limiter), TushareSource("token", None, xshg(), limiter, POLICIES)
    assert [source.reaches(MONTHLY_KLINE, unit) for unit in (running, closed)] == [True, True]
    assert [tushare.reaches(MONTHLY_KLINE, unit) for unit in (running, closed)] == [False, True]
