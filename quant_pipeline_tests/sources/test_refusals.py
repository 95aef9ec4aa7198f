"""Words and what they mean: the table's order, quotas and their windows, and what is recorded of words that stand in none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from quant_pipeline.sources.failures import FailureClass
from quant_pipeline.sources.refusals import Refusal, Window, record_unknown, refused, seconds_until_next
from quant_pipeline.warehouse.database import Database

TABLE = (
    Refusal(r"(?P<quota>\d+)次/(?P<window>分钟|小时|天|日)", FailureClass.RATE_LIMITED),
    Refusal(r"quota", FailureClass.RATE_LIMITED, Window.HOUR),
    Refusal(r"banned", FailureClass.RATE_LIMITED, wait=300.0, whole=True),
    Refusal(r"quota|rights", FailureClass.PERMANENT_API),
)


_WAITING = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
"""


@pytest.fixture(autouse=True)
def _evening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T23:50:50")


@pytest.mark.parametrize(
    ("text", "failure", "wait", "per_minute"),
    [
        ("8次/分钟", "rate_limited", 10, 8),
        ("8次/小时", "rate_limited", 550, None),
        ("8次/天", "rate_limited", 550, None),
        ("8次/日", "rate_limited", 550, None),
        ("quota", "rate_limited", 550, None),
        ("banned", "rate_limited", 300, None),
        ("rights", "permanent_api", 0, None),
        ("something else", "retryable", 0, None),
    ],
)
def test_the_first_of_the_table_that_is_found_says_what_it_means(
    text: str, failure: str, wait: float, per_minute: int | None
) -> None:
    error = refused(TABLE, "source", "api", f"sorry: {text}!")
    assert (error.failure, error.wait, error.per_minute) == (failure, wait, per_minute)
    assert error.unknown is (failure == "retryable")
    assert error.api == ("*" if text == "banned" else "api")


def test_a_shorter_minute_is_waited_for_no_longer_than_it_lasts() -> None:
    assert seconds_until_next(Window.MINUTE) == 10
    assert seconds_until_next(Window.MINUTE, 3.0) == 3
    assert refused(TABLE, "source", "api", "8次/分钟", minute=3.0).wait == 3


def test_unknown_words_are_recorded_once_for_each_source_whatever_numbers_are_in_them(warehouse: Database) -> None:
    heard = [("a", "try at 18:00"), ("a", "try at 19:30"), ("b", "try at 18:00"), ("a", "other words"), ("a", "other words")]
    with warehouse.connect(autocommit=True) as connection:
        assert [record_unknown(connection, source, "api", text) for source, text in heard] == [True, False, True, True, False]
        rows = connection.execute("SELECT source, reason FROM source_events ORDER BY id").fetchall()
    assert rows == [heard[0], heard[2], heard[3]]


def test_processes_that_hear_them_at_once_record_them_once(warehouse: Database) -> None:
    """The second waits for the first, and then sees what that one recorded."""

    def hear(number: int) -> bool:
        with warehouse.pool.connection() as connection:
            return record_unknown(connection, "a", "api", f"number {number}")

    with warehouse.connect() as first, ThreadPoolExecutor(3) as pool:
        with first.transaction():
            assert record_unknown(first, "a", "api", "number 0")
            others = [pool.submit(hear, number) for number in (1, 2, 3)]
            while first.execute(_WAITING).fetchone() != (3,):
                assert not any(other.done() for other in others)
        assert [other.result() for other in others] == [False] * 3


def test_events_of_another_kind_with_the_same_words_are_not_taken_for_them(warehouse: Database) -> None:
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("INSERT INTO source_events (source, api, kind, reason) VALUES ('a', 'api', 'opened', 'cut 1')")
        assert record_unknown(connection, "a", "api", "cut 2")
        assert not record_unknown(connection, "a", "another", "cut 333")


def test_in_the_morning_the_hour_and_the_day_end_at_different_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T09:59:01")
    assert [seconds_until_next(window) for window in Window] == [59, 59, 14 * 3600 + 59]
