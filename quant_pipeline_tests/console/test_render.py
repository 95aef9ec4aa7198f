"""The summary that a person reads at the end of a command."""

from __future__ import annotations

import datetime as dt
import io
import re
from typing import Any

from rich.console import Console

from quant_pipeline.console.render import show, show_total
from quant_pipeline.console.report import Report
from quant_pipeline.sync.plan import PlanError

SESSION = dt.date(2026, 11, 20)
HIT = {
    "screen": "dual_ma",
    "ts_code": "600000.SH",
    "name": "浦发银行",
    "close": 10.5,
    "pct_chg": 1.234,
    "score": 0.5,
    "figures": '{"ma5": 10.1, "ma20": 10.0}',
}
SYNCED = {
    "dataset": "daily_kline",
    "first": SESSION,
    "last": SESSION,
    "units": 1,
    "failed": 0,
    "rows": 5400,
    "codes": 0,
    "inserted": 5400,
    "updated": 0,
    "unchanged": 0,
    "rejected": 2,
    "calls": 1,
    "sources": "tushare",
}


def shown(mode: str = "sandbox", *, ui_runs: bool = False, **facts: Any) -> str:
    console = Console(file=io.StringIO(), width=160)
    urls = {"ui_url": "http://127.0.0.1:3000", "pages_url": "http://127.0.0.1:3001"}
    show(Report(mode, SESSION, **facts), console, **urls, ui_runs=ui_runs)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_sandbox_is_named_and_so_are_live_data() -> None:
    assert "SANDBOX" in shown()
    assert "SANDBOX" not in shown("live")
    assert "LIVE" in shown("live")


def test_where_to_look_and_how_to_go_live_is_told_after_a_run_that_brought_something_and_our_own_pages_come_first() -> None:
    new = {"hits": [], "datasets": [SYNCED]}
    text = shown(**new)
    assert "Look around: make ui → http://127.0.0.1:3001, and Dagster's pages http://127.0.0.1:3000" in text
    assert "QUANT_MODE=live" in text
    for other in (
        shown(**new, ui_runs=True),
        shown(datasets=[SYNCED]),
        shown(hits=[], nothing_to_do=True),
        shown(hits=[], datasets=[SYNCED | {"inserted": 0}]),
    ):
        assert "make ui" not in other
        assert "QUANT_MODE=live" not in other


def test_a_sync_that_had_nothing_to_fetch_is_no_success_of_syncing() -> None:
    text = shown(checks_passed=12)
    assert "Synced" not in text
    assert "12 passed" in text
    assert "Synced: failed" in shown(status="failed", errors=["ths_members: no board is known yet"])


def test_a_message_of_an_earlier_command_is_not_told_as_if_it_had_been_sent_again() -> None:
    sent_at = dt.datetime(2026, 11, 20, 12, 31, tzinfo=dt.UTC)
    message = {"title": "双均线", "status": "delivered", "error": None, "sent_at": sent_at}
    assert "双均线 · delivered on 11-20 20:31, not sent again" in shown(hits=[], messages=[message | {"earlier": True}])
    assert "双均线 · delivered\n" in re.sub(" +\n", "\n", shown(hits=[], messages=[message | {"earlier": False}]))


def test_without_a_source_the_summary_is_a_sentence_with_the_cause_and_what_to_do() -> None:
    why = "tushare.daily: the network cannot be reached: the server's name is not found [unreachable]"
    nothing = SYNCED | {"units": 0, "failed": 121, "rows": 0, "inserted": 0, "sources": None}
    text = shown(
        "live",
        status="failed",
        datasets=[nothing, nothing | {"dataset": "stock_list", "failed": 1}],
        failures=[
            {"dataset": "daily_kline", "unit": f"{SESSION}", "units": 121, "error_class": "unreachable", "error": why},
            {"dataset": "stock_list", "unit": f"{SESSION}", "units": 1, "error_class": "circuit_open", "error": why},
        ],
        unanswered={"units": 122, "datasets": ["daily_kline", "stock_list"], "why": why},
        hits=[],
        stored=False,
    )
    words = " ".join(text.split())
    assert (
        "✗ Sources could not be reached: 122 units of daily_kline, stock_list failed (tushare.daily: the network cannot be"
        in words
    )
    assert "run it again" in words
    assert "Screens: none could look, no bar of 2026-11-20 is stored." in words
    for untrue in ("no hits", "/day/", "Failed or not whole", "make ui"):
        assert untrue not in text
    assert text.count("the network cannot be reached") == 1


