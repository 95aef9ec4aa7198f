"""The console command: what it prints, what it refuses, and with which exit code."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import dagster as dg
import psycopg
import pytest
from click.testing import CliRunner, Result

from quant_pipeline.cli import main
from quant_pipeline.market.datasets import SOURCED
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.selections import BY_SESSION, DAILY_LISTS
from quant_pipeline.sync.checks import checks_of
from quant_pipeline.sync.ledger import COMMAND_ID_TAG, Ledger
from quant_pipeline.sync.slot import SyncSlot
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.assets.platform import LATEST, Platform, installed
from quant_pipeline_tests.console.commanded import loaded_by

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "s3cret-pw-91"
NEW = 3
"""Sessions that the first `run` has to sync; the ledger has those before."""


@pytest.fixture(scope="module")
def shell(database: Database, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A user's folder with dagster.yaml, over a database and a sandbox that know all but the last sessions."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "dagster.yaml", folder)
    with installed(database, home, Exchange(codes=60, first_year=2025)) as platform, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(folder))
        patch.setenv("COLUMNS", "200")
        patch.chdir(folder)
        platform.all_but(NEW, of=121)
        yield platform


def invoke(*arguments: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == exit_code, (result.exit_code, result.output, result.exception)
    return result


def report(*arguments: str, exit_code: int = 0) -> dict[str, Any]:
    """The command's JSON: all that stands on standard output."""
    loaded: dict[str, Any] = json.loads(invoke(*arguments, "--json", exit_code=exit_code).stdout)
    return loaded


def commands(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and group of commands, with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from commands(each, *path, name)


COMMANDS = list(commands(main))


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_every_command_explains_itself_in_both_languages(path: tuple[str, ...], command: click.Command) -> None:
    text, chinese = (invoke(*path, "--help", "--lang", language).output for language in ("en", "zh"))
    assert not re.search(r"[\u4e00-\u9fff]", text)
    assert re.search(r"[\u4e00-\u9fff]", chinese)
    assert "Usage:" in text
    assert "用法：" in chinese
    if not isinstance(command, click.Group) and path != ("completion",):  # a group answers by its commands
        assert "--json" in text


def completed(words: str, typed: str = "") -> list[str]:
    """What bash is offered behind these words."""
    line = f"quant-pipeline {words} {typed}"
    environment = os.environ | {
        "_QUANT_PIPELINE_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - bool(typed)),
    }
    script = Path(sys.executable).with_name("quant-pipeline")
    shown = subprocess.run([script], env=environment, capture_output=True, text=True, check=False).stdout
    return [each.partition(",")[2] for each in shown.splitlines()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_the_shell(shell: str) -> None:
    script = invoke("completion", shell).stdout
    assert "_QUANT_PIPELINE_COMPLETE" in script
    assert f"{shell}_complete" in script


def test_a_shell_completes_commands_data_sets_and_sources() -> None:
    assert "sync" in completed("", "sy")
    assert completed("sync --datasets", "stock_list,daily_k") == ["stock_list,daily_kline"]
    assert completed("sync --sources", "bao") == ["baostock"]


def test_a_shell_completes_the_runs_of_the_database(shell: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_DATABASE_URL", shell.database.url)
    assert completed("history --run", "bef") == ["before"]


def test_the_installed_script_is_this_command() -> None:
    script = Path(sys.executable).with_name("quant-pipeline")
    shown = subprocess.run([script, "--version"], capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"quant-pipeline, version \d+\.\d+\.\d+\n", shown)


@pytest.mark.usefixtures("shell")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("sync", "--datasets", "daily_klin"), "unknown data set: daily_klin. Did you mean daily_kline 日线行情?"),
        (("sync", "--periods", "weekley"), "unknown period: weekley. Did you mean weekly?"),
        (("sync", "--start", "2026-10-01", "--end", "2026-10-07"), "closed on every day from 2026-10-01 to 2026-10-07"),
        (("sync", "--end", "2026-11-23"), "2026-11-23 lies after the latest complete session, 2026-11-20"),
        (("sync", "--symbols", "60000x"), "60000x is in no list. Did you mean "),
        (("sync", "--symbols", "600599", "--datasets", "daily_kline"), "600599 is in no list. "),
        (("sync", "--start", "2026-11-20", "--end", "2026-11-18"), "write --start 2026-11-18 --end 2026-11-20"),
        (("sync", "--start", "1989-01-01", "--end", "1990-01-01"), "the exchange opened on 1990-12-19"),
        (("run", "--date", "1989-01-01"), "the exchange opened on 1990-12-19"),
        (("sync", "--sources", "baostok"), "unknown source: baostok. Did you mean baostock?"),
        (("screen", "mcad"), "there is no strategy mcad. Did you mean macd MACD"),
        (
            ("screen", "macd", "--date", "2026-06-05"),
            "no bars of 2026-06-05 are stored to screen: quant-pipeline run --date",
        ),
        (("run", "--date", "2026-11-23"), "2026-11-23 lies after the latest complete session, 2026-11-20"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments: tuple[str, ...], told: str) -> None:
    result = invoke(*arguments, exit_code=1)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("quant-pipeline: ")]
    assert told in line
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("sync", "--start", "2026-11-02", "--days-back", "5"),
        ("sync", "--all-history", "--days-back", "5"),
        ("sync", "--days-back", "0"),
        ("run", "--date", "tomorrow"),
        ("run", "--dates", "2026-11-20"),
        ("ui", "--port", "0"),
        ("ui", "--port", "65535"),
        ("sandbox", "--port", "70000"),
    ],
    ids=" ".join,
)
def test_options_that_make_no_sense_are_usage_errors(arguments: tuple[str, ...]) -> None:
    assert "Error: " in invoke(*arguments, exit_code=2).stderr


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_MODE", "paper")
    text = invoke("db", "url", exit_code=1).stderr
    assert "QUANT_MODE" in text
    assert "'sandbox' or 'live'" in text


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://quant:{PASSWORD}@127.0.0.1:1/quant",
        f"mysql://quant:{PASSWORD}@127.0.0.1:1/quant",
        f"postgresql://quant:{PASSWORD}@x@127.0.0.1:1/quant",
        f"postgresql://quant:{PASSWORD}@127.0.0.1:port/quant",
    ],
    ids=["nobody listens", "another database", "an unescaped @", "no port"],
)
def test_a_wrong_database_url_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("QUANT_DATABASE_URL", url)
    result = invoke("db", "upgrade", exit_code=1)
    assert result.stderr.startswith("quant-pipeline: ")
    assert PASSWORD not in result.output


