"""What comes last waits until what it is judged by has been fetched, and no longer; nothing that fails leaves it waiting."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from quant_pipeline.console.turns import turn_after
from quant_pipeline.sync.progress import tell_ended

PATIENCE = 60.0


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    logger = logging.getLogger("quant_pipeline")
    before = logger.level
    logger.setLevel(logging.INFO)  # as Dagster does when a run begins
    yield
    logger.setLevel(before)


def test_it_comes_once_all_data_sets_have_ended_while_their_checks_still_go_on() -> None:
    checked, done = threading.Event(), list[str]()

    def bars() -> None:
        tell_ended("adj_factor")
        assert done == []
        tell_ended("dividends")  # of another run
        assert done == []
        tell_ended("daily_kline")
        assert checked.wait(PATIENCE)
        done.append("checks")

    def last() -> None:
        done.append("last")
        checked.set()

    with turn_after({"daily_kline", "adj_factor"}) as turn, ThreadPoolExecutor(2) as threads:
        waits = threads.submit(turn.after, last)
        threads.submit(turn.at_the_latest_after, bars).result(PATIENCE)
        waits.result(PATIENCE)
    assert done == ["last", "checks"]


def test_it_comes_at_the_latest_when_the_bars_have_ended_however_they_did() -> None:
    def bars() -> None:
        tell_ended("adj_factor")
        raise RuntimeError("the step of daily_kline did not begin")

    with turn_after({"daily_kline", "adj_factor"}) as turn:
        with pytest.raises(RuntimeError):
            turn.at_the_latest_after(bars)
        assert turn.after(lambda: "last") == "last"


def test_where_no_bars_are_to_come_nothing_is_waited_for() -> None:
    with turn_after(set()) as turn:
        assert turn.after(lambda: "last") == "last"
