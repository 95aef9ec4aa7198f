"""The lake: current or not used, never mixed, and whole whatever happens to who writes it."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quant_pipeline.market.codes import CodeError
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, SCREEN_RESULTS, STOCK_LIST
from quant_pipeline.market.stretches import beside
from quant_pipeline.settings import Mode, Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import files, snapshot, sync
from quant_pipeline.warehouse.lake.sync import LakeError
from quant_pipeline.warehouse.reads import read
from quant_pipeline.warehouse.upsert import upsert
from quant_pipeline_tests.warehouse.bars import daily_bars

BARS = daily_bars(5, 800)
"""2015-01-05 to 2017-03-14: three years."""
RANGES = [
    (None, None),
    (dt.date(2016, 3, 1), dt.date(2016, 3, 5)),
    (dt.date(2015, 12, 30), dt.date(2017, 1, 2)),
    (None, dt.date(2014, 1, 1)),
    (dt.date(2018, 1, 1), None),
]
CODES = (None, ["600003", "600001.SH"], [])
COLUMNS = (None, ["close", "source"], ["close", "ts_code"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def filled(warehouse: Database) -> Database:
    _upserted(warehouse, BARS)
    return warehouse


def _upserted(database: Database, frame: pl.DataFrame) -> None:
    with database.connect() as connection:
        upsert(connection, DAILY_KLINE, frame, source="tushare")


def _restate(database: Database, session: str) -> None:
    with database.connect() as connection:
        connection.execute("UPDATE daily_kline SET close = close + 1 WHERE trade_date = %s", (session,))


def _years(database: Database, folder: Path) -> list[int]:
    return [file.year for file in sync(database, folder, datasets=[DAILY_KLINE])]


def _path(folder: Path, year: int) -> Path:
    return folder / "daily_kline" / f"year={year}" / "data.parquet"


def _with_a_mark_of_ours(folder: Path, year: int) -> None:
    """Makes the file's rows tell that they were read from the file, under the label that it has."""
    path = _path(folder, year)
    found = files.opened(path)
    assert found is not None
    with found[0] as file:
        rows = pl.read_parquet(file)
    files.write(path, DAILY_KLINE, rows.with_columns(vol=pl.lit(-1.0)), found[1].label)


