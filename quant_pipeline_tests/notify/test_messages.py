"""The messages: what the user reads, whatever odd text goes into them."""

from __future__ import annotations

import datetime as dt
from html.parser import HTMLParser

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_pipeline.notify.messages import Message, run_failed, screen_ready

FRIDAY = dt.date(2026, 11, 20)
UI = "http://127.0.0.1:3000"
SCHEMA = {"ts_code": pl.String, "name": pl.String, "close": pl.Float64, "pct_chg": pl.Float64, "figures": pl.String}


class Page(HTMLParser):
    """The texts and tags of a message."""

    def __init__(self, message: Message) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.feed(message.content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)


def _failed(cause: str = "boom", *, step: str = "daily_kline", sandbox: bool = False) -> Message:
    return run_failed(job="main", step=step, run_id="abc-1", cause=cause, ui_url=UI, sandbox=sandbox)


def _screen(rows: list[tuple[object, ...]], *, sandbox: bool = False) -> Message:
    hits = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return screen_ready(strategy="双均线金叉", session=FRIDAY, hits=hits, ui_url=UI, sandbox=sandbox)


def test_a_failed_run_says_where_why_and_what_to_do() -> None:
    page = Page(_failed("daily 2026-11-20:\n  HTTP 502"))
    for part in ("main", "daily_kline", "abc-1", "daily 2026-11-20: HTTP 502", "Re-execute"):
        assert part in page.text
    assert page.links == [f"{UI}/runs/abc-1"]
    assert "Step" not in Page(_failed(step="")).text


def test_a_long_cause_is_cut() -> None:
    assert len(_failed("很长的原因 " * 10_000).content) < 2_000


@given(st.text() | st.just("\x00\ud800<script>alert('x')</script>"))
def test_any_cause_is_shown_as_text_and_can_be_stored(cause: str) -> None:
    message = _failed(cause)
    assert Page(message).tags == Page(_failed()).tags, "no tag of its own"
    assert "\x00" not in message.content
    message.content.encode()


def test_hits_stand_in_a_table_with_their_figures() -> None:
    page = Page(
        _screen(
            [
                ("600000.SH", "浦发银行", 10.5, 2.94, '{"ma5":10.32,"ma20":10.07}'),
                ("000001.SZ", "*ST<平安>", 9.0, -1.0, "{}"),
            ]
        )
    )
    assert page.tags.count("tr") == 3
    for part in ("600000.SH", "浦发银行", "10.50", "+2.94%", "ma5 10.32 · ma20 10.07", "*ST<平安>", "-1.00%", "共 2 只"):
        assert part in page.text


def test_red_rises_and_green_falls() -> None:
    up, down, flat = (
        _screen([("600000.SH", "x", 10.0, change, "{}")]).content.partition("<table")[2] for change in (1.0, -1.0, 0.0)
    )
    assert "#d0342c" in up
    assert "#1a8f3c" in down
    assert "style" not in flat


def test_values_that_are_not_known_are_dashes() -> None:
    assert Page(_screen([("600000.SH", None, None, None, None)])).texts.count("—") == 3


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (20, 20), (21, 20), (300, 20)])
def test_of_many_hits_twenty_are_shown_and_all_are_counted(count: int, shown: int) -> None:
    message = _screen([(f"{600000 + number}.SH", "x", 1.0, 1.0, "{}") for number in range(count)])
    page = Page(message)
    assert max(page.tags.count("tr") - 1, 0) == shown
    assert f"{count} 只" in message.title
    assert ("其余见" in page.text) == (count > shown)


def test_sandbox_is_said_in_title_and_text_and_only_there() -> None:
    for build in (lambda sandbox: _failed(sandbox=sandbox), lambda sandbox: _screen([], sandbox=sandbox)):
        told, silent = build(True), build(False)
        assert "SANDBOX" in told.title
        assert "SANDBOX" in told.content
        assert "SANDBOX" not in silent.title + silent.content
