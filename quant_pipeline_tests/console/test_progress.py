"""The progress of a command: of the data set under way, and of the whole."""

from __future__ import annotations

import datetime as dt
import io
import logging

import pytest
from rich.console import Console

from quant_pipeline.console.progress import Whole, shown
from quant_pipeline.language import told
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.engine import NOBODY_ANSWERS
from quant_pipeline.sync.plan import Plan
from quant_pipeline.sync.progress import Progress, ProgressLog, tell_step

DAYS = [dt.date(2026, 11, 16) + dt.timedelta(days=number) for number in range(4)]
PLANS = [Plan(dataset, Grain.SESSION, tuple(map(Unit.session, DAYS)), calls=4) for dataset in (DAILY_KLINE, ADJ_FACTOR)]


def at(dataset: str, done: int, total: int = 4) -> Progress:
    return Progress(dataset, done, total, rows=done, failed=0, rows_per_second=1.0, seconds_left=None)


def test_the_whole_is_what_was_planned_and_corrected_by_what_each_data_set_says() -> None:
    whole = Whole(PLANS)
    assert (whole.done, whole.total) == (0, 8)
    whole.seen(at("daily_kline", 3))
    assert (whole.done, whole.total) == (3, 8)
    whole.seen(at("daily_kline", 4))
    whole.seen(at("daily_kline", 1, total=2))  # gaps: a further plan of the same data set
    assert (whole.done, whole.total) == (5, 10)
    whole.seen(at("ths_members", 1, total=500))  # could not be counted before
    assert (whole.done, whole.total) == (6, 510)


def test_without_a_terminal_each_line_tells_the_whole_too_and_alike_warnings_are_counted() -> None:
    console = Console(file=io.StringIO(), width=160)
    logger = logging.getLogger("quant_pipeline.test")
    with shown(console, PLANS):
        log = ProgressLog("daily_kline", 4)
        for day in DAYS:
            log.add(rows=10, failed=False)
            text = told("{dataset} {unit} failed: {error}", dataset="daily_kline", unit=day, error="HTTP 502")
            logger.warning(text, extra={"subject": "daily_kline"})
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "daily_kline 4/4 · 40 rows" in text
    assert "all: 4 of 8 units" in text
    assert text.count("HTTP 502") == 3
    assert "daily_kline: more of the same" in text


def test_that_nobody_answers_is_told_of_a_few_units_of_whichever_data_sets_and_then_once() -> None:
    console = Console(file=io.StringIO(), width=160)
    logger = logging.getLogger("quant_pipeline.test")
    with shown(console, PLANS):
        for number in range(9):
            logger.warning("data_set_%s failed: no line", number, extra={"subject": NOBODY_ANSWERS})
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert [line for line in lines[3:] if line] == ["Sources that cannot be reached: more of the same; the summary counts them"]


def left(dataset: str, seconds: float) -> Progress:
    return Progress(dataset, 1, 4, rows=1, failed=0, rows_per_second=1.0, seconds_left=seconds)


def test_of_what_comes_last_side_by_side_the_longest_group_counts() -> None:
    whole = Whole(PLANS, beside={"ths_members"}, last=[["dividends"], ["etf_daily", "cb_daily"], ["weekly_kline"]])
    for dataset, seconds in (("daily_kline", 60.0), ("adj_factor", 5.0), ("dividends", 20.0), ("weekly_kline", 7.0)):
        whole.seen(left(dataset, seconds))
    whole.seen(left("ths_members", 70.0))
    whole._begun = whole._seen_at - 10
    assert whole._left_when_seen() == 60.0 + 5.0 + 20.0
    for dataset in ("etf_daily", "cb_daily"):
        whole.seen(left(dataset, 15.0))
    whole._begun = whole._seen_at - 10
    assert whole._left_when_seen() == 60.0 + 5.0 + 30.0


def test_what_goes_beside_the_others_takes_no_time_of_its_own() -> None:
    whole = Whole(PLANS, beside={"adj_factor"})
    whole.seen(left("daily_kline", 60.0))
    whole.seen(left("adj_factor", 90.0))
    whole._begun = whole._seen_at - 10
    assert whole._left_when_seen() == 90.0


def test_while_units_are_not_counted_no_time_left_is_told_and_their_data_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("quant_pipeline.console.progress.time.monotonic", lambda: clock[0])
    whole = Whole(PLANS, ["ths_members"])
    whole.seen(at("daily_kline", 0))
    clock[0] += 10
    whole.seen(at("daily_kline", 2))
    assert (str(whole), whole.seconds_left) == ("all: 2 of 8 units (ths_members not counted yet)", None)
    whole.seen(at("ths_members", 1, total=2))
    assert whole.seconds_left is not None


def test_what_is_left_runs_down_and_is_not_told_when_it_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("quant_pipeline.console.progress.time.monotonic", lambda: clock[0])
    whole = Whole(PLANS[:1])
    whole.seen(at("daily_kline", 0))
    clock[0] += 10
    whole.seen(at("daily_kline", 2))
    assert whole.seconds_left == 10.0
    clock[0] += 4
    assert whole.seconds_left == 6.0
    clock[0] += 20
    assert whole.seconds_left is None


def test_while_something_else_is_done_than_fetching_it_is_named_and_no_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("quant_pipeline.console.progress.time.monotonic", lambda: now)
    console = Console(file=io.StringIO(), width=160)
    logger = logging.getLogger("quant_pipeline.sync.progress")
    with shown(console, PLANS):
        for moment, done in ((5.0, 1), (10.0, 2), (15.0, 3)):
            now = moment
            logger.info("", extra={"progress": at("daily_kline", done)})
        now = 15.5
        tell_step(told("checks of {dataset}", dataset="suspensions"))
        now = 21.0
        tell_step(told("checks of {dataset}", dataset="daily_kline"))
    assert isinstance(console.file, io.StringIO)
    *_, fetched, checked = console.file.getvalue().split("\n")[:-2]
    assert fetched.endswith("all: 3 of 8 units, 17 s left to fetch")
    assert checked == "checks of daily_kline …", "less than five seconds of silence are borne"


def test_no_time_is_left_to_fetch_while_something_else_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 5.0
    monkeypatch.setattr("quant_pipeline.console.progress.time.monotonic", lambda: now)
    whole = Whole(PLANS)
    whole.seen(at("daily_kline", 1))
    now = 10.0
    whole.seen(at("daily_kline", 2))
    assert whole.seconds_left
    whole.step = "checks of daily_kline"
    assert whole.seconds_left is None
    whole.seen(at("daily_kline", 3))
    assert whole.seconds_left
