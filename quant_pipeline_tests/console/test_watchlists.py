"""`quant-pipeline watchlist`: codes as people type them, files as people have them, and nothing changed by a slip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import quant_pipeline as qp
from quant_pipeline.cli import main
from quant_pipeline.market.datasets import CONVERTIBLE_BONDS, ETF_LIST, INDEX_LIST, STOCK_LIST
from quant_pipeline.warehouse import watchlists
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import LISTED, NOW, store

NAMES = {
    "600519.SH": "贵州茅台",
    "000001.SZ": "平安银行",
    "688981.SH": "中芯国际",
    "920001.BJ": "纬达光电",
    "300750.SZ": "宁德时代",
}


@pytest.fixture
def stored(warehouse: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Database:
    rows = [{"ts_code": code, "name": name, "list_status": "L", "list_date": LISTED} for code, name in NAMES.items()]
    store(warehouse, STOCK_LIST, rows)
    store(warehouse, INDEX_LIST, [{"ts_code": "000001.SH", "name": "上证指数"}])
    store(warehouse, ETF_LIST, [{"ts_code": "510300.SH", "name": "沪深300ETF", "status": "L"}])
    store(warehouse, CONVERTIBLE_BONDS, [{"ts_code": "113050.SH", "bond_short_name": "南银转债", "stk_short_name": "南京银行"}])
    environment = {"QUANT_DATABASE_URL": warehouse.url, "QUANT_HOME": str(tmp_path), "QUANT_NOW": NOW, "QUANT_LANG": "en"}
    for name, value in {**environment, "COLUMNS": "160"}.items():
        monkeypatch.setenv(name, value)
    return warehouse


def _command(*arguments: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["watchlist", *arguments])
    assert result.exit_code == exit_code, (result.output, result.exception)
    return result


def _facts(*arguments: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(_command(*arguments, "--json").stdout)
    return facts


def _codes(database: Database, name: str = "core") -> list[str]:
    return [each.code for each in watchlists.lists(database).get(name, [])]


def test_codes_are_understood_as_people_type_them_and_kept_in_order(stored: Database) -> None:
    typed = ("600519", "sz000001", "中芯国际", "ndsd", "920001.bj", "510300", "113050.SH", "SH000001")
    expected = ["600519.SH", "000001.SZ", "688981.SH", "300750.SZ", "920001.BJ", "510300.SH", "113050.SH", "000001.SH"]
    assert _facts("add", "core", *typed)["added"] == expected
    assert _codes(stored) == expected
    told = _command("list", "core").output
    assert "贵州茅台" in told
    assert "2026-11-20" in told


def test_adding_again_changes_nothing(stored: Database) -> None:
    _command("add", "core", "600519", "000001")
    before = watchlists.lists(stored)
    facts = _facts("add", "core", "SH600519", "贵州茅台")
    assert (facts["added"], facts["unchanged"], facts["held"]) == ([], ["600519.SH"], 2)
    assert watchlists.lists(stored) == before


def test_a_slip_is_answered_and_nothing_is_added(stored: Database) -> None:
    told = _command("add", "core", "600519", "贵州毛台", "600518", exit_code=1).output
    assert "贵州毛台" in told
    assert "Did you mean 600519.SH 贵州茅台?" in told
    assert "600518" in told
    assert "Traceback" not in told
    assert not watchlists.lists(stored)


def test_the_share_is_meant_and_the_index_of_the_same_digits_named(stored: Database) -> None:
    assert "write 000001.SH for 上证指数" in _command("add", "core", "000001").output
    assert _codes(stored) == ["000001.SZ"]


def test_removing_what_is_not_there_is_no_error_and_the_last_code_takes_the_list_with_it(stored: Database) -> None:
    _command("add", "core", "600519", "000001")
    facts = _facts("remove", "core", "茅台", "688981")
    assert (facts["removed"], facts["unchanged"]) == (["600519.SH"], ["688981.SH"])
    _command("remove", "core", "000001")
    assert "There is no watchlist yet" in _command("list").output
    assert "there is no watchlist core" in _command("remove", "core", "000001", exit_code=1).output
    _command("add", "core", "600519")
    assert "--all" in _command("remove", "core", exit_code=1).output
    assert _codes(stored) == ["600519.SH"]
    assert _facts("remove", "core", "--all")["removed"] == ["600519.SH"]


def test_a_name_of_no_list_is_answered_with_those_that_come_near(stored: Database) -> None:
    del stored
    _command("add", "白酒龙头", "600519")
    assert "Did you mean 白酒龙头?" in _command("list", "白酒", exit_code=1).output


@pytest.mark.parametrize("name", ["", "a,b", "watch:list", "x" * 41, "a/b", "a\tb\x07"])
def test_a_name_that_could_not_be_written_is_refused(stored: Database, name: str) -> None:
    assert "cannot be a watchlist's name" in _command("add", name, "600519", exit_code=1).output
    assert not watchlists.lists(stored)


FILES = {
    "lines.txt": b"# mine\n600519\n\nSZ000001\n688981.SH\n",
    "table.csv": "序号,股票代码,名称\n1,600519,贵州茅台\n2,000001,平安银行\n3,688981,中芯国际\n".encode("gb18030"),
    "ours.csv": b"ts_code,name\n600519.SH,x\n000001.SZ,y\n688981.SH,z\n",
    "Table.xls": "代码\t    名称\t涨幅\nSH600519\t贵州茅台\t+1.0\nSZ000001\t平安银行\t--\nSH688981\t中芯国际\t--\n".encode(
        "gb18030"
    ),
    "excel.csv": '\ufeff代码,名称\n="600519",a\n="000001",b\n="688981",c\n'.encode(),
    "utf16.txt": "600519\r\n000001\r\n688981\r\n".encode("utf-16"),
    "zxg.EBK": b"1600519\r\n0000001\r\n1688981\r\n",
    "one.txt": b"600519, 000001, 688981",
    "names.txt": "贵州茅台\n平安银行\n中芯国际\n".encode("gb18030"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_are_read_as_people_have_them(stored: Database, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    _command("import", "core", str(tmp_path / name))
    assert _codes(stored) == ["600519.SH", "000001.SZ", "688981.SH"]
    assert {each.origin for each in watchlists.one(stored, "core")} == {name}


def test_a_line_that_means_no_code_stops_an_import_or_is_left_out_when_that_is_asked(stored: Database, tmp_path: Path) -> None:
    file = tmp_path / "mixed.csv"
    file.write_text("代码,名称\nHK0700,腾讯控股\n600519,贵州茅台\nAAPL,苹果\n", encoding="utf-8")
    told = _command("import", "core", str(file), exit_code=1).output
    assert "HK0700" in told
    assert "AAPL" in told
    assert not watchlists.lists(stored)
    assert _facts("import", "core", str(file), "--skip-unknown")["left_out"] == ["HK0700", "AAPL"]
    assert _codes(stored) == ["600519.SH"]


@pytest.mark.parametrize(
    ("content", "told"), [(b"", "holds no codes"), (b"PK\x03\x04", "is a spreadsheet"), (None, "cannot be read")]
)
def test_a_file_without_codes_changes_nothing(stored: Database, tmp_path: Path, content: bytes | None, told: str) -> None:
    _command("add", "core", "600519")
    file = tmp_path / "file.txt"
    if content is not None:
        file.write_bytes(content)
    assert told in _command("import", "core", str(file), "--replace", exit_code=1).output
    assert _codes(stored) == ["600519.SH"]


def test_an_import_may_replace_what_the_list_holds(stored: Database, tmp_path: Path) -> None:
    _command("add", "core", "600519", "300750")
    (tmp_path / "new.txt").write_text("688981\n300750\n", encoding="utf-8")
    facts = _facts("import", "core", str(tmp_path / "new.txt"), "--replace")
    assert (facts["added"], facts["removed"]) == (["688981.SH"], ["600519.SH"])
    assert set(_codes(stored)) == {"688981.SH", "300750.SZ"}


@pytest.mark.parametrize("form", ["codes", "csv", "ths"])
def test_what_is_exported_is_imported_again_as_it_was(stored: Database, tmp_path: Path, form: str) -> None:
    codes = ["600519.SH", "920001.BJ", "510300.SH", "000001.SH", "113050.SH"]
    _command("add", "core", *codes)
    file = tmp_path / "core.txt"
    _command("export", "core", "--format", form, "--out", str(file))
    _command("import", "again", str(file))
    assert _codes(stored, "again") == codes
    assert _command("export", "core", "--format", form).stdout == file.read_text(encoding="utf-8")


def test_a_notebook_takes_the_codes_of_a_list(stored: Database) -> None:
    del stored
    _command("add", "core", "600519", "000001")
    assert qp.watchlist("core") == ["600519.SH", "000001.SZ"]
    with pytest.raises(qp.QueryError, match=r"there is no watchlist cor\..*Did you mean core"):
        qp.watchlist("cor")