def test_the_lake_says_what_the_table_says(filled: Database, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    sync(filled, folder)
    _restate(filled, "2016-06-01")  # one year of the three is PostgreSQL's
    with snapshot(filled, folder) as stored:
        for (start, end), codes, columns in itertools.product(RANGES, CODES, COLUMNS):
            expected = read(filled, DAILY_KLINE, start=start, end=end, codes=codes, columns=columns)
            rows = stored.read(DAILY_KLINE, start=start, end=end, codes=codes, columns=columns)
            assert_frame_equal(rows, expected)
    assert not caplog.records


@pytest.mark.parametrize("restated", [None, "2016-06-01"])
def test_rows_by_code_are_those_of_the_table(warehouse: Database, folder: Path, restated: str | None) -> None:
    """Codes of which some years lack, nulls and texts among the numbers, and codes that are not wanted."""
    late = (pl.col("ts_code") != "600002.SH") | (pl.col("trade_date") > dt.date(2016, 2, 1))
    gone = (pl.col("ts_code") != "600004.SH") | (pl.col("trade_date") < dt.date(2015, 9, 1))
    some = pl.when(pl.int_range(pl.len()) % 7 > 0)
    _upserted(warehouse, BARS.filter(late, gone).with_columns(some.then("change").alias("change")))
    sync(warehouse, folder)
    if restated:
        _restate(warehouse, restated)
    columns = ["change", "source", "trade_date", "vol"]
    expected = read(warehouse, DAILY_KLINE, columns=["ts_code", "trade_date", "change", "source", "vol"])
    assert expected["change"].null_count()
    with snapshot(warehouse, folder) as stored:
        found = stored.read_by_code(DAILY_KLINE, columns=columns)
        assert_frame_equal(found.frame(), expected)
        assert found.offsets[-1] == expected.height
        assert found.codes.to_list() == expected["ts_code"].unique().sort().to_list()
        for but, left in (("600001.SH", 4), ("600004.SH", 4), ("", 5)):
            chosen = stored.read_by_code(DAILY_KLINE, columns=columns, wanted=lambda codes, but=but: codes != but)
            assert len(chosen.codes) == left
            assert_frame_equal(chosen.frame(), expected.filter(pl.col("ts_code") != but))
        none = stored.read_by_code(DAILY_KLINE, columns=columns, wanted=lambda codes: codes == "")
        assert none.frame().is_empty()
        assert none.offsets.tolist() == [0]
        for days in ((dt.date(2016, 3, 1), dt.date(2017, 1, 5)), (dt.date(2013, 1, 1), dt.date(2013, 2, 1))):
            part = stored.read_by_code(DAILY_KLINE, columns=columns, start=days[0], end=days[1])
            assert_frame_equal(part.frame(), expected.filter(pl.col("trade_date").is_between(*days)))
            few = ["600001.SH", "600004.SH"]
            part = stored.read_by_code(DAILY_KLINE, columns=columns, start=days[0], end=days[1], codes=few)
            assert_frame_equal(
                part.frame(), expected.filter(pl.col("trade_date").is_between(*days), pl.col("ts_code").is_in(few))
            )
            assert part.offsets[-1] == part.rows.height
    with snapshot(warehouse, None) as stored:  # a long range is read in two, beside each other
        days = (dt.date(2015, 2, 1), dt.date(2017, 1, 5))
        part = stored.read_by_code(DAILY_KLINE, columns=columns, start=days[0], end=days[1])
        assert_frame_equal(part.frame(), expected.filter(pl.col("trade_date").is_between(*days)))


FACTORS = BARS.select("ts_code", "trade_date", adj_factor=pl.int_range(pl.len()).over("ts_code") // 150 + 1.0)


@pytest.mark.parametrize("codes", [None, ["600001.SH", "600003.SH"]])
@pytest.mark.parametrize("where", ["the lake", "one year of the table", "the table"])
def test_steps_of_factors_say_what_all_rows_say(warehouse: Database, folder: Path, where: str, codes: list[str] | None) -> None:
    """One code has a factor that it had before another one; of one the factors of some days are missing."""
    returned = (pl.col("ts_code") == "600001.SH") & (pl.col("adj_factor") == 3.0)
    missing = (pl.col("ts_code") == "600003.SH") & pl.col("trade_date").is_between(dt.date(2015, 8, 1), dt.date(2016, 2, 1))
    factors = FACTORS.filter(~missing).with_columns(adj_factor=pl.when(returned).then(1.0).otherwise("adj_factor"))
    with warehouse.connect() as connection:
        upsert(connection, ADJ_FACTOR, factors, source="tushare")
    sync(warehouse, folder, datasets=[ADJ_FACTOR])
    if where == "one year of the table":
        with warehouse.connect() as connection:
            connection.execute("UPDATE adj_factor SET adj_factor = adj_factor + 1 WHERE trade_date = '2016-06-01'")
    with snapshot(warehouse, None if where == "the table" else folder) as stored:
        for start, end in RANGES:
            rows = stored.read_by_code(ADJ_FACTOR, columns=["adj_factor"], start=start, end=end, codes=codes)
            steps = stored.read_steps(ADJ_FACTOR, "adj_factor", start=start, end=end, codes=codes)
            assert_frame_equal(beside(rows, steps, or_before=True), rows.rows.select("adj_factor"))
            assert steps.codes.equals(rows.codes)
            assert steps.rows.height <= 10 * len(rows.codes)


def test_years_that_did_not_change_are_not_written_again(filled: Database, folder: Path) -> None:
    assert _years(filled, folder) == [2015, 2016, 2017]
    assert _years(filled, folder) == []
    _restate(filled, "2016-06-01")
    assert _years(filled, folder) == [2016]
    _upserted(filled, daily_bars(5, 1, skip=800))
    assert _years(filled, folder) == [2017]
    _upserted(filled, BARS.filter(pl.col("trade_date") > dt.date(2016, 1, 1)))
    assert _years(filled, folder) == [2016]  # its restated session is as it was; in 2017 nothing is new


def test_a_current_year_is_read_from_the_lake_and_any_other_from_postgresql(filled: Database, folder: Path) -> None:
    sync(filled, folder)
    for year in (2015, 2016, 2017):
        _with_a_mark_of_ours(folder, year)
    _restate(filled, "2016-06-01")
    with snapshot(filled, folder) as stored:
        rows = stored.read(DAILY_KLINE)
        assert_frame_equal(stored.read(DAILY_KLINE, columns=["updated_at"]), read(filled, DAILY_KLINE, columns=["updated_at"]))
    from_lake = rows.filter(pl.col("vol") == -1)["trade_date"].dt.year().unique().sort().to_list()
    assert from_lake == [2015, 2017]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM daily_kline WHERE trade_date = '2016-06-01' AND ts_code = '600001.SH'",
        "UPDATE daily_kline SET ts_code = '600099.SH' WHERE ts_code = '600001.SH'",
        "INSERT INTO daily_kline SELECT (jsonb_populate_record(k, jsonb_build_object('ts_code', '600099.SH'))).* "
        "FROM daily_kline k LIMIT 1",
        "TRUNCATE daily_kline",
    ],
)
def test_no_change_is_missed(filled: Database, folder: Path, statement: str) -> None:
    sync(filled, folder)
    with filled.connect() as connection:
        connection.execute(statement)
    expected = read(filled, DAILY_KLINE)
    for _ in range(2):  # from PostgreSQL, then from the files
        with snapshot(filled, folder) as stored:
            assert_frame_equal(stored.read(DAILY_KLINE), expected)
        assert _years(filled, folder) in ([2016], [2015, 2016, 2017], [])
    assert _years(filled, folder) == []