def test_db_url_is_one_line_that_psycopg_takes(shell: Platform) -> None:
    url = invoke("db", "url").stdout
    assert re.fullmatch(r"postgresql://\S+\n", url)
    with psycopg.connect(url.strip()) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (shell.database.name,)
    assert report("db", "url") == {"url": url.strip()}


def test_the_url_that_is_printed_is_one_that_can_be_set(shell: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_DATABASE_URL", shell.database.url)
    assert invoke("db", "url").stdout.strip() == shell.database.url


@pytest.mark.usefixtures("shell")
def test_db_psql_hands_its_arguments_on() -> None:
    command = [
        sys.executable,
        "-m",
        "quant_pipeline.cli",
        "db",
        "psql",
        "-At",
        "-c",
        "SELECT count(*) FROM sync_runs WHERE id = 'before'",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("1\n", "SANDBOX: simulated market, these numbers are made up.\n")
    assert subprocess.run([*command, "-q"], capture_output=True, text=True, check=True).stderr == ""


@pytest.mark.usefixtures("shell")
def test_db_upgrade_can_be_repeated(shell: Platform) -> None:
    assert report("db", "upgrade") == report("db", "upgrade") == {"database": shell.database.name, "upgraded": True}


@pytest.mark.parametrize("arguments", [("run",), ("sync", "--datasets", "name_history")], ids=" ".join)
def test_beside_a_running_sync_it_is_refused_with_exit_code_2(shell: Platform, arguments: tuple[str, ...]) -> None:
    presence = Presence(shell.database.connect())
    try:
        SyncSlot(shell.database, presence).take(queue=True)  # the server may not have missed yet who held it in the test before
        Ledger(shell.database, presence).begin("nightly", "daily_sync", {})
        before = shell.asked()
        result = invoke(*arguments, exit_code=2)
        assert "Another sync is running: daily_sync" in result.stderr
        assert "--force" in result.stderr
        assert shell.asked() == before
    finally:
        presence.close()


@pytest.mark.parametrize(
    ("arguments", "first"),
    [(("run",), "_todo"), (("sync", "--datasets", "name_history"), "_planned")],
    ids=["run", "sync"],
)
def test_a_command_holds_the_slot_from_before_its_plan_so_that_another_is_refused_as_a_whole(
    shell: Platform, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], first: str
) -> None:
    from quant_pipeline.console import commands as console_commands

    taken: list[bool] = []

    def planned(*_: object) -> None:
        presence = Presence(shell.database.connect())
        taken.append(not SyncSlot(shell.database, presence).busy())
        presence.close()
        raise RuntimeError("the plan is made")

    monkeypatch.setattr(console_commands, first, planned)
    assert "the plan is made" in invoke(*arguments, exit_code=1).stderr
    assert taken == [False]
    presence = Presence(shell.database.connect())
    assert SyncSlot(shell.database, presence).busy() is None, "it is given back"
    presence.close()


def test_run_syncs_what_is_missing_and_the_second_one_finds_nothing_to_do(shell: Platform) -> None:
    first = report("run")
    assert (first["mode"], first["status"], first["session"], first["nothing_to_do"]) == (
        "sandbox",
        "success",
        f"{LATEST}",
        False,
    )
    by_session = dict.fromkeys(BY_SESSION, NEW) | {"index_daily": len(SOURCED["index_daily"].codes)}
    asked_for = dict.fromkeys(DAILY_LISTS, 1) | by_session | {"weekly_kline": 1, "monthly_kline": 1, "index_weights": 1}
    ((boards,),) = shell.rows("SELECT (SELECT count(*) FROM ths_concepts) + (SELECT count(*) FROM ths_industries)")
    asked_for |= {"ths_concepts": 1, "ths_industries": 1, "ths_members": boards}
    with_the_bars = ("stock_list", "bse_mapping")  # the month's bars were judged against them
    fetched = {name: units for name, units in asked_for.items() if name not in with_the_bars}
    assert {row["dataset"]: row["units"] for row in first["datasets"]} == fetched
    assert {row["sources"] for row in first["datasets"]} == {"tushare", "derived"}
    assert len(first["run_ids"]) == 7, "lists, bars, what no screen needs, weeks, months, boards, the day at a glance"
    ((command_id, runs),) = shell.rows(
        "SELECT command_id, array_agg(id ORDER BY started_at) FROM sync_runs WHERE command_id IS NOT NULL GROUP BY 1"
    )
    assert sorted(runs) == sorted(first["run_ids"][:-1]), "the runs of one call of the command are one group"
    began = "SELECT min(started_at) FROM sync_runs JOIN sync_items ON sync_run = id WHERE dataset = %s"
    ended = "SELECT min(sync_runs.finished_at) FROM sync_runs JOIN sync_items ON sync_run = id WHERE dataset = %s"
    ((bars_ended,),), ((boards_began,),) = shell.rows(ended, "daily_basic"), shell.rows(began, "ths_members")
    ((lists_ended,),) = shell.rows(ended, "stock_list")
    assert lists_ended < boards_began < bars_ended, "the boards come beside the bars, once there are lists to look them up in"
    of_the_session = "SELECT {}(finished_at) FROM sync_items WHERE trade_date = %s AND dataset = ANY(%s)"
    ((stored,),) = shell.rows(of_the_session.format("max"), LATEST, ["daily_kline", "adj_factor", "price_limits"])
    ((first_of_last,),) = shell.rows(
        of_the_session.format("min"), LATEST, ["dividends", "auction", "weekly_kline", "monthly_kline"]
    )
    assert stored < first_of_last, "they are judged by the bars"
    assert shell.rows("SELECT trade_date, codes, amount IS NOT NULL FROM market_overview") == [
        (LATEST, len(shell.rows("SELECT FROM daily_kline WHERE trade_date = %s", LATEST)), True)
    ]
    with dg.DagsterInstance.get() as instance:
        tagged = instance.get_runs(dg.RunsFilter(tags={COMMAND_ID_TAG: command_id}))
    reports = [each for each in tagged if each.job_name == "operations_report"]
    assert {each.run_id for each in tagged} == {*first["run_ids"], *(each.run_id for each in reports)}
    assert [each.status for each in reports] == [dg.DagsterRunStatus.SUCCESS], "the pages of operations tell of the run at once"
    assert first["checks_failed"] == []
    assert first["checks_passed"] == sum(len(checks_of(SOURCED[name])) for name in asked_for)
    assert {message["status"] for message in first["messages"]} == {"delivered"}
    asked = shell.asked()

    second = report("run")
    assert (second["nothing_to_do"], second["status"], second["run_id"]) == (True, "success", None)
    text = invoke("run").stdout
    assert "Nothing to do: everything up to 2026-11-20" in text
    assert re.search(r"delivered on \d\d-\d\d \d\d:\d\d,\s+not\s+sent\s+again", text), (
        "it is not said as if a second one had gone out"
    )
    assert "SANDBOX" in text
    assert loaded_by("run") & {"dagster", "dagster_shared", "dagster_postgres"} == set(), "that is known without it"
    assert (shell.asked(), shell.inbox()) == (asked, 1)


def test_a_screen_that_run_leaves_alone_is_run_by_its_name(shell: Platform) -> None:
    facts = report("screen", "macd")
    assert (facts["status"], facts["session"], facts["errors"], facts["datasets"]) == ("success", f"{LATEST}", [], [])
    assert {hit["screen"] for hit in facts["hits"]} <= {"macd"}, "not those of dual_ma, which `run` ran"
    assert shell.rows("SELECT trade_date FROM screenings WHERE screen = 'macd'") == [(LATEST,)]
    with dg.DagsterInstance.get() as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("screen_macd")) == {f"{LATEST}"}
    assert "Screened: success" in invoke("screen", "macd", "--date", "2026-11-22").stdout, "of a closed day the session before"


