"""Who is asked first: the environment, the table over it while a sync runs, and the source that fails too often."""

from __future__ import annotations

import polars as pl
import pytest

from quant_pipeline.market.datasets import DAILY_KLINE, STOCK_LIST
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.base import Source, Tally, serves
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.ranking import Ranking
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.warehouse.database import Database

QUICK = RatePolicy(per_minute=None, per_second=None, trip=1000)
_AS_SHIPPED = RatePolicy(per_minute=None, per_second=None)
"""With the circuit as it is by default."""


class _Named(Source):
    name = "first"

    @serves(DAILY_KLINE, by=(Grain.SESSION,), api="daily", page=6000)
    def daily_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        raise NotImplementedError

    @serves(STOCK_LIST, by=(Grain.SNAPSHOT,), api="stock_basic", page=6000)
    def stock_list(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        raise NotImplementedError

    def classify(self, api: str, error: Exception) -> SourceError:
        return SourceError(FailureClass.RETRYABLE, self.name, api, str(error))


class _Second(_Named):
    name = "second"
    daily_kline, stock_list = _Named.daily_kline, _Named.stock_list


class _Third(_Named):
    name = "third"
    daily_kline, stock_list = _Named.daily_kline, _Named.stock_list


@pytest.fixture
def sources(limiter: Limiter) -> list[Source]:
    return [_Named(xshg(), limiter, {}), _Second(xshg(), limiter, {}), _Third(xshg(), limiter, {})]


@pytest.fixture
def ranking(warehouse: Database) -> Ranking:
    return Ranking(warehouse.pool, {"first": 1, "second": 2, "third": 3}, fresh=0.0)


def _names(sources: list[Source]) -> list[str]:
    return [source.name for source in sources]


def _set(database: Database, source: str, api: str, priority: int) -> None:
    with database.connect() as connection:
        connection.execute("INSERT INTO source_state (source, api, priority) VALUES (%s, %s, %s)", (source, api, priority))


def _call(limiter: Limiter, times: int, *, fails: bool, policy: RatePolicy = QUICK) -> None:
    for _ in range(times):
        try:
            with limiter.call("first", "daily", policy, patience=5):
                if fails:
                    raise SourceError(FailureClass.RETRYABLE, "first", "daily", "cut")
        except SourceError:
            assert fails


def test_the_environment_orders_them_and_nought_switches_off(warehouse: Database, sources: list[Source]) -> None:
    ranking = Ranking(warehouse.pool, {"first": 3, "second": 0, "third": 1})
    assert _names(ranking.order(DAILY_KLINE, sources)) == ["third", "first"]


def test_the_table_overrules_it_per_data_set_while_a_sync_runs(
    warehouse: Database, ranking: Ranking, sources: list[Source]
) -> None:
    assert _names(ranking.order(DAILY_KLINE, sources)) == ["first", "second", "third"]
    _set(warehouse, "third", "daily", 1)
    _set(warehouse, "first", "daily", 5)
    assert _names(ranking.order(DAILY_KLINE, sources)) == ["third", "second", "first"]
    assert _names(ranking.order(STOCK_LIST, sources)) == ["first", "second", "third"], "another API, another data set"
    _set(warehouse, "second", "*", 0)
    assert _names(ranking.order(STOCK_LIST, sources)) == ["first", "third"]


def test_one_that_fails_too_often_goes_behind_the_next_and_comes_back(
    warehouse: Database, ranking: Ranking, limiter: Limiter, sources: list[Source]
) -> None:
    _call(limiter, 9, fails=True)
    assert _names(ranking.order(DAILY_KLINE, sources)) == ["first", "second", "third"], "nine calls prove nothing"
    _call(limiter, 2, fails=True)
    assert _names(ranking.order(DAILY_KLINE, sources)) == ["second", "first", "third"]
    assert _names(ranking.order(STOCK_LIST, sources)) == ["first", "second", "third"]
    assert _names(ranking.configured(DAILY_KLINE, sources)) == ["first", "second", "third"], "rows are owned as before"
    _call(limiter, 12, fails=False)
    assert _names(ranking.order(DAILY_KLINE, sources)) == ["first", "second", "third"]
    with warehouse.connect() as connection:
        moves = connection.execute("SELECT kind, reason FROM source_events ORDER BY id").fetchall()
    assert moves == [
        ("demoted", "0 of the last 11 calls succeeded: put behind the next source"),
        ("restored", "12 of the last 12 calls succeeded: back in its place"),
    ]


def test_one_whose_calls_fail_two_of_three_opens_no_circuit_and_goes_behind_the_next(
    warehouse: Database, ranking: Ranking, limiter: Limiter, sources: list[Source]
) -> None:
    """What demotion is for: an address that is cut now and then, never often enough in a row to be left alone."""
    for _ in range(4):
        _call(limiter, 2, fails=True, policy=_AS_SHIPPED)
        _call(limiter, 1, fails=False, policy=_AS_SHIPPED)
    with warehouse.connect() as connection:
        assert connection.execute("SELECT DISTINCT circuit FROM source_state").fetchall() == [("closed",)]
    assert _names(ranking.order(DAILY_KLINE, sources)) == ["second", "first", "third"]


def test_half_an_hour_later_it_gets_another_chance(
    warehouse: Database, ranking: Ranking, limiter: Limiter, sources: list[Source]
) -> None:
    _call(limiter, 12, fails=True)
    assert _names(ranking.order(DAILY_KLINE, sources))[0] == "second"
    with warehouse.connect() as connection:
        connection.execute("UPDATE source_state SET demoted_at = demoted_at - interval '31 minutes'")
        connection.execute("UPDATE source_calls SET finished_at = finished_at - interval '61 minutes'")
    assert _names(ranking.order(DAILY_KLINE, sources))[0] == "first"