def test_a_figure_that_could_not_be_counted_is_left_out_and_ends_nothing() -> None:
    text = shown(hits=[HIT | {"figures": '{"ma5": null, "days": 3, "board": "主板", "rps": 97.5}'}])
    assert "days=3 board=主板 rps=97.50" in text
    assert "ma5" not in text


def test_the_query_for_more_hits_asks_for_those_of_their_screen() -> None:
    text = shown(hits=[HIT] * 16)
    assert f"1 more: SELECT * FROM screen_results WHERE trade_date = '2026-11-20' AND screen = '{HIT['screen']}'" in text
    assert "Screened: success" in text, "nothing was synced"


def test_a_screen_that_failed_has_not_found_nothing() -> None:
    assert "Screens: no hits in this session." in shown(hits=[])
    assert "no hits" not in shown(status="failed", hits=[], errors=["screen_mine: mine: it failed on these bars"])


def test_a_screen_that_did_not_look_has_not_found_nothing() -> None:
    text = shown(status="success_with_errors", hits=[], unscreened=["dual_ma", "macd"])
    assert "Screens that have not looked at this session: dual_ma, macd." in text
    assert "no hits" not in text


def test_nothing_to_do_is_said_in_words() -> None:
    text = shown(nothing_to_do=True, hits=[])
    assert "Nothing to do" in text
    assert "2026-11-20" in text
    assert "Synced" not in text


def test_a_run_s_rows_source_checks_hits_and_message_are_there() -> None:
    text = shown(
        run_id="r",
        datasets=[SYNCED],
        checks_passed=29,
        hits=[HIT],
        messages=[{"title": "双均线 2026-11-20", "status": "delivered", "error": None}],
        seconds=3.21,
    )
    for part in (
        "5,400",
        "tushare",
        "29 passed",
        "600000.SH",
        "浦发银行",
        "ma5=10.10",
        "双均线 2026-11-20",
        "delivered",
        "3.2 s",
    ):
        assert part in text


def test_failures_and_red_checks_stand_in_full() -> None:
    text = shown(
        status="success_with_errors",
        datasets=[SYNCED | {"failed": 1}],
        failures=[
            {
                "dataset": "daily_kline",
                "unit": "2026-11-19",
                "error_class": "retryable",
                "units": 3,
                "error": "daily_kline 2026-11-19: tushare.daily: 502",
            }
        ],
        errors=["daily_kline: 1 of the units failed"],
        checks_failed=[
            {"asset": "daily_kline", "check": "row_count", "severity": "ERROR", "text": "7 of 5400 rows due are missing"}
        ],
    )
    for part in (
        "1 failed",
        "2026-11-19 and 2 more  tushare.daily: 502",
        "row_count",
        "7 of 5400 rows due are missing",
        "success with errors",
    ):
        assert part in text


def test_a_long_list_of_hits_is_cut_and_says_where_the_rest_is() -> None:
    text = shown(hits=[HIT | {"ts_code": f"6{n:05}.SH"} for n in range(40)])
    assert "40 hits" in text
    assert "600014.SH" in text
    assert "600015.SH" not in text
    assert "and 25 more: SELECT" in text


def test_brackets_in_an_upstream_s_text_are_shown_as_they_are() -> None:
    """The console's markup would swallow them, or fail on them."""
    text = shown(
        failures=[{"dataset": "daily_kline", "unit": "u", "units": 1, "error_class": "x", "error": "odd [/] text [retryable]"}]
    )
    assert "odd [/] text [retryable]" in text


def test_a_failover_and_what_was_left_out_are_told() -> None:
    told = ["tushare.daily: daily_kline 2026-11-20: baostock answered instead (HTTP 502)", "auction: none has it. Skipped"]
    text = shown(run_id="r", datasets=[SYNCED], failovers=told[:1], skipped=told[1:])
    assert all(f"! {each}" in text for each in told)


def test_what_will_be_asked_code_by_code_is_told_with_its_cost_before_it_begins() -> None:
    unknown = PlanError("daily_basic: none of its codes is known yet, sync stock_list first", dataset="daily_basic", minutes=25)
    unserved = PlanError("auction: none of the sources in use (baostock) serves it")
    console = Console(file=io.StringIO(), width=200)
    show_total([], [unknown, unserved], console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "! daily_basic is counted once its lists are here: stock_list\n" in text
    assert "! not planned: auction: none of the sources" in text
    assert "give daily_basic code by code only: about 25 minutes more. `--datasets` names fewer" in text
