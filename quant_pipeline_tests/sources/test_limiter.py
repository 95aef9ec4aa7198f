"""The shared limiter: never more than the quota, however many ask; nothing lost to dead processes."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence


def _call(limiter: Limiter, policy: RatePolicy, patience: float = 60.0) -> float:
    with limiter.call("tushare", "daily", policy, patience=patience):
        return time.monotonic()


def test_a_window_never_holds_more_than_the_quota(limiter: Limiter) -> None:
    policy = RatePolicy(per_minute=7, per_second=None, concurrency=4, minute=0.5)
    with ThreadPoolExecutor(8) as pool:
        starts = sorted(pool.map(lambda _: _call(limiter, policy), range(30)))
    windows = [sum(start <= other < start + policy.minute for other in starts) for start in starts]
    assert max(windows) <= 7


def test_the_quota_is_shared_by_all_limiters_of_a_database(warehouse: Database, presence: Presence) -> None:
    policy = RatePolicy(per_minute=2, per_second=None, minute=60)
    one, other = Limiter(warehouse.pool, presence), Limiter(warehouse.pool, presence)
    _call(one, policy)
    _call(other, policy)
    with pytest.raises(SourceError) as refused:
        _call(one, policy, patience=1)
    assert refused.value.failure is FailureClass.RATE_LIMITED
    assert 1 < refused.value.wait <= 60


def test_no_more_calls_are_under_way_than_the_policy_allows(limiter: Limiter) -> None:
    policy = RatePolicy(per_minute=None, per_second=None, concurrency=3)
    lock, under_way, most = threading.Lock(), 0, 0

    def call(_: int) -> None:
        nonlocal under_way, most
        with limiter.call("tushare", "daily", policy, patience=60):
            with lock:
                under_way += 1
                most = max(most, under_way)
            threading.Event().wait(0.01)
            with lock:
                under_way -= 1

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(call, range(30)))
    assert most == 3


def test_the_burst_goes_at_once_and_the_pace_holds_after_it(warehouse: Database, presence: Presence) -> None:
    naps: list[float] = []
    limiter = Limiter(warehouse.pool, presence, nap=naps.append)
    policy = RatePolicy(per_minute=None, per_second=0.001, burst=5, concurrency=1)
    for _ in range(5):
        _call(limiter, policy)
    assert not any(naps)
    for _ in range(2):  # what is refused takes no place: the second wait is no longer than the first
        with pytest.raises(SourceError, match=r"pace of 0\.001 calls a second") as refused:
            _call(limiter, policy, patience=1)
        assert refused.value.failure is FailureClass.RATE_LIMITED
        assert 0 < refused.value.wait <= 1000


def test_when_the_source_asks_to_wait_everyone_waits_and_its_quota_is_remembered(limiter: Limiter, warehouse: Database) -> None:
    policy = RatePolicy(per_minute=100, per_second=None)
    error = SourceError(FailureClass.RATE_LIMITED, "tushare", "daily", "每分钟最多访问该接口50次", wait=30, per_minute=50)
    with pytest.raises(SourceError), limiter.call("tushare", "daily", policy, patience=1):
        raise error
    with pytest.raises(SourceError, match="asked to wait"):
        _call(limiter, policy, patience=1)
    with limiter.call("tushare", "adj_factor", policy, patience=1):
        pass  # another API has a quota of its own
    with warehouse.connect() as connection:
        assert connection.execute("SELECT per_minute FROM source_state WHERE api = 'daily'").fetchone() == (50,)


def test_places_of_a_dead_process_are_free_again_and_still_count_as_calls(warehouse: Database, presence: Presence) -> None:
    policy = RatePolicy(per_minute=3, per_second=None, concurrency=1, minute=60)
    dead = Presence(warehouse.connect())
    held = Limiter(warehouse.pool, dead).call("tushare", "daily", policy, patience=1)
    held.__enter__()
    with pytest.raises(SourceError):
        _call(Limiter(warehouse.pool, presence), policy, patience=0)
    dead.close()
    survivor = Limiter(warehouse.pool, presence)
    _call(survivor, policy, patience=5)
    _call(survivor, policy, patience=5)
    with pytest.raises(SourceError, match="quota"):
        _call(survivor, policy, patience=1)


def test_an_account_takes_one_call_at_a_time_whatever_the_api(limiter: Limiter) -> None:
    policy = RatePolicy(per_minute=None, per_second=None, concurrency=1, one_account=True)
    with (
        limiter.call("baostock", "query_stock_basic", policy, patience=1),
        pytest.raises(SourceError, match="under way"),
        limiter.call("baostock", "query_trade_dates", policy, patience=0.2),
    ):
        pass
    with limiter.call("baostock", "query_trade_dates", policy, patience=0.2):
        pass


def test_what_blocks_the_whole_source_blocks_each_of_its_apis(limiter: Limiter) -> None:
    policy = RatePolicy(per_minute=None, per_second=None)
    error = SourceError(FailureClass.RATE_LIMITED, "baostock", "*", "黑名单用户", wait=3600)
    with pytest.raises(SourceError), limiter.call("baostock", "query_stock_basic", policy, patience=1):
        raise error
    with pytest.raises(SourceError, match="黑名单用户"), limiter.call("baostock", "query_trade_dates", policy, patience=1):
        pass


def test_each_call_is_recorded_with_its_outcome(limiter: Limiter, warehouse: Database) -> None:
    policy = RatePolicy()
    with limiter.call("tushare", "daily", policy, patience=1) as lease:
        lease.rows = 5400
    with pytest.raises(SourceError), limiter.call("tushare", "daily", policy, patience=1):
        raise SourceError(FailureClass.RETRYABLE, "tushare", "daily", "reset")
    with pytest.raises(KeyboardInterrupt), limiter.call("tushare", "daily", policy, patience=1):
        raise KeyboardInterrupt
    with warehouse.connect() as connection:
        calls = connection.execute("SELECT outcome, rows, finished_at IS NOT NULL FROM source_calls ORDER BY id").fetchall()
    assert calls == [("ok", 5400, True), ("retryable", 0, True), ("broken_off", 0, True)]


def test_a_lost_database_is_no_silent_pass(warehouse: Database, presence: Presence) -> None:
    limiter = Limiter(warehouse.pool, presence)
    with warehouse.connect() as connection:
        connection.execute("DROP TABLE source_state")
    with pytest.raises(psycopg.Error):
        _call(limiter, RatePolicy())