@pytest.mark.usefixtures("shell")
def test_a_command_s_runs_belong_to_their_job() -> None:
    """The timeline and a job's page ask for the runs of a job in a code location, by tag: `.dagster/repository`."""
    (run_id,) = report("sync", "--datasets", "trade_calendar")["run_ids"]
    with dg.DagsterInstance.get() as instance:
        here = {".dagster/repository": "__repository__@quant_pipeline"}
        (run,) = instance.get_runs(dg.RunsFilter(run_ids=[run_id], job_name="daily_sync", tags=here))
    assert run.remote_job_origin is not None
    assert run.remote_job_origin.job_name == "daily_sync"
    assert run.tags["dagster/code_location"] == "quant_pipeline"


def test_dagster_s_tables_do_not_grow_with_the_range(shell: Platform) -> None:
    """By itself Dagster plans a row per session for every check and asset: 35,000 of 100 kB for twenty years."""
    facts = report("sync", "--datasets", "daily_kline", "--days-back", "3")
    planned = (
        "SELECT count(*) FROM dagster.event_logs WHERE run_id = %s AND dagster_event_type = 'ASSET_MATERIALIZATION_PLANNED'"
    )
    assert shell.rows(planned, facts["run_id"]) == [(1,)]
    checks = "SELECT count(*) FROM dagster.asset_check_executions WHERE run_id = %s"
    assert shell.rows(checks, facts["run_id"]) == [(len(checks_of(SOURCED["daily_kline"])),)]
    longest = (
        "SELECT max(length(event)) FROM dagster.event_logs"
        " WHERE run_id = %s AND dagster_event_type = 'ASSET_CHECK_EVALUATION_PLANNED'"
    )
    ((characters,),) = shell.rows(longest, facts["run_id"])
    assert characters < 5_000, "none names the days without a session"


