"""CSV: what is read back is what is stored, by year, and only years that changed are written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quant_pipeline.exports.contract import ExportError, Origin, Written
from quant_pipeline.exports.csv import Csv
from quant_pipeline.exports.qlib import Qlib
from quant_pipeline.market.datasets import DAILY_KLINE, STOCK_LIST
from quant_pipeline.settings import Mode, Settings
from quant_pipeline.warehouse.reads import read
from quant_pipeline_tests.exports.conftest import day, restate

Exported = Callable[..., Written]
BARS = {"daily_kline/2025.csv", "daily_kline/2026.csv"}
FIRST = BARS | {"adj_factor/2025.csv", "adj_factor/2026.csv", "stock_list.csv"}


def place(origin: Origin) -> Path:
    return origin.settings.home / "exports" / "sandbox" / "csv"


def test_what_is_read_back_is_what_is_stored(exported: Exported, origin: Origin) -> None:
    assert set(exported(Csv).parts) == FIRST
    for dataset, files in ((DAILY_KLINE, "daily_kline/*.csv"), (STOCK_LIST, "stock_list.csv")):
        stored = read(origin.database, dataset, columns=[*dataset.column_names, "source"])
        back = pl.concat(pl.read_csv(each, schema=stored.schema) for each in sorted(place(origin).glob(files)))
        assert_frame_equal(back.sort(dataset.key), stored)
    assert (place(origin) / "stock_list.csv").read_bytes().startswith(b"\xef\xbb\xbfts_code,"), "Excel shows Chinese"


def test_only_years_that_changed_are_written(exported: Exported, origin: Origin) -> None:
    exported(Csv)
    assert not exported(Csv).changed
    kept = {name: (place(origin) / name).stat().st_ino for name in FIRST}
    restate(origin, "UPDATE daily_kline SET close = close + 0.01, high = high + 0.01 WHERE trade_date = %s", day(-1))
    done = exported(Csv)
    assert (list(done.parts), done.unchanged) == (["daily_kline/2026.csv"], 4)
    now = {name: (place(origin) / name).stat().st_ino for name in FIRST}
    assert {name for name in FIRST if kept[name] != now[name]} == {"daily_kline/2026.csv"}


def test_data_sets_that_are_named_come_beside_those_that_are_there(exported: Exported, origin: Origin) -> None:
    exported(Csv, datasets="index_daily")
    assert {each.name for each in place(origin).iterdir()} == {"index_daily", "manifest.json"}
    assert set(exported(Csv, datasets="daily_kline, stock_list").parts) == BARS | {"stock_list.csv"}
    restate(origin, "UPDATE index_daily SET close = close + 0.01, high = high + 0.01 WHERE trade_date = %s", day(-1))
    assert list(exported(Csv).parts) == ["index_daily/2026.csv"], "what was exported once stays current"


def test_a_year_without_rows_any_more_is_gone(exported: Exported, origin: Origin) -> None:
    exported(Csv)
    restate(origin, "DELETE FROM daily_kline WHERE trade_date < '2026-01-01'")
    assert exported(Csv).removed == 1
    assert not (place(origin) / "daily_kline/2025.csv").exists()


def test_an_unknown_data_set_is_refused_with_the_likely_one(exported: Exported, origin: Origin) -> None:
    with pytest.raises(ExportError, match="Did you mean daily_kline"):
        exported(Csv, datasets="daily_klin")
    assert not place(origin).exists()


def test_another_export_s_place_and_the_other_mode_s_are_refused(exported: Exported, origin: Origin, tmp_path: Path) -> None:
    exported(Qlib, to=str(tmp_path / "there"))
    with pytest.raises(ExportError, match="holds the export qlib of the mode sandbox"):
        exported(Csv, to=str(tmp_path / "there"))
    live = Origin(Settings(QUANT_HOME=tmp_path, QUANT_MODE=Mode.LIVE), origin.database, origin.calendar)
    with pytest.raises(ExportError, match="of the mode sandbox"):
        Qlib(Qlib.Parameters(to=str(tmp_path / "there"))).run(live)


_EXPORT = """
import sys
from pathlib import Path
from quant_pipeline.exports.contract import Origin
from quant_pipeline.exports.csv import Csv
from quant_pipeline.market.xshg import xshg
from quant_pipeline.settings import Mode, Settings
from quant_pipeline.warehouse.database import Database

def told(at):
    if at.done == 2:
        print(at.at, flush=True)
        sys.stdin.read()

settings = Settings(QUANT_HOME=Path(sys.argv[2]))
Csv(Csv.Parameters()).run(Origin(settings, Database(sys.argv[1], Mode.SANDBOX), xshg()), told)
"""


def test_an_export_killed_in_the_middle_leaves_what_stood_and_the_next_makes_it_whole(
    exported: Exported, origin: Origin
) -> None:
    exported(Csv)
    before = {name: (place(origin) / name).read_bytes() for name in FIRST}
    restate(origin, "UPDATE daily_kline SET close = close + 0.01, high = high + 0.01")
    command = [sys.executable, "-c", _EXPORT, origin.database.url, str(origin.settings.home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline(), "two files of the new state are written"
        process.kill()
        process.wait(20)
    assert len(list(place(origin).parent.glob(".csv.*"))) == 2, "the half one lies beside, under a name that nobody opens"
    assert {name: (place(origin) / name).read_bytes() for name in FIRST} == before
    assert set(exported(Csv).parts) == BARS
    stored = read(origin.database, DAILY_KLINE, columns=[*DAILY_KLINE.column_names, "source"])
    back = pl.concat(pl.read_csv(each, schema=stored.schema) for each in sorted(place(origin).glob("daily_kline/*.csv")))
    assert_frame_equal(back.sort(DAILY_KLINE.key), stored)
    assert not exported(Csv).changed
