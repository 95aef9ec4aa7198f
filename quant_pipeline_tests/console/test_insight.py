"""The four commands that tell of the platform itself: what they print, what --json holds, what they refuse."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from quant_pipeline.cli import main
from quant_pipeline.console.report import Report, synced
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, DATASETS, SOURCED
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.insight.history import PLANNED_TAG
from quant_pipeline.sync.ledger import Ledger, item_of, record
from quant_pipeline.sync.slot import SyncSlot
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.sync.stored import LATEST, NOW, bars, store

EVE = dt.date(2026, 11, 18)
RUN = "3f2a91c0-77aa-4c"


@pytest.fixture(autouse=True)
def _shell(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_DATABASE_URL", warehouse.url)
    monkeypatch.setenv("QUANT_NOW", NOW)
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def ledger(warehouse: Database) -> Iterator[Ledger]:
    """A ledger in which one sync is going on: two sessions of bars with one between them lacking, and a failure."""
    presence = Presence(warehouse.connect())
    ledger = Ledger(warehouse, presence)
    ledger.begin(RUN, "daily_sync", {})
    ledger.plan(RUN, planned=8, skipped=1)
    failure = "adj_factor 2026-11-20: tushare.adj_factor: 抱歉 [retryable]"
    with warehouse.connect() as connection:
        done = [item_of(Unit.session(day), source="tushare", rows=2, inserted=2, calls=1) for day in (EVE, LATEST)]
        record(connection, RUN, DAILY_KLINE, done)
        bad = item_of(Unit.session(LATEST), status="failed", error=failure, error_class="retryable")
        record(connection, RUN, ADJ_FACTOR, [bad])
    store(warehouse, DAILY_KLINE, bars(["600000.SH", "000001.SZ"], [EVE, LATEST]))
    yield ledger
    presence.close()


def invoke(*arguments: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == exit_code, (result.exit_code, result.output, result.exception)
    return result


def shown(*arguments: str) -> str:
    """What stands on the screen: 120 columns wide, and marked."""
    text = invoke(*arguments).stdout
    assert "SANDBOX" in text
    # A Chinese character takes two columns.
    widths = [sum(2 if ord(letter) > 0x2E7F else 1 for letter in line.rstrip()) for line in text.splitlines()]
    assert max(widths) <= 120
    return text


def facts(*arguments: str) -> dict[str, Any]:
    """The command's JSON: all that stands on standard output."""
    loaded: dict[str, Any] = json.loads(invoke(*arguments, "--json").stdout)
    assert loaded["mode"] == "sandbox"
    return loaded


def refused(*arguments: str) -> str:
    (line,) = [line for line in invoke(*arguments, exit_code=1).stderr.splitlines() if line.startswith("quant-pipeline: ")]
    return line


@pytest.mark.parametrize("command", ["status", "history", "sources", "stats"])
def test_a_new_platform_answers_too(command: str) -> None:
    shown(command)
    facts(command)


@pytest.mark.parametrize("command", ["status", "history", "sources", "stats"])
def test_help_teaches_with_examples(command: str) -> None:
    assert invoke(command, "--help").output.count(f"quant-pipeline {command}") >= 2


@pytest.mark.usefixtures("ledger")
def test_status_tells_watermarks_holes_failures_and_the_running_sync() -> None:
    told = facts("status")
    assert (told["latest_session"], len(told["datasets"])) == ("2026-11-20", len(SOURCED))
    (bars_,) = (each for each in told["datasets"] if each["dataset"] == "daily_kline")
    assert (bars_["first"], bars_["last"], bars_["missing"], bars_["gaps"]) == (
        "2026-11-18",
        "2026-11-20",
        1,
        [["2026-11-19", "2026-11-19"]],
    )
    assert (bars_["rows"], bars_["sources"], bars_["behind"], bars_["stale"]) == (2, ["tushare"], 0, False)
    (sync,) = told["running"]
    assert (sync["run"], sync["done"], sync["planned"], sync["share"], sync["rows"], sync["failed"]) == (RUN, 4, 8, 0.5, 4, 1)
    text = shown("status")
    for part in (
        "Running: daily_sync (run 3f2a91c0",
        "4 of 8 units (50%)",
        "daily_kline lacks 1: 2026-11-19\n",
        "sync --datasets daily_kline --start 2026-11-19 --end 2026-11-19\n",
        "nothing is synced yet: trade_calendar",
        "sync --retry-failed",
    ):
        assert part in text