def test_sync_of_some_symbols_asks_for_these_alone_and_says_how_many_rows_came(shell: Platform) -> None:
    codes = [code for (code,) in shell.rows("SELECT ts_code FROM stock_list WHERE list_date < '2025-06-01' ORDER BY 1 LIMIT 2")]
    symbols = ",".join(code.partition(".")[0] for code in codes)
    before = shell.asked("daily")
    facts = report("sync", "--datasets", "daily_kline", "--symbols", symbols, "--days-back", "30")
    assert facts["status"] == "success"
    ((dataset, units, rows),) = [(row["dataset"], row["units"], row["rows"]) for row in facts["datasets"]]
    assert (dataset, units) == ("daily_kline", 2)
    stored = shell.rows("SELECT count(*) FROM daily_kline WHERE ts_code = ANY(%s)", codes)
    assert stored == [(rows,)]
    assert shell.asked("daily") == before + 2


def test_what_cannot_be_planned_is_told_in_plain_words(shell: Platform) -> None:
    shell.execute("TRUNCATE ths_concepts, ths_industries")
    facts = report("sync", "--datasets", "ths_members", exit_code=1)
    words = "no board is known yet, sync ths_concepts, ths_industries first"
    assert facts["errors"] == [f"ths_members: {words}"]


def test_indexes_are_counted_by_what_was_asked_for(shell: Platform) -> None:
    """A call per index: the two sessions that are complete then are no units more."""
    before = shell.asked("index_daily")
    facts = report("sync", "--datasets", "index_list,index_daily", "--days-back", "2", "--force")
    (row,) = (row for row in facts["datasets"] if row["dataset"] == "index_daily")
    assert (row["units"], row["sources"]) == (shell.asked("index_daily") - before, "tushare")


