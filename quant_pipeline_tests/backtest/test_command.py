"""`quant-pipeline backtest` over a synced sandbox: the figures, the tables, and slips told in a sentence."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import polars as pl
import pytest
from click.testing import CliRunner, Result
from pydantic import BaseModel

from quant_pipeline.backtest import store as storing
from quant_pipeline.cli import main
from quant_pipeline.market.search import Named
from quant_pipeline.strategies import registry
from quant_pipeline.strategies.base import Strategy
from quant_pipeline.warehouse import watchlists
from quant_pipeline_tests.assets.platform import LATEST, Platform

TABLES = ("backtests", "backtest_orders", "backtest_trades", "backtest_equity", "backtest_positions")
NEEDED = ("stock_list", "name_history", "index_list", "suspensions", "daily_kline", "adj_factor", "price_limits", "index_daily")


class Nothing(BaseModel):
    """No parameters."""


class Raises(Strategy):
    name, zh, doc = "raises", "出错", "It raises."
    Parameters: ClassVar[type[BaseModel]] = Nothing

    @property
    def lookback(self) -> int:
        return 1

    @property
    def figures(self) -> list[str]:
        return []

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        raise ZeroDivisionError(f"of its own, {bars.height and 'over bars'}")


class WrongColumns(Raises):
    name = "wrong_columns"

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        return bars.select("ts_code", "trade_date")


@pytest.fixture(scope="module")
def synced(platform: Platform) -> Platform:
    platform.fill(platform.sessions(45), *NEEDED)
    return platform


@pytest.fixture
def command(synced: Platform, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    assert synced.calendar
    built_in = (*registry.BUILT_IN, Raises, WrongColumns)
    monkeypatch.setattr(registry, "BUILT_IN", built_in)
    return lambda *arguments: CliRunner().invoke(main, ["backtest", *arguments])


def counts(platform: Platform) -> dict[str, int]:
    return {name: platform.rows(f"SELECT count(*) FROM {name}")[0][0] for name in TABLES}


def test_the_figures_and_every_table(synced: Platform, command: Callable[..., Result]) -> None:
    before = counts(synced)
    start = synced.sessions(20)[0].isoformat()
    done = command("dual_ma", "--start", start, "--set", "fast=3", "--set", "slow=8", "--set", "max_positions=3", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    number, figures = facts["id"], facts["figures"]
    assert facts["parameters"] == {"fast": 3, "slow": 8}
    assert figures["sessions"] == 20
    assert figures["start"] == start
    row = synced.rows("SELECT name, total_return, settings->>'max_positions' FROM backtests WHERE id = %s", number)
    assert row == [("dual_ma", figures["total_return"], "3")]
    orders = synced.rows("SELECT count(*) FROM backtest_orders WHERE backtest = %s", number)[0][0]
    assert orders == figures["orders"] == sum(each["orders"] for each in facts["orders"]) > 0
    equity = synced.rows("SELECT equity, cash FROM backtest_equity WHERE backtest = %s ORDER BY trade_date", number)
    assert len(equity) == 20
    assert equity[-1][0] == figures["final"]
    held = synced.rows(
        "SELECT sum(value) FROM backtest_positions WHERE backtest = %s AND trade_date = "
        "(SELECT max(trade_date) FROM backtest_equity WHERE backtest = %s)",
        number,
        number,
    )
    assert float(held[0][0] or 0) == pytest.approx(equity[-1][0] - equity[-1][1])
    assert counts(synced)["backtests"] == before["backtests"] + 1
    assert figures["benchmark_return"] is not None
    assert not [note for note in facts["notes"] if "limit" in note]


def test_a_watchlist_is_a_universe_beside_boards_and_codes_and_nobody_buys_its_indexes(
    synced: Platform, command: Callable[..., Result]
) -> None:
    codes = [code for (code,) in synced.rows("SELECT ts_code FROM stock_list WHERE list_status = 'L' ORDER BY 1 LIMIT 3")]
    listed = [Named(code, "") for code in [*codes[:2], "000001.SH"]]
    watchlists.add(synced.database, "core", listed, origin="typed", day=LATEST)
    done = command("dual_ma", "--set", "fast=3", "--set", "slow=8", "--universe", f"watchlist:core,{codes[2]}", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["universe"] == f"watchlist:core,{codes[2]}"
    assert facts["figures"]["orders"] > 0
    ordered = synced.rows("SELECT DISTINCT ts_code FROM backtest_orders WHERE backtest = %s", facts["id"])
    assert {code for (code,) in ordered} <= set(codes)


def test_a_person_reads_a_table_and_what_was_not_filled(command: Callable[..., Result]) -> None:
    shown = command("dual_ma", "--set", "fast=3", "--set", "slow=8")
    assert shown.exit_code == 0, shown.output
    assert "deepest drawdown" in shown.output
    assert re.search(r"· \d+\.\d\d% of \d+ sales? ·", " ".join(shown.output.split())), "a rate has no sign, and is of sales"
    assert "SELECT * FROM backtest_orders WHERE backtest = 'dual_ma-" in " ".join(shown.output.split())


def test_who_waits_at_a_terminal_is_told_for_what(command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine's first backtest compiles for a minute or two, in which nothing was said."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    for arguments in ((), ("--json",)):
        done = command("dual_ma", "--set", "fast=3", "--set", "slow=8", *arguments)
        assert done.exit_code == 0, done.output
        assert "dual_ma: reading, then trading session by session" in done.output
    assert json.loads(done.stdout)["name"] == "dual_ma"


def test_in_a_narrow_terminal_the_reason_is_broken_and_the_other_columns_are_whole(
    command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = command("dual_ma", "--set", "fast=3", "--set", "slow=8", "--set", "volume_share=0.0001", "--set", "max_positions=3")
    assert shown.exit_code == 0, shown.output
    assert re.search(r"^ *side +what became of it +why +orders *$", shown.output, re.MULTILINE)
    reason = r"more than the allowed part of the session's +\d+ *\n +volume *$"
    assert re.search(rf"^ *(buy|sell) +part-filled +{reason}", shown.output, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dual_mb"], "there is no strategy dual_mb. Did you mean dual_ma"),
        (["dual_ma", "--set", "fats=5"], "dual_ma has no parameter fats: it has fast, slow"),
        (["dual_ma", "--set", "fast"], "write --set NAME=VALUE, not fast"),
        (["dual_ma", "--set", "fast=20", "--set", "slow=5"], "must be below slow"),
        (["dual_ma", "--set", "fill=tomorrow"], "these settings cannot be used: fill: it must be 'next_open', 'next_close'"),
        (["dual_ma", "--start", "2026-11-10", "--end", "2026-11-02"], "the range ends on 2026-11-02, before it begins"),
        (
            ["dual_ma", "--start", "2026-11-14", "--end", "2026-11-15"],
            "from 2026-11-14 to 2026-11-15; the one before is 2026-11-13",
        ),
        (["dual_ma", "--start", "2027-03-01"], f"2027-03-01 lies after the latest complete session, {LATEST}"),
        (["dual_ma", "--start", "2001-01-01", "--end", "2001-12-31"], "no bars of this range are stored: they reach from"),
        (["dual_ma", "--universe", "moon"], "moon is no universe: write all, a board or an index"),
        (["dual_ma", "--universe", "watchlist:moon"], "there is no watchlist moon."),
        (["dual_ma", "--universe", " , "], "the universe is empty"),
        (["dual_ma", "--universe", "600999"], "no bars of 600999.SH are stored"),
        (["dual_ma", "--universe", "hs300"], "no members of hs300 are stored"),
        (["dual_ma", "--capital", "10"], "buys no lot of any code"),
        (["raises"], "raises: it failed on these bars (of its own, over bars)"),
        (["wrong_columns"], "wrong_columns: signals() lacks buy"),
    ],
)
def test_a_slip_is_a_sentence_and_writes_nothing(
    synced: Platform, command: Callable[..., Result], arguments: list[str], words: str
) -> None:
    before = counts(synced)
    done = command(*arguments)
    assert done.exit_code == 1
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.output
    assert counts(synced) == before


def test_a_slip_is_told_in_chinese_to_its_last_word(command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_LANG", "zh")
    done = command("dual_ma", "--set", "max_positions=0", "--set", "commission=2")
    assert "这些设置无法使用：max_positions: 不得小于 1; commission: 不得大于 0.05" in " ".join(done.stderr.split())


def test_a_backtest_that_cannot_be_written_whole_is_not_written(
    synced: Platform, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = counts(synced)
    copy = storing._copy

    def broken(connection: Any, table: Any, frame: pl.DataFrame, number: str) -> None:
        if table.name == "backtest_positions":
            raise OSError("no space left on device")
        copy(connection, table, frame, number)

    monkeypatch.setattr(storing, "_copy", broken)
    assert command("dual_ma", "--set", "fast=3", "--set", "slow=8").exit_code == 1
    assert counts(synced) == before


@pytest.fixture
def without(synced: Platform) -> Iterator[Callable[[str, Sequence[dt.date]], None]]:
    """Takes the rows of a table away on these sessions, until the test is over."""
    taken: list[str] = []

    def away(table: str, days: Sequence[dt.date]) -> None:
        taken.append(table)
        synced.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM {table} WHERE trade_date = ANY(%s)", list(days))
        synced.execute(f"DELETE FROM {table} WHERE trade_date = ANY(%s)", list(days))

    yield away
    for table in taken:
        synced.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}")
        synced.execute(f"DROP TABLE kept_{table}")


QUICK = ("dual_ma", "--set", "fast=3", "--set", "slow=8")


def test_sessions_without_bars_are_named_with_the_command_that_brings_them(
    synced: Platform, command: Callable[..., Result], without: Callable[[str, Sequence[dt.date]], None]
) -> None:
    days = synced.sessions(20)
    without("daily_kline", days[5:9])
    for universe in ("all", "main"):
        done = command(*QUICK, "--start", days[0].isoformat(), "--universe", universe, "--json")
        assert done.exit_code == 0, done.output
        facts = json.loads(done.stdout)
        wanted = f"quant-pipeline sync --datasets daily_kline,adj_factor,price_limits --start {days[5]} --end {days[8]}"
        (note,) = (note for note in facts["notes"] if "have no bars" in note)
        assert note == f"4 of 20 sessions in the range have no bars, or hardly any ({days[5]} … {days[8]}): {wanted}"
        assert synced.rows("SELECT notes::text FROM backtests WHERE id = %s", facts["id"])[0][0].count("have no bars") == 1


def test_a_range_that_mostly_lacks_is_refused(
    synced: Platform, command: Callable[..., Result], without: Callable[[str, Sequence[dt.date]], None]
) -> None:
    days, before = synced.sessions(20), counts(synced)
    without("daily_kline", days[2:14])
    done = command(*QUICK, "--start", days[0].isoformat())
    assert done.exit_code == 1
    assert f"12 of 20 sessions in the range have no bars, or hardly any ({days[2]} … {days[13]})" in " ".join(
        done.stderr.split()
    )
    assert counts(synced) == before


def test_a_halted_code_lacks_nothing(synced: Platform, command: Callable[..., Result]) -> None:
    days = synced.sessions(20)
    code = synced.rows("SELECT ts_code FROM daily_kline GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1")[0][0]
    synced.execute(
        "CREATE TABLE halted AS SELECT * FROM daily_kline WHERE ts_code = %s AND trade_date = ANY(%s)", code, [days[6]]
    )
    synced.execute("DELETE FROM daily_kline WHERE ts_code = %s AND trade_date = ANY(%s)", code, [days[6]])
    try:
        done = command(*QUICK, "--start", days[0].isoformat(), "--universe", code, "--json")
    finally:
        synced.execute("INSERT INTO daily_kline SELECT * FROM halted")
        synced.execute("DROP TABLE halted")
    assert done.exit_code == 0, done.output
    assert not [note for note in json.loads(done.stdout)["notes"] if "have no bars" in note]


def test_a_benchmark_with_a_hole_is_compared_with_nothing(
    synced: Platform, command: Callable[..., Result], without: Callable[[str, Sequence[dt.date]], None]
) -> None:
    days = synced.sessions(20)
    without("index_daily", days[3:5])
    done = command(*QUICK, "--start", days[0].isoformat(), "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    names = ("benchmark_return", "excess", "alpha", "beta", "information_ratio")
    assert {facts["figures"][name] for name in names} == {None}
    wanted = f"quant-pipeline sync --datasets index_daily --start {days[3]} --end {days[4]}"
    (note,) = (note for note in facts["notes"] if "000300.SH has no bars" in note)
    assert note.startswith(f"000300.SH has no bars of 2 of 20 sessions in the range ({days[3]} … {days[4]})")
    assert note.endswith(wanted)
