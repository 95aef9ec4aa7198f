"""The shared limiter: never more than the quota, however many ask; nothing lost to dead processes."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

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
    together = threading.Barrier(policy.concurrency, timeout=60)  # nobody goes on before as many as may be are there

    def call(_: int) -> None:
        nonlocal under_way, most
        with limiter.call("tushare", "daily", policy, patience=60):
            with lock:
                under_way += 1
                most = max(most, under_way)
            together.wait()
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


def _limited(limiter: Limiter, api: str = "daily", *, wait: float, per_minute: int | None = None, whole: bool = False) -> None:
    policy = RatePolicy(per_minute=None, per_second=None)
    where = "*" if whole else api
    error = SourceError(FailureClass.RATE_LIMITED, "tushare", where, f"wait {wait:g}", wait=wait, per_minute=per_minute)
    with pytest.raises(SourceError), limiter.call("tushare", api, policy, patience=1):
        raise error


def _state(database: Database, api: str = "daily") -> tuple[int | None, float]:
    """The quota that the source named, and the seconds that it asked to wait."""
    with database.connect() as connection:
        row = connection.execute(
            "SELECT per_minute, extract(epoch FROM blocked_until - clock_timestamp())::float8 FROM source_state WHERE api = %s",
            (api,),
        ).fetchone()
    assert row is not None
    return row[0], row[1]


def _open_gate(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("UPDATE source_state SET blocked_until = NULL")


def test_the_longest_wait_that_was_asked_for_holds_and_the_last_quota_that_was_named(
    limiter: Limiter, warehouse: Database, presence: Presence
) -> None:
    """Two calls under way hear of it one after the other."""
    policy = RatePolicy(per_minute=None, per_second=None, concurrency=2)
    later = SourceError(FailureClass.RATE_LIMITED, "tushare", "daily", "later", wait=5)
    with suppress(SourceError), limiter.call("tushare", "daily", policy, patience=1):
        _limited(Limiter(warehouse.pool, presence), wait=500, per_minute=50)
        raise later
    quota, left = _state(warehouse)
    assert quota == 50, "the second one named no quota: the first one's holds"
    assert 400 < left <= 500, "the second one's wait is shorter: the first one's holds"
    _open_gate(warehouse)
    _limited(limiter, wait=1, per_minute=8)
    assert _state(warehouse)[0] == 8


def test_the_quota_that_the_source_named_holds_where_it_is_lower_than_ours(limiter: Limiter, warehouse: Database) -> None:
    _limited(limiter, wait=1, per_minute=3)
    _open_gate(warehouse)
    policy = RatePolicy(per_minute=100, per_second=None)
    _call(limiter, policy)
    _call(limiter, policy)  # with the one that was refused, three
    with pytest.raises(SourceError, match="quota of 3 calls"):
        _call(limiter, policy, patience=1)
    with pytest.raises(SourceError, match="quota of 2 calls"):
        _call(limiter, RatePolicy(per_minute=2, per_second=None), patience=1)


def test_a_wait_of_the_whole_source_is_told_in_its_words_and_each_api_has_its_own(
    limiter: Limiter, warehouse: Database
) -> None:
    policy = RatePolicy(per_minute=None, per_second=None)
    _call(limiter, policy)
    _limited(limiter, "weekly", wait=100)
    _call(limiter, policy)
    _limited(limiter, "monthly", wait=200, whole=True)
    for api in ("daily", "weekly"):
        with pytest.raises(SourceError, match="wait 200") as refused, limiter.call("tushare", api, policy, patience=1):
            pass
        assert 100 < refused.value.wait <= 200, "the longer of the two holds"
    with warehouse.connect() as connection:
        connection.execute("UPDATE source_state SET blocked_until = NULL WHERE api = '*'")
    _call(limiter, policy)
    with pytest.raises(SourceError, match="wait 100"), limiter.call("tushare", "weekly", policy, patience=1):
        pass


def test_calls_under_way_count_against_the_quota_with_those_that_are_over(limiter: Limiter) -> None:
    policy = RatePolicy(per_minute=2, per_second=None, concurrency=5)
    _call(limiter, policy)
    with (
        limiter.call("tushare", "daily", policy, patience=1),
        pytest.raises(SourceError, match="quota of 2 calls"),
        limiter.call("tushare", "daily", policy, patience=0.1),
    ):
        pass


def test_calls_that_are_older_than_the_window_count_no_more(limiter: Limiter, warehouse: Database) -> None:
    policy = RatePolicy(per_minute=2, per_second=None)
    _call(limiter, policy)
    _call(limiter, policy)
    with warehouse.connect() as connection:
        connection.execute("UPDATE source_calls SET finished_at = finished_at - interval '61 s' WHERE id = 1")
    _call(limiter, policy)
    with pytest.raises(SourceError, match="quota of 2 calls"):
        _call(limiter, policy, patience=1)


def test_two_sources_have_two_quotas(limiter: Limiter) -> None:
    policy = RatePolicy(per_minute=1, per_second=None)
    for source in ("tushare", "baostock"):
        with limiter.call(source, "daily", policy, patience=1):
            pass
        with pytest.raises(SourceError, match="quota of 1"), limiter.call(source, "daily", policy, patience=1):
            pass


def test_outcomes_that_are_given_afterwards_are_those_of_the_named_calls(limiter: Limiter, warehouse: Database) -> None:
    leases = []
    for _ in range(4):
        with limiter.call("tushare", "daily", RatePolicy(), patience=1) as lease:
            leases.append(lease.id)
    limiter.record(leases[1:3], "empty")
    limiter.record([], "empty")
    with warehouse.connect() as connection:
        outcomes = connection.execute("SELECT outcome FROM source_calls ORDER BY id").fetchall()
    assert [outcome for (outcome,) in outcomes] == ["ok", "empty", "empty", "ok"]


def test_the_places_of_two_dead_processes_are_free_and_a_living_ones_is_not(warehouse: Database, presence: Presence) -> None:
    policy = RatePolicy(per_minute=None, per_second=None, concurrency=3)
    dead = [Presence(warehouse.connect()) for _ in range(2)]
    calls = [Limiter(warehouse.pool, each).call("tushare", "daily", policy, patience=1) for each in (*dead, presence)]
    for call in calls:
        call.__enter__()
    for each in dead:
        each.close()
    survivor = Limiter(warehouse.pool, presence)
    with (
        survivor.call("tushare", "daily", policy, patience=5),
        survivor.call("tushare", "daily", policy, patience=5),
        pytest.raises(SourceError, match="3 calls are under way"),
        survivor.call("tushare", "daily", policy, patience=0.2),
    ):
        pass
    with warehouse.connect() as connection:
        outcomes = connection.execute("SELECT outcome FROM source_calls ORDER BY id").fetchall()
    assert [outcome for (outcome,) in outcomes] == ["died", "died", None, "ok", "ok"]


def _refused(limiter: Limiter, policy: RatePolicy) -> float:
    """How long a call that has no patience would have to wait."""
    with pytest.raises(SourceError) as refused:
        _call(limiter, policy, patience=0.0)
    return refused.value.wait


def test_a_long_wait_is_slept_five_seconds_at_a_time_and_a_short_one_as_long_as_it_is(
    warehouse: Database, presence: Presence, limiter: Limiter
) -> None:
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        _open_gate(warehouse)

    patient = Limiter(warehouse.pool, presence, nap=nap)
    for wait in (30, 3):
        _limited(limiter, wait=wait)
        _call(patient, RatePolicy(per_minute=None, per_second=None), patience=60)
    assert naps == [5.0, pytest.approx(3, abs=2)]
    assert naps[1] <= 3


def test_the_next_place_in_the_pace_is_one_interval_away_once_the_burst_is_spent(limiter: Limiter) -> None:
    policy = RatePolicy(per_minute=None, per_second=0.001, burst=3)
    for _ in range(3):
        _call(limiter, policy, patience=0.0)
    assert 900 < _refused(limiter, policy) <= 1000
    assert 1900 < _refused(limiter, policy.model_copy(update={"burst": 2})) <= 2000


def test_a_place_under_the_quota_is_free_when_the_oldest_call_leaves_the_window(limiter: Limiter, warehouse: Database) -> None:
    policy = RatePolicy(per_minute=2, per_second=None, minute=1000)
    _call(limiter, policy)
    _call(limiter, policy)
    assert 900 < _refused(limiter, policy) <= 1000
    with warehouse.connect() as connection:
        connection.execute("UPDATE source_calls SET finished_at = finished_at - interval '500 s' WHERE id = 1")
    assert 400 < _refused(limiter, policy) <= 500


def test_an_open_circuit_tells_how_long_and_one_that_is_being_tried_a_second(limiter: Limiter) -> None:
    policy = RatePolicy(per_minute=None, per_second=None, trip=1, cool_down=1000)
    broken = SourceError(FailureClass.RETRYABLE, "tushare", "daily", "cut")
    with suppress(SourceError), limiter.call("tushare", "daily", policy, patience=1):
        raise broken
    assert 900 < _refused(limiter, policy) <= 1000
    at_once = policy.model_copy(update={"cool_down": 0})
    with suppress(SourceError), limiter.call("tushare", "weekly", at_once, patience=1):
        raise SourceError(FailureClass.RETRYABLE, "tushare", "weekly", "cut")
    with limiter.call("tushare", "weekly", at_once, patience=1):
        with pytest.raises(SourceError) as refused, limiter.call("tushare", "weekly", at_once, patience=1):
            pass
        assert (refused.value.failure, refused.value.wait) == (FailureClass.CIRCUIT_OPEN, 1.0)
