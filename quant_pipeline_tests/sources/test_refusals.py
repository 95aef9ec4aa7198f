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
    def hear(number: int) -> bool:
        with warehouse.pool.connection() as connection:
            return record_unknown(connection, "a", "api", f"number {number}")

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(hear, range(12))) == 1