def test_a_reader_sees_one_moment_whatever_is_written_meanwhile(filled: Database, folder: Path) -> None:
    sync(filled, folder)
    factors = BARS.select("ts_code", "trade_date", adj_factor=pl.lit(1.0))
    with filled.connect() as connection:
        upsert(connection, ADJ_FACTOR, factors, source="tushare")
    before = read(filled, DAILY_KLINE)
    with snapshot(filled, folder) as stored:
        assert_frame_equal(stored.read(DAILY_KLINE), before)
        with filled.connect() as connection:
            connection.execute("UPDATE daily_kline SET close = close / 2; UPDATE adj_factor SET adj_factor = 2")
        sync(filled, folder)
        assert_frame_equal(stored.read(DAILY_KLINE), before)
        assert stored.read(ADJ_FACTOR)["adj_factor"].unique().to_list() == [1.0]
        with stored.twin() as twin, ThreadPoolExecutor(1) as thread:
            beside = thread.submit(twin.read, DAILY_KLINE)
            assert_frame_equal(stored.read(DAILY_KLINE), before)
            assert_frame_equal(beside.result(), before)
    with snapshot(filled, folder) as stored:
        assert_frame_equal(stored.read(DAILY_KLINE), before.with_columns(pl.col("close") / 2))
        assert stored.read(ADJ_FACTOR)["adj_factor"].unique().to_list() == [2.0]


def test_a_file_that_is_replaced_while_it_is_read_is_read_to_its_end(filled: Database, folder: Path) -> None:
    sync(filled, folder)
    found = files.opened(_path(folder, 2016))
    assert found is not None
    _restate(filled, "2016-06-01")
    before = BARS.filter(pl.col("trade_date").dt.year() == 2016).sort("ts_code", "trade_date")
    assert _years(filled, folder) == [2016]
    with found[0] as file:
        assert_frame_equal(pl.scan_parquet(file).select(BARS.columns).collect(), before)


def test_a_code_that_changes_is_followed(filled: Database, folder: Path) -> None:
    sync(filled, folder)
    from quant_pipeline.market.calendar import Calendar
    from quant_pipeline.sync.code_changes import CodeChange, follow

    days = BARS["trade_date"].unique().sort().to_list()
    calendar = Calendar(days, first=days[0], last=days[-1])
    with filled.connect() as connection:
        follow(connection, [CodeChange("600001.SH", "600901.SH", "新名", "stock_list")], calendar, days[-1])
    with snapshot(filled, folder) as stored:
        assert "600901.SH" in stored.read(DAILY_KLINE)["ts_code"]
    assert _years(filled, folder) == [2015, 2016, 2017]
    with filled.connect() as connection:
        follow(connection, [CodeChange("600001.SH", "600901.SH", "新名", "stock_list")], calendar, days[-1])
    assert _years(filled, folder) == []