@pytest.mark.usefixtures("ledger")
def test_old_data_are_told_with_their_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-24T18:00")
    words = "last good data of 2026-11-20, 2 sessions old: readers keep them"
    assert f"daily_kline: {words}" in shown("status")
    told = facts("status")
    assert "daily_kline" in told["stale"]
    assert words in [each["words"] for each in told["datasets"]]


def test_history_tells_runs_page_by_page_and_one_run_s_units(ledger: Ledger) -> None:
    ledger.finish(RUN, "it broke [odd] off")
    ledger.begin("second-run", "sync", {})
    ledger.finish("second-run")
    told = facts("history", "--per-page", "1", "--page", "2")
    assert (told["page"], told["pages"], told["per_page"], told["total"]) == (2, 2, 1, 2)
    (run,) = told["runs"]
    assert (run["run"], run["status"], run["units_done"], run["units_failed"], run["rows_inserted"]) == (RUN, "failed", 2, 1, 4)
    assert run["by_source"]["tushare"]["calls"] == 2
    text = shown("history", "--per-page", "1")
    assert "second-r" in text
    assert "next: quant-pipeline history --page 2" in text
    assert "3f2a91c0: it broke [odd] off" in shown("history")

    told = facts("history", "--run", "3f2a")
    assert (told["run"], [item["status"] for item in told["items"]]) == (RUN, ["failed", "success", "success"])
    assert "[retryable] adj_factor 2026-11-20: tushare.adj_factor: 抱歉 [retryable]" in shown("history", "--run", "3f2a")
    assert "no run begins with 'zz'. The latest runs: second-r, 3f2a91c0" in refused("history", "--run", "zz")
    assert "Run second-run fetched nothing" in shown("history", "--run", "second-run")


CALL = "c0ffee00-0000-4000-8000-000000000000"


def test_one_call_of_a_command_is_one_row_of_history_and_its_id_can_be_pasted(ledger: Ledger, warehouse: Database) -> None:
    ledger.finish(RUN)
    for run, day, error in (("aaaa1111", EVE, None), ("bbbb2222", LATEST, "interrupted: by hand")):
        ledger.begin(run, "quant-pipeline run", {}, command_id=CALL)
        ledger.plan(run, planned=1, skipped=0)
        with warehouse.connect() as connection:
            record(connection, run, DAILY_KLINE, [item_of(Unit.session(day), source="tushare", rows=2, updated=2, calls=1)])
        ledger.finish(run, error)
    call, before = facts("history")["runs"]
    assert (call["run"], call["parts"], before["run"]) == (CALL, ["aaaa1111", "bbbb2222"], RUN)
    assert (call["status"], call["units_planned"], call["units_done"], call["calls"]) == ("interrupted", 2, 2, 2)
    assert call["by_source"]["tushare"]["calls"] == 2
    text = shown("history")
    assert "c0ffee00  run" in text
    assert "interrupted" in text
    assert "bbbb2222" not in text
    told = facts("history", "--run", "c0ffee00")
    assert (told["run"], told["parts"], len(told["items"])) == (CALL, ["aaaa1111", "bbbb2222"], 2)
    assert facts("history", "--run", "bbbb")["parts"] == ["bbbb2222"]
    assert [run["run"] for run in facts("history", "--parts")["runs"]] == ["bbbb2222", "aaaa1111", RUN]


