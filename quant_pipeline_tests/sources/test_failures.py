"""What is said of failures: every source's last word, whether it may be tried again, and exceptions in words."""

from __future__ import annotations

import pytest

from quant_pipeline.sources.failures import FailureClass, SourceError, Unanswered, in_words


def _error(failure: FailureClass, text: str = "words", source: str = "tushare") -> SourceError:
    return SourceError(failure, source, "daily", text)


@pytest.mark.parametrize(
    ("failure", "passing", "outage"),
    [
        (FailureClass.RETRYABLE, True, True),
        (FailureClass.RATE_LIMITED, True, False),
        (FailureClass.BANNED, True, True),
        (FailureClass.UNREACHABLE, True, True),
        (FailureClass.CIRCUIT_OPEN, False, True),
        (FailureClass.EMPTY, False, False),
        (FailureClass.PERMANENT_API, False, False),
        (FailureClass.PERMANENT_SOURCE, False, False),
    ],
)
def test_each_class_says_whether_to_ask_again_at_once_and_whether_another_time(
    failure: FailureClass, passing: bool, outage: bool
) -> None:
    assert _error(failure).passing is passing
    assert Unanswered("daily 2026-11-20", [_error(failure)]).outage is outage


def test_every_class_is_judged_here() -> None:
    judged = test_each_class_says_whether_to_ask_again_at_once_and_whether_another_time.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {case[0] for case in judged} == set(FailureClass)


def test_the_second_sources_outage_counts_as_well() -> None:
    both = [_error(FailureClass.EMPTY), _error(FailureClass.BANNED, source="akshare")]
    assert Unanswered("daily 2026-11-20", both).outage
    assert Unanswered("daily 2026-11-20", both[::-1]).outage
    assert not Unanswered("daily 2026-11-20", both[:1] * 2).outage


def test_that_a_source_is_away_decides_where_the_others_had_nothing() -> None:
    away, nothing = _error(FailureClass.UNREACHABLE), _error(FailureClass.EMPTY, "these sessions are not synced", "derived")
    wrong = _error(FailureClass.RETRYABLE, "HTTP 502", "akshare")
    assert Unanswered("adj_factor 2026-11-20", [away, nothing]).decisive is away
    assert Unanswered("adj_factor 2026-11-20", [nothing]).decisive is nothing
    assert Unanswered("adj_factor 2026-11-20", [away, wrong]).decisive is wrong
    assert Unanswered("adj_factor 2026-11-20", []).decisive is None


def test_every_sources_last_word_stands_in_the_order_of_asking() -> None:
    first, second = _error(FailureClass.EMPTY, "no rows"), _error(FailureClass.RETRYABLE, "cut", "baostock")
    unanswered = Unanswered("daily 2026-11-20", [first, second], unasked=["akshare"], calls=3, attempts=2)
    assert str(unanswered) == "daily 2026-11-20: tushare.daily: no rows [empty]; baostock.daily: cut [retryable]"
    assert (unanswered.failures, unanswered.calls, unanswered.attempts) == ([first, second], 3, 2)


def test_where_nobody_was_asked_it_says_why() -> None:
    assert "no source serves it" in str(Unanswered("daily 2026-11-20", []))
    told = str(Unanswered("daily 2026-11-20", [], unasked=["baostock", "akshare"]))
    assert "baostock, akshare cannot have it" in told
    assert "no source serves it" not in told
    assert (Unanswered("daily", []).calls, Unanswered("daily", []).attempts) == (0, 0)


def test_an_error_says_where_it_happened_and_names_what_came_with_it() -> None:
    error = SourceError(FailureClass.RATE_LIMITED, "tushare", "daily", "8次/分钟", wait=15.0, per_minute=8)
    assert str(error) == "tushare.daily: 8次/分钟"
    assert (error.wait, error.per_minute, error.unknown) == (15.0, 8, False)
    assert (_error(FailureClass.EMPTY).wait, _error(FailureClass.EMPTY).per_minute) == (0.0, None)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("one\n  two\tthree"), "one two three"),
        (KeyError("data"), "it lacks 'data'"),
        (ValueError(""), "no reason was given"),
        (ValueError("x" * 1000), "x" * 300),
    ],
)
def test_an_exception_in_words_is_one_line_that_can_be_read(error: Exception, words: str) -> None:
    assert in_words(error) == words