def test_a_session_that_fails_is_named_and_the_exit_code_is_1(shell: Platform) -> None:
    shell.sandbox.order_fault("status", api="daily_basic", times=2)
    try:
        facts = report("sync", "--datasets", "daily_basic", "--days-back", "2", "--force", exit_code=1)
    finally:
        shell.sandbox.clear_faults()
    assert facts["status"] == "success_with_errors"
    assert [failure["unit"] for failure in facts["failures"]] == ["2026-11-19"]
    assert "tushare.daily_basic" in facts["failures"][0]["error"]
    assert facts["errors"] == [], "it is told once"
    with dg.DagsterInstance.get() as instance:
        events = [record.dagster_event for record in instance.all_logs(facts["run_id"]) if record.dagster_event is not None]
    (step,) = (each for each in events if each.is_step_failure)
    assert "tushare.daily_basic" in step.step_failure_data.error.message
    (run,) = (each for each in events if each.is_run_failure)
    assert run.job_failure_data.error is None, "the cause is told once"


SENTENCE = re.compile(r"\b[a-z]{2,} [a-z]{2,} [a-z]{2,}\b")
"""Three Latin words in a row are a sentence; names of data sets, sources, APIs and codes are none."""


def test_a_chinese_reader_is_told_in_chinese_what_failed_in_every_place(
    shell: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the terminal, the history, the events of sources and the message: no English sentence but those of the catalogue."""
    for kind, api, more in (
        ("status", "daily_basic", {"times": 2}),
        ("empty", "suspend_d", {"times": 2}),
        ("wrong_rows", "daily", {"share": 0.3, "times": 2}),
    ):
        shell.sandbox.order_fault(kind, api=api, **more)
    monkeypatch.setenv("COLUMNS", "200")
    try:
        names = "daily_basic,suspensions,daily_kline"
        told = invoke("sync", "--datasets", names, "--days-back", "2", "--force", "--lang", "zh", exit_code=1)
    finally:
        shell.sandbox.clear_faults()
    run = json.loads(invoke("history", "--json").stdout)["runs"][0]["run"]
    pages = {
        "terminal": told.output,
        "history": invoke("history", "--lang", "zh").output,
        "its units": invoke("history", "--run", run[:8], "--lang", "zh").output,
        "sources": invoke("sources", "--lang", "zh").output,
        "events": invoke("sources", "--events", "--lang", "zh").output,
    }
    assert "服务器返回 HTTP 错误" in pages["terminal"]
    assert pages["terminal"].count("服务器返回 HTTP 错误") <= 3, "where it happened, in the summary, in what was left over"
    for name, text in pages.items():
        assert SENTENCE.findall(text) == [], name
    (content,) = shell.rows(
        "SELECT content FROM messages WHERE starts_with(dedupe_key, 'run-failed:') ORDER BY id DESC LIMIT 1"
    )[0]
    cause = content.partition("```")[2].partition("```")[0]
    assert "服务器返回 HTTP 错误" in cause
    assert SENTENCE.findall(cause) == []
    (kept,) = shell.rows("SELECT error FROM sync_items WHERE status = 'failed' AND starts_with(error, 'daily_basic')")[0]
    assert "the server answered with an HTTP error" in kept, "what is kept is read by SQL and by readers of either language"


def test_a_right_that_lacks_is_told_at_the_start_of_the_next_command(shell: Platform) -> None:
    shell.sandbox.order_fault("permission", api="daily_basic", times=None)
    order = ("sync", "--datasets", "daily_basic", "--days-back", "1", "--force", "--sources", "tushare")
    try:
        assert "was refused when last asked" not in " ".join(invoke(*order, exit_code=1).output.split())
        told = " ".join(invoke(*order, "--dry-run").output.split())
    finally:
        shell.sandbox.clear_faults()
    assert told.count("tushare daily_basic was refused when last asked") == 1
    assert "QUANT_WITHOUT=daily_basic leaves it out" in told
    invoke(*order)
    assert "was refused when last asked" not in invoke(*order, "--dry-run").output


def test_a_command_that_fails_in_several_runs_sends_one_message(shell: Platform) -> None:
    shell.sandbox.order_fault("status", api="daily_basic", times=2)
    shell.sandbox.order_fault("status", api="stk_week_month_adj", times=2)
    shell.sandbox.order_fault("status", api="weekly", times=2)
    before = shell.rows("SELECT count(*) FROM messages WHERE starts_with(dedupe_key, 'run-failed:')")[0][0]
    try:
        facts = report("sync", "--datasets", "daily_basic,weekly_kline", "--days-back", "1", "--force", exit_code=1)
    finally:
        shell.sandbox.clear_faults()
    after = shell.rows("SELECT dedupe_key FROM messages WHERE starts_with(dedupe_key, 'run-failed:')")
    assert len(after) == before + 1
    assert (f"run-failed:{facts['command_id']}",) in after
    assert len(facts["messages"]) == 1


def test_where_nothing_failed_or_is_broken_that_is_said_and_no_run_is_made(shell: Platform) -> None:
    report("sync", "--datasets", "daily_basic", "--days-back", "2", "--force")
    made = "SELECT count(*) FROM sync_runs"
    before = shell.rows(made)
    for option, words in (("--retry-failed", "nothing failed at its last attempt"), ("--repair", "nothing is short, breaks a")):
        done = invoke("sync", "--datasets", "daily_basic", option, "--days-back", "2")
        assert words in done.output
        assert "Checks" not in done.output
        assert "screened" not in done.output, "that is what `run` says"
    facts = report("sync", "--datasets", "daily_basic", "--retry-failed")
    assert (facts["nothing_to_do"], facts["run_ids"], facts["status"]) == (True, [], "success")
    assert shell.rows(made) == before
    assert loaded_by("sync", "--datasets", "daily_basic", "--retry-failed") & {"dagster", "dagster_shared", "pandas"} == set()


def test_nothing_failed_is_said_by_a_dry_run_too(shell: Platform) -> None:
    del shell
    report("sync", "--datasets", "daily_basic", "--days-back", "2", "--force")
    assert "nothing failed at its last attempt" in invoke(
        "sync", "--datasets", "daily_basic", "--retry-failed", "--dry-run"
    ).stdout.replace("\n", " ")


def test_history_counts_the_units_of_the_summary(shell: Platform) -> None:
    del shell
    report("sync", "--datasets", "daily_kline", "--days-back", "2")
    facts = report("sync", "--datasets", "daily_kline,daily_basic", "--days-back", "3", "--force")
    run = json.loads(invoke("history", "--json").stdout)["runs"][0]
    assert run["units_done_of_asked"] == run["units_asked"] == sum(each["units"] for each in facts["datasets"])


def test_a_dry_run_prints_the_plan_and_fetches_nothing(shell: Platform) -> None:
    before, runs = shell.asked(), shell.rows("SELECT count(*) FROM sync_runs")
    facts = json.loads(
        invoke("sync", "--datasets", "daily_kline", "--days-back", "30", "--force", "--dry-run", "--json").stdout
    )
    (plan,) = facts["plan"]
    assert (plan["dataset"], plan["by"], plan["units"], plan["calls"], plan["source"]) == (
        "daily_kline",
        "session",
        30,
        30,
        "tushare",
    )
    assert facts["calls"] == 30
    assert facts["problems"] == []
    mixed = invoke("sync", "--datasets", "daily_kline,ths_members", "--days-back", "2", "--force", "--dry-run", "--json")
    facts = json.loads(mixed.stdout)
    assert [plan["dataset"] for plan in facts["plan"]] == ["daily_kline"], "what cannot be planned does not hide the rest"
    assert facts["problems"] == ["ths_members: no board is known yet, sync ths_concepts, ths_industries first"]
    text = invoke("sync", "--datasets", "daily_kline", "--days-back", "1", "--force", "--dry-run").stdout
    assert "1 call, seconds at the sources' pace" in text
    text = invoke("sync", "--periods", "weekly,monthly", "--start", "2026-01-01", "--dry-run").stdout
    assert "weekly_kline" in text
    assert "at the sources' pace" in text
    assert (shell.asked(), shell.rows("SELECT count(*) FROM sync_runs")) == (before, runs)


def test_what_no_source_in_use_serves_is_noted_or_where_it_was_named_an_error(
    shell: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    del shell
    monkeypatch.setenv("QUANT_WITHOUT", ",".join(name for name in SOURCED if name != "auction"))
    facts = report("sync", "--sources", "derived", "--days-back", "1")
    assert (facts["status"], facts["errors"]) == ("success", [])
    assert facts["skipped"] == ["auction: none of the sources in use (derived) serves it. Skipped"]
    assert "! auction: none of the sources" in invoke("sync", "--sources", "derived", "--days-back", "1").output
    facts = report("sync", "--datasets", "auction", "--sources", "derived", "--days-back", "1", "--force", exit_code=1)
    assert facts["skipped"] == []
    assert "auction: none of the sources in use (derived) serves it" in facts["errors"][0]


def test_a_run_with_nothing_left_but_what_no_source_in_use_serves_has_nothing_to_do(
    shell: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    report("run")
    shell.execute("DELETE FROM sync_items WHERE dataset = 'auction'")
    monkeypatch.setenv("TUSHARE_PRIORITY", "0")
    facts = report("run")
    assert (facts["nothing_to_do"], facts["run_ids"]) == (True, [])
    assert "auction" in {note.partition(": none of the sources in use")[0] for note in facts["skipped"]}, facts["skipped"]
    text = invoke("run").stdout
    assert "Nothing to do" in text
    assert "! auction: none of the sources" in text


def test_what_failed_is_tried_again_and_nothing_else(shell: Platform) -> None:
    shell.sandbox.order_fault("status", api="daily_basic", times=2)
    report("sync", "--datasets", "daily_basic", "--days-back", "2", "--force", exit_code=1)
    shell.sandbox.clear_faults()
    before = shell.asked("daily_basic")
    facts = report("sync", "--datasets", "daily_basic", "--retry-failed")
    assert [(row["dataset"], row["units"]) for row in facts["datasets"]] == [("daily_basic", 1)]
    assert shell.asked("daily_basic") == before + 1


def test_repair_mends_what_was_broken(shell: Platform) -> None:
    report("sync", "--datasets", "daily_kline", "--days-back", "3")
    shell.execute("DELETE FROM daily_kline WHERE trade_date = %s AND ts_code LIKE '6%%'", LATEST)
    facts = report("sync", "--datasets", "daily_kline", "--repair", "--days-back", "3")
    assert [row["inserted"] > 0 for row in facts["datasets"]] == [True]
    assert facts["checks_failed"] == []


@pytest.mark.parametrize("both", [("--force", "--repair"), ("--retry-failed", "--repair"), ("--days-back=2", "--all-history")])
def test_modes_that_contradict_each_other_are_refused(both: tuple[str, str]) -> None:
    assert "exclude each other" in invoke("sync", *both, exit_code=2).stderr