def test_a_command_has_one_id_while_it_runs_in_history_and_among_those_that_are_offered(
    ledger: Ledger, warehouse: Database
) -> None:
    ledger.finish(RUN)
    ledger.begin("aaaa1111", "quant-pipeline run", {}, command_id=CALL)
    assert "(run c0ffee00, " in shown("status")
    assert [sync["command"] for sync in facts("status")["running"]] == [CALL]
    presence = Presence(warehouse.connect())
    try:
        with warehouse.connect() as connection:
            connection.execute("UPDATE sync_runs SET presence = %s WHERE id = 'aaaa1111'", (presence.id,))
        SyncSlot(warehouse, presence).take(queue=False)
        assert "(run c0ffee00, " in (SyncSlot(warehouse, presence).busy() or "")
    finally:
        presence.close()
    ledger.finish("aaaa1111")
    assert [run["run"] for run in facts("history")["runs"]] == [CALL, RUN]
    assert "c0ffee00  run" in shown("history")
    assert "The latest runs: c0ffee00, 3f2a91c0" in refused("history", "--run", "zz")
    assert Report("live", LATEST, run_id="aaaa1111", run_ids=["aaaa1111"], command_id=CALL).id_to_paste == "c0ffee00"


def test_a_unit_that_several_runs_of_a_command_tried_is_counted_once_by_its_last_result(
    ledger: Ledger, warehouse: Database
) -> None:
    ledger.finish(RUN)
    away = "tushare.x: the network cannot be reached: the server's name is not found [unreachable]"
    again = "tushare.x: left alone for 9 s more after repeated failures (why) [circuit_open]"
    for run in ("first", "second"):
        ledger.begin(run, "quant-pipeline run", {}, command_id=CALL)
        last = run == "second"
        with warehouse.connect() as connection:
            for day in (EVE, LATEST):
                unit, (kind, why) = Unit.session(day), ("circuit_open", again) if last else ("unreachable", away)
                bad = item_of(unit, status="failed", calls=1, error_class=kind, error=f"daily_kline {unit}: {why}")
                record(connection, run, DAILY_KLINE, [bad])
                error = f"adj_factor {unit}: HTTP 502"
                broken = item_of(unit, status="failed", calls=1, error_class="retryable", error=error)
                good = item_of(unit, source="tushare", rows=2, inserted=2, calls=1)
                record(connection, run, ADJ_FACTOR, [good if last and day == EVE else broken])
        ledger.finish(run)
    told = synced(warehouse, ["first", "second"])
    counts = {row["dataset"]: (row["units"], row["failed"], row["calls"]) for row in told["datasets"]}
    assert counts == {"daily_kline": (0, 2, 4), "adj_factor": (1, 1, 4)}
    causes = [(row["dataset"], row["unit"], row["units"], row["error_class"]) for row in told["failures"]]
    assert causes == [("adj_factor", f"{LATEST}", 1, "retryable"), ("daily_kline", f"{EVE}", 2, "circuit_open")]
    assert told["unanswered"] == {"units": 2, "datasets": ["daily_kline"], "why": away}