def test_another_database_never_takes_these_files_for_its_own(filled: Database, folder: Path, warehouse: Database) -> None:
    sync(filled, folder)
    with warehouse.connect() as connection:
        connection.execute("DELETE FROM table_changes; INSERT INTO table_changes (dataset, year) VALUES ('daily_kline', 0)")
        connection.execute("TRUNCATE daily_kline")
    with snapshot(warehouse, folder) as stored:
        assert stored.read(DAILY_KLINE).is_empty()


def test_each_mode_has_a_lake_of_its_own(tmp_path: Path) -> None:
    settings = {mode: Settings(QUANT_MODE=mode, QUANT_HOME=tmp_path) for mode in Mode}
    assert files.folder_of(settings[Mode.SANDBOX]) == tmp_path / "lake" / "sandbox"
    assert files.folder_of(settings[Mode.LIVE]) == tmp_path / "lake" / "live"


def test_lists_and_computed_rows_stand_there_too(warehouse: Database, folder: Path) -> None:
    listed = {"ts_code": "600000.SH", "symbol": "600000", "name": "浦发银行", "list_status": "L", "exchange": "SSE"}
    hit = {"screen": "s", "ts_code": "600000.SH", "trade_date": dt.date(2016, 1, 4), "name": "浦发银行"}
    for dataset, row in ((STOCK_LIST, listed), (SCREEN_RESULTS, hit)):
        types = {column.name: column.type.polars for column in dataset.columns}
        with warehouse.connect() as connection:
            upsert(connection, dataset, pl.DataFrame([row], schema=types), source="tushare")
    sync(warehouse, folder)
    assert pl.read_parquet(folder / "stock_list" / "data.parquet")["name"].to_list() == ["浦发银行"]
    with snapshot(warehouse, folder) as stored:
        for dataset in (STOCK_LIST, SCREEN_RESULTS):
            assert_frame_equal(stored.read(dataset), read(warehouse, dataset))


