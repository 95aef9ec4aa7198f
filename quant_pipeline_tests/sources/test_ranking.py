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


def _calls(database: Database, *outcomes: str | None, api: str = "daily", ago: str = "1 minute") -> None:
    """Calls of the first source that ended so long ago, one after the other; None: under way."""
    with database.connect() as connection:
        connection.execute("INSERT INTO source_state (source, api) VALUES ('first', %s) ON CONFLICT DO NOTHING", (api,))
        for number, outcome in enumerate(outcomes):
            connection.execute(
                "INSERT INTO source_calls (source, api, outcome, finished_at, process, presence) VALUES ('first', %s, %s,"
                " CASE WHEN %s THEN clock_timestamp() - %s::interval + %s * interval '1 millisecond' END, 'p', 1)",
                (api, outcome, outcome is not None, ago, number),
            )


def _is_first(ranking: Ranking, sources: list[Source]) -> bool:
    return ranking.order(DAILY_KLINE, sources)[0].name == "first"


@pytest.mark.parametrize(
    ("outcomes", "stays"),
    [
        (["retryable"] * 9, True),
        (["retryable"] * 10, False),
        (["ok"] * 5 + ["retryable"] * 5, True),
        (["ok"] * 5 + ["retryable"] * 6, False),
        (["rate_limited", "permanent_api", "ok"] * 2 + ["banned", "empty", "retryable"] * 2, True),
        (["rate_limited"] * 10, True),
        (["permanent_api"] * 10, True),
        (["retryable"] * 9 + ["broken_off"] * 5 + [None] * 5, True),
        (["retryable"] * 20 + ["ok"] * 20, True),
        (["ok"] * 20 + ["retryable"] * 20, False),
        (["ok"] * 40 + ["retryable"] * 10, True),
        (["ok"] * 40 + ["retryable"] * 11, False),
    ],
)
def test_of_the_last_twenty_calls_fewer_than_half_put_it_behind(
    warehouse: Database, ranking: Ranking, sources: list[Source], outcomes: list[str | None], stays: bool
) -> None:
    _calls(warehouse, *outcomes)
    assert _is_first(ranking, sources) is stays


def test_what_is_older_than_an_hour_or_of_another_api_or_source_is_not_counted(
    warehouse: Database, ranking: Ranking, sources: list[Source]
) -> None:
    _calls(warehouse, *["retryable"] * 9, ago="59 minutes")
    _calls(warehouse, *["retryable"] * 12, ago="61 minutes")
    _calls(warehouse, *["retryable"] * 12, api="stock_basic")
    with warehouse.connect() as connection:
        connection.execute("INSERT INTO source_state (source, api) VALUES ('second', 'daily'), ('stranger', 'daily')")
        connection.execute("UPDATE source_calls SET source = 'second' WHERE api = 'stock_basic'")
    assert _is_first(ranking, sources)
    _calls(warehouse, "retryable", ago="59 minutes")
    assert not _is_first(ranking, sources)


@pytest.mark.parametrize(
    ("since", "back"),
    [(["ok"] * 9, False), (["ok"] * 8 + ["empty"] * 2, False), (["ok"] * 9 + ["empty"], True), (["ok"] * 10, True)],
)
def test_nine_of_ten_calls_since_then_bring_it_back(
    warehouse: Database, ranking: Ranking, sources: list[Source], since: list[str], back: bool
) -> None:
    _calls(warehouse, *["retryable"] * 12)
    assert not _is_first(ranking, sources)
    with warehouse.connect() as connection:
        connection.execute("UPDATE source_state SET demoted_at = demoted_at - interval '10 minutes'")
        connection.execute("UPDATE source_calls SET finished_at = finished_at - interval '20 minutes'")
    _calls(warehouse, *since)
    assert _is_first(ranking, sources) is back


def test_its_half_hour_is_not_over_after_twenty_nine_minutes_and_the_reason_is_said(
    warehouse: Database, ranking: Ranking, sources: list[Source]
) -> None:
    _calls(warehouse, *["ok"] * 2, *["retryable"] * 9)
    for minutes, back in ((29, False), (2, True)):
        assert not _is_first(ranking, sources)
        with warehouse.connect() as connection:
            connection.execute("UPDATE source_state SET demoted_at = demoted_at - %s * interval '1 minute'", (minutes,))
            connection.execute("UPDATE source_calls SET finished_at = finished_at - interval '61 minutes'")
        assert _is_first(ranking, sources) is back
    with warehouse.connect() as connection:
        told = connection.execute("SELECT source, api, kind, reason FROM source_events ORDER BY id").fetchall()
    assert told == [
        ("first", "daily", "demoted", "2 of the last 11 calls succeeded: put behind the next source"),
        ("first", "daily", "restored", "half an hour has passed: it gets another chance"),
    ]


def test_of_two_demoted_ones_each_goes_behind_the_next_that_is_not_and_they_keep_their_order(
    warehouse: Database, ranking: Ranking, sources: list[Source]
) -> None:
    def demote(*names: str) -> list[str]:
        with warehouse.connect() as connection:
            connection.execute("DELETE FROM source_state")
            for name in names:
                connection.execute(
                    "INSERT INTO source_state (source, api, demoted_at) VALUES (%s, '*', clock_timestamp())", (name,)
                )
        return _names(ranking.order(DAILY_KLINE, sources))

    assert demote("first", "second") == ["third", "first", "second"]
    assert demote("second") == ["first", "third", "second"]
    assert demote("third") == ["first", "second", "third"]
    assert demote("first", "third") == ["second", "first", "third"]
    assert demote("first", "second", "third") == ["first", "second", "third"]


def test_one_that_is_switched_off_keeps_its_rows_and_its_place_among_their_owners(
    warehouse: Database, ranking: Ranking, sources: list[Source]
) -> None:
    _set(warehouse, "first", "daily", 0)
    assert _names(ranking.configured(DAILY_KLINE, sources)) == ["second", "third"]
    assert _names(ranking.owners(DAILY_KLINE, sources)) == ["first", "second", "third"]
    _set(warehouse, "second", "*", 9)
    assert _names(ranking.owners(DAILY_KLINE, sources)) == ["first", "third", "second"]
    off = Ranking(warehouse.pool, {"first": 0, "second": 0, "third": 3})
    assert _names(off.owners(STOCK_LIST, sources)) == ["third", "second", "first"], "second: 9 by the table"
    equal = Ranking(warehouse.pool, {"second": 1})
    assert _names(equal.configured(STOCK_LIST, sources)) == ["first", "third", "second"], "1 where nobody says anything"


def test_the_table_is_read_again_only_when_its_word_is_no_longer_fresh(warehouse: Database, sources: list[Source]) -> None:
    kept = Ranking(warehouse.pool, {"first": 1, "second": 2, "third": 3}, fresh=600.0)
    assert _names(kept.order(DAILY_KLINE, sources))[0] == "first"
    _set(warehouse, "first", "*", 9)
    assert _names(kept.order(DAILY_KLINE, sources))[0] == "first"
    assert _names(Ranking(warehouse.pool, {}, fresh=600.0).order(DAILY_KLINE, sources))[-1] == "first"