def test_a_command_that_was_broken_off_is_told_by_all_that_it_was_to_do(ledger: Ledger, warehouse: Database) -> None:
    ledger.finish(RUN)
    for call, error in (("whole", None), ("broken", "interrupted: by hand")):
        for run in (f"{call}-1", f"{call}-2"):
            ledger.begin(run, "quant-pipeline run", {"tags": {PLANNED_TAG: "948"}}, command_id=call)
            ledger.plan(run, planned=2, skipped=1)
            with warehouse.connect() as connection:
                record(connection, run, DAILY_KLINE, [item_of(Unit.session(EVE), source="tushare", rows=2, calls=1)])
            ledger.finish(run, error)
    broken, whole, before = facts("history")["runs"]
    done = [(row["units_done_of_asked"], row["units_asked"]) for row in (broken, whole, before)]
    assert done[:2] == [(2, 948), (2, 2)], "what a whole one planned and did not need was not lacking"
    assert "2/948" in shown("history")


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [80, 100, 120, 160])
@pytest.mark.parametrize("command", ["status", "history", "history --run 3f2a", "sources", "stats"])
def test_tables_fit_every_width_and_squeeze_no_column(
    monkeypatch: pytest.MonkeyPatch, command: str, width: int, language: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = invoke(*command.split(), "--lang", language).stdout
    assert max(cell_len(line.rstrip()) for line in text.splitlines()) <= width
    assert "…" not in text
    if command != "sources":
        assert re.search(r"(daily_kline|3f2a91c0) ", text), "names and ids stand in one piece"


@pytest.mark.usefixtures("ledger")
def test_times_are_those_of_the_exchange(warehouse: Database) -> None:
    with warehouse.connect() as connection:
        connection.execute("UPDATE sync_runs SET started_at = '2026-11-20 16:30:00+00'")
    assert "since 11-21 00:30" in shown("status")
    assert "11-21 00:30" in shown("history")


@pytest.mark.usefixtures("ledger")
def test_failovers_since_a_run_began_are_in_its_report_and_among_the_events(warehouse: Database) -> None:
    with warehouse.connect() as connection:
        for at, reason in (("2020-01-01", "long ago"), ("2099-01-01", "daily_kline: baostock answered instead (HTTP 502)")):
            connection.execute(
                "INSERT INTO source_events (at, source, api, kind, reason) VALUES (%s, 'tushare', 'daily', 'failover', %s)",
                (at, reason),
            )
    assert synced(warehouse, [RUN])["failovers"] == ["tushare.daily: daily_kline: baostock answered instead (HTTP 502)"]
    assert "baostock answered instead" in shown("sources", "--events")


def test_where_no_source_had_an_event_that_is_said_in_place_of_an_empty_table() -> None:
    assert facts("sources", "--events")["events"] == []
    text = shown("sources", "--events")
    assert "No event yet" in text
    assert "reason" not in text


def test_sources_are_told_set_and_reset(warehouse: Database) -> None:
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO source_state (source, api, circuit, failures, retry_at, reason) "
            "VALUES ('tushare', 'daily', 'open', 5, '2026-11-20 18:30+08', 'HTTP 502 [x]')"
        )
    (daily,) = (row for row in facts("sources")["sources"] if row["api"] == "daily")
    assert (daily["circuit"], daily["retry_at"], daily["quota"]) == ("open", "2026-11-20T18:30:00+08:00", 400)
    assert "tushare.daily: until 11-20 18:30:00: HTTP 502 [x]" in shown("sources")

    told = facts("sources", "--reset", "tushare.daily", "--priority", "baostock=0")
    assert told["done"] == [
        "tushare.daily: by hand, was: circuit open, 5 failed calls in a row",
        "baostock: priority off",
    ]
    assert {(row["source"], row["circuit"], row["priority"]) for row in told["sources"]} >= {
        ("tushare", "closed", 1),
        ("baostock", "closed", 0),
    }
    assert "off set" in shown("sources")
    assert [event["kind"] for event in facts("sources", "--events")["events"]] == ["priority_set", "reset"]
    assert "by hand: 0, was as the environment says" in shown("sources", "--events")
    assert facts("sources", "--priority", "baostock=")["done"] == ["baostock: priority as the environment says"]
    assert facts("sources", "--reset", "tushare")["done"] == ["tushare: nothing to reset"]


def test_an_api_that_was_never_called_can_be_given_a_priority() -> None:
    assert facts("sources", "--priority", "tushare.namechange=3")["done"] == ["tushare.namechange: priority 3"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("sources", "--reset", "tushar"), "unknown source: 'tushar'. Did you mean tushare?"),
        (("sources", "--reset", "tushare.dayly"), "unknown API of tushare: 'dayly'. Did you mean tushare.daily"),
        (("sources", "--priority", "tushare"), "'tushare' is no priority: write tushare=1"),
        (("stats", "--datasets", "daily_klin"), "unknown data set: daily_klin. Did you mean daily_kline 日线行情?"),
    ],
)
def test_wrong_names_are_refused_in_one_line_that_lists_the_known_ones(arguments: tuple[str, ...], told: str) -> None:
    assert told in refused(*arguments)


@pytest.mark.usefixtures("ledger")
def test_stats_tell_rows_dates_and_codes_and_their_sum() -> None:
    told = facts("stats")
    assert (told["rows"], {row["dataset"] for row in told["stats"]}) == (4, set(DATASETS))
    (row,) = facts("stats", "--datasets", "daily_kline")["stats"]
    assert (row["source"], row["rows"], row["first"], row["latest"], row["codes"]) == (
        "tushare",
        4,
        "2026-11-18",
        "2026-11-20",
        2,
    )
    assert "Statistics: 4 rows" in shown("stats")
