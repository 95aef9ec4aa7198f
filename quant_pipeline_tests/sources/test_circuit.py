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


def _fail_saying(limiter: Limiter, text: str, *, times: int = 1, policy: RatePolicy = POLICY, api: str = "daily") -> None:
    for _ in range(times):
        with pytest.raises(SourceError, match=text), limiter.call("tushare", api, policy, patience=5):
            raise SourceError(FailureClass.RETRYABLE, "tushare", api, text)


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
    line = warehouse.connect()
    calling = Limiter(warehouse.pool, Presence(line)).call("tushare", "daily", AT_ONCE, patience=5)
    calling.__enter__()
    with warehouse.connect() as other:  # unlike close(), it answers when the server has let go of the locks
        assert other.execute("SELECT pg_terminate_backend(%s, 60000)", (line.info.backend_pid,)).fetchone() == (True,)
    with pytest.raises(SourceError):
        _call(limiter)
    _call(limiter)
    assert _state(warehouse) == ("closed", 0)


def test_a_second_outage_is_counted_anew_and_told_in_its_own_words(warehouse: Database, limiter: Limiter) -> None:
    """An outage, a success, an outage: the second one needs as many failures as the first, and waits as long."""
    _fail_saying(limiter, "the first outage", times=3, policy=AT_ONCE)
    _call(limiter, policy=AT_ONCE)
    _fail_saying(limiter, "the second outage", times=2)
    assert _state(warehouse) == ("closed", 2)
    _fail_saying(limiter, "the second outage")
    for _ in range(2):  # a refusal is no call: the second one is told the same
        with pytest.raises(SourceError, match="the second outage") as refused:
            _call(limiter)
        assert 590 < refused.value.wait <= 600
    assert _state(warehouse) == ("open", 3)
    with warehouse.connect() as connection:
        events = connection.execute("SELECT kind, reason FROM source_events ORDER BY id").fetchall()
    assert events == [
        ("circuit_opened", "3 failed calls in a row: the first outage"),
        ("circuit_closed", "a call went through"),
        ("circuit_opened", "3 failed calls in a row: the second outage"),
    ]


def test_two_apis_count_for_themselves(warehouse: Database, limiter: Limiter) -> None:
    for _ in range(2):
        _fail_saying(limiter, "cut")
        _fail_saying(limiter, "cut", api="weekly")
    assert _state(warehouse) == ("closed", 2)
    _fail_saying(limiter, "cut", api="weekly")
    _call(limiter)  # daily's circuit is none of weekly's
    with pytest.raises(SourceError, match="left alone"):
        _call(limiter, api="weekly")
    with warehouse.connect() as connection:
        assert connection.execute("SELECT api FROM source_state WHERE circuit = 'open'").fetchall() == [("weekly",)]


@pytest.mark.parametrize("between", [FailureClass.RATE_LIMITED, FailureClass.EMPTY, FailureClass.PERMANENT_API])
def test_any_answer_in_between_starts_the_count_again(warehouse: Database, limiter: Limiter, between: FailureClass) -> None:
    _fail(limiter, 2)
    _fail(limiter, 1, between)
    _fail(limiter, 2)
    assert _state(warehouse) == ("closed", 2)


def test_a_call_that_was_broken_off_tells_nothing(warehouse: Database, limiter: Limiter) -> None:
    _fail(limiter, 2)
    with pytest.raises(KeyboardInterrupt), limiter.call("tushare", "daily", POLICY, patience=5):
        raise KeyboardInterrupt
    assert _state(warehouse) == ("closed", 2)
    _fail(limiter, 1)
    assert _state(warehouse)[0] == "open"


def test_both_kinds_of_failure_count_together(warehouse: Database, limiter: Limiter) -> None:
    for failure in (FailureClass.RETRYABLE, FailureClass.BANNED, FailureClass.RETRYABLE):
        _fail(limiter, 1, failure)
    assert _state(warehouse) == ("open", 3)


def test_while_it_is_open_it_stays_open_until_the_time_is_over(warehouse: Database, limiter: Limiter) -> None:
    short = POLICY.model_copy(update={"cool_down": 5.0})
    _fail(limiter, 3, policy=short)
    with pytest.raises(SourceError, match="left alone"):
        _call(limiter, policy=short)
    with warehouse.connect() as connection:
        connection.execute("UPDATE source_state SET retry_at = retry_at - interval '6 s' WHERE api = 'daily'")
    _call(limiter, policy=short)
    assert _state(warehouse) == ("closed", 0)


def test_a_success_starts_the_count_again_though_another_source_is_well(warehouse: Database, limiter: Limiter) -> None:
    """Two sources may name an API alike."""
    with limiter.call("akshare", "daily", POLICY, patience=5):
        pass
    _fail(limiter, 2)
    _call(limiter)
    with warehouse.connect() as connection:
        counted = connection.execute("SELECT failures FROM source_state WHERE source = 'tushare' AND api = 'daily'").fetchone()
    assert counted == (0,)
