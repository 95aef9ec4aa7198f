"""The circuit breaker: opened by failures in a row, tried by one call, the same for every process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

POLICY = RatePolicy(per_minute=None, per_second=None, concurrency=4, trip=3, cool_down=600)
AT_ONCE = POLICY.model_copy(update={"cool_down": 0.0})


def _call(limiter: Limiter, failure: FailureClass | None = None, policy: RatePolicy = POLICY, api: str = "daily") -> None:
    with limiter.call("tushare", api, policy, patience=5):
        if failure is not None:
            raise SourceError(failure, "tushare", api, "the line was cut")


def _fail(limiter: Limiter, times: int, failure: FailureClass = FailureClass.RETRYABLE, policy: RatePolicy = POLICY) -> None:
    for _ in range(times):
        with pytest.raises(SourceError, match="the line was cut"):
            _call(limiter, failure, policy)


def _state(database: Database) -> tuple[str, int]:
    with database.connect() as connection:
        row = connection.execute("SELECT circuit, failures FROM source_state WHERE api = 'daily'").fetchone()
    assert row is not None
    return row[0], row[1]


def _events(database: Database) -> list[str]:
    with database.connect() as connection:
        return [kind for (kind,) in connection.execute("SELECT kind FROM source_events ORDER BY id").fetchall()]


def test_failures_in_a_row_open_it_and_the_refusal_says_why(warehouse: Database, limiter: Limiter) -> None:
    _fail(limiter, 3)
    with pytest.raises(SourceError) as refused:
        _call(limiter)
    assert refused.value.failure is FailureClass.CIRCUIT_OPEN
    assert "the line was cut" in str(refused.value)
    assert 0 < refused.value.wait <= 600
    with warehouse.connect() as connection:
        assert connection.execute("SELECT count(*) FROM source_calls").fetchone() == (3,), "the refused call was never made"
    assert _events(warehouse) == ["circuit_opened"]


def test_a_success_in_between_starts_the_count_again(warehouse: Database, limiter: Limiter) -> None:
    _fail(limiter, 2)
    _call(limiter)
    _fail(limiter, 2)
    assert _state(warehouse) == ("closed", 2)


@pytest.mark.parametrize("failure", [FailureClass.RATE_LIMITED, FailureClass.EMPTY, FailureClass.PERMANENT_API])
def test_an_answer_that_is_no_data_is_an_answer(warehouse: Database, limiter: Limiter, failure: FailureClass) -> None:
    _fail(limiter, 4, failure)
    assert _state(warehouse)[0] == "closed"


def test_it_is_shared_by_all_limiters_and_holds_for_one_api_only(
    warehouse: Database, presence: Presence, limiter: Limiter
) -> None:
    _fail(limiter, 3, FailureClass.BANNED)
    other = Limiter(warehouse.pool, presence)
    with pytest.raises(SourceError) as refused:
        _call(other)
    assert refused.value.failure is FailureClass.CIRCUIT_OPEN
    _call(other, api="weekly")


def test_after_the_pause_one_call_tries_and_closes_it(warehouse: Database, limiter: Limiter) -> None:
    _fail(limiter, 3, policy=AT_ONCE)
    entered, leave = Event(), Event()

    def probe() -> None:
        with limiter.call("tushare", "daily", AT_ONCE, patience=5):
            entered.set()
            leave.wait(20)

    with ThreadPoolExecutor(1) as pool:
        trying = pool.submit(probe)
        assert entered.wait(20)
        with pytest.raises(SourceError) as refused:
            _call(limiter, policy=AT_ONCE)
        leave.set()
        trying.result()
    assert refused.value.failure is FailureClass.CIRCUIT_OPEN
    assert _state(warehouse) == ("closed", 0)
    _call(limiter)
    assert _events(warehouse) == ["circuit_opened", "circuit_closed"]


def test_a_failed_try_opens_it_again_at_once(warehouse: Database, limiter: Limiter) -> None:
    _fail(limiter, 3, policy=AT_ONCE)
    _fail(limiter, 1)
    assert _state(warehouse)[0] == "open"
    with pytest.raises(SourceError) as refused:
        _call(limiter)
    assert refused.value.failure is FailureClass.CIRCUIT_OPEN
    assert _events(warehouse) == ["circuit_opened", "circuit_opened"]


def test_a_try_whose_process_died_does_not_keep_it_shut_for_ever(warehouse: Database, limiter: Limiter) -> None:
    _fail(limiter, 3, policy=AT_ONCE)
    dead = Presence(warehouse.connect())
    calling = Limiter(warehouse.pool, dead).call("tushare", "daily", AT_ONCE, patience=5)
    calling.__enter__()
    dead.close()
    with pytest.raises(SourceError):
        _call(limiter)
    _call(limiter)
    assert _state(warehouse) == ("closed", 0)