def test_what_a_file_holds_stands_in_the_manifest(filled: Database, folder: Path) -> None:
    sync(filled, folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["mode"] == "sandbox"
    bars = manifest["datasets"]["daily_kline"]
    assert bars["columns"]["close"] == "double precision"
    held = bars["files"]["daily_kline/year=2015/data.parquet"]
    assert (held["rows"], held["first"], held["last"]) == (5 * 361, "2015-01-05", "2015-12-31")
    assert held["bytes"] == _path(folder, 2015).stat().st_size
    before = bars["files"]["daily_kline/year=2016/data.parquet"]["label"]
    _restate(filled, "2016-06-01")
    sync(filled, folder)
    files_after = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["datasets"]["daily_kline"]["files"]
    assert files_after["daily_kline/year=2016/data.parquet"]["label"] != before
    assert files_after["daily_kline/year=2015/data.parquet"] == held


def test_files_of_an_older_schema_are_not_used(filled: Database, folder: Path) -> None:
    sync(filled, folder)
    found = files.opened(_path(folder, 2016))
    assert found is not None
    with found[0] as file:
        rows = pl.read_parquet(file).drop("amount")
    layout, _, state = found[1].label.split(".")
    files.write(_path(folder, 2016), DAILY_KLINE, rows, f"{layout}.digest-of-before.{state}")
    with snapshot(filled, folder) as stored:
        assert_frame_equal(stored.read(DAILY_KLINE), read(filled, DAILY_KLINE))
    assert _years(filled, folder) == [2016]


@pytest.mark.parametrize("damage", [b"", b"PAR1 and nothing else", None])
def test_a_damaged_file_is_no_matter(filled: Database, folder: Path, damage: bytes | None) -> None:
    sync(filled, folder)
    path = _path(folder, 2016)
    if damage is None:  # its footer is whole, its rows are not
        whole = bytearray(path.read_bytes())
        whole[4 : len(whole) // 3] = b"\xff" * (len(whole) // 3 - 4)
        damage = bytes(whole)
    path.write_bytes(damage)
    with snapshot(filled, folder) as stored:
        assert_frame_equal(stored.read(DAILY_KLINE), read(filled, DAILY_KLINE))


_KILLED = """
import os, signal, sys
from pathlib import Path
from quant_pipeline.settings import Mode
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import sync
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "in a file":
    os.fsync = die
sync(Database(sys.argv[1], Mode.SANDBOX), Path(sys.argv[2]), told=die)
"""


@pytest.mark.parametrize("when", ["in a file", "between two files"])
def test_a_writer_that_is_killed_leaves_nothing_that_harms(filled: Database, folder: Path, when: str) -> None:
    sync(filled, folder)
    for session in ("2015-06-01", "2016-06-01", "2017-01-04"):
        _restate(filled, session)
    killed = subprocess.run([sys.executable, "-c", _KILLED, filled.url, str(folder), when], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    with snapshot(filled, folder) as stored:
        assert_frame_equal(stored.read(DAILY_KLINE), read(filled, DAILY_KLINE))
    assert _years(filled, folder) == [2015, 2016, 2017][when == "between two files" :]
    assert not list(folder.rglob("*.unfinished"))
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"data.parquet", "manifest.json"}
    for entry in json.loads((folder / "manifest.json").read_text())["datasets"]["daily_kline"]["files"].items():
        found = files.opened(folder / entry[0])
        assert found is not None
        found[0].close()
        assert entry[1]["label"] == found[1].label


def test_of_two_processes_one_writes_and_the_other_finds_nothing_to_do(filled: Database, folder: Path) -> None:
    others = [Database(filled.url, Mode.SANDBOX) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        written = list(pool.map(lambda database: sync(database, folder), others))
    for database in others:
        database.close()
    assert sorted(map(bool, written)) == [False, True]


def test_a_folder_that_cannot_be_written_to_is_a_sentence(filled: Database, tmp_path: Path) -> None:
    in_the_way = tmp_path / "lake"
    in_the_way.write_text("")
    with pytest.raises(LakeError, match=r"lake cannot be written \(.*\): free what it needs"):
        sync(filled, in_the_way)


def test_what_is_asked_for_wrongly_is_told_as_elsewhere(filled: Database, folder: Path) -> None:
    with snapshot(filled, folder) as stored:
        with pytest.raises(KeyError, match="daily_kline has no column 'vwap'"):
            stored.read(DAILY_KLINE, columns=["vwap"])
        with pytest.raises(CodeError, match="'60000' is no security code"):
            stored.read(DAILY_KLINE, codes=["60000"])


def test_rows_lie_by_code_so_that_few_are_read_for_one(filled: Database, folder: Path) -> None:
    sync(filled, folder)
    held = pl.read_parquet(_path(folder, 2015))
    assert held["ts_code"].is_sorted()
    assert held.equals(held.sort("ts_code", "trade_date"))


def _glob(folder: Path) -> str:
    return str(folder / "daily_kline" / "*" / "*.parquet")


_OTHERS: dict[str, Callable[[Path], int]] = {
    "polars": lambda folder: (
        pl.scan_parquet(_glob(folder), hive_partitioning=True).filter(pl.col("year") == 2016).select(pl.len()).collect().item()
    ),
    "pandas": lambda folder: len(_pandas(folder)),
}


def _pandas(folder: Path) -> object:
    import pandas as pd

    return pd.read_parquet(folder / "daily_kline", filters=[("year", "==", 2016)])


@pytest.mark.parametrize("name", _OTHERS)
def test_others_read_it_as_it_is(filled: Database, folder: Path, name: str) -> None:
    sync(filled, folder)
    _restate(filled, "2016-06-01")
    sync(filled, folder)
    assert _OTHERS[name](folder) == 5 * 366
    assert [path.name for path in _path(folder, 2016).parent.iterdir()] == ["data.parquet"]
