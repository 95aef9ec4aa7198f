"""The command `chart`: it finds the code, writes the picture, and knows whether the page is served."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from quant_pipeline import settings
from quant_pipeline.cli import main
from quant_pipeline.console.chart import ChartError, chart_of
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, INDEX_LIST, STOCK_LIST
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.door.served import served
from quant_pipeline_tests.sync.stored import LISTED, NOW, bars, sessions, store

NAMES = {"600519.SH": "贵州茅台", "000001.SZ": "平安银行", "600000.SH": "浦发银行"}


@pytest.fixture
def stored(warehouse: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Database]:
    days = sessions(30)
    store(
        warehouse,
        STOCK_LIST,
        [{"ts_code": code, "name": name, "list_status": "L", "list_date": LISTED} for code, name in NAMES.items()],
    )
    store(warehouse, INDEX_LIST, [{"ts_code": "000001.SH", "name": "上证指数"}])
    store(warehouse, DAILY_KLINE, bars(["600519.SH"], days))
    store(warehouse, ADJ_FACTOR, [{"ts_code": "600519.SH", "trade_date": day, "adj_factor": 1.0} for day in days])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        environment = {
            "QUANT_DATABASE_URL": warehouse.url,
            "QUANT_HOME": str(tmp_path),
            "QUANT_NOW": NOW,
            "QUANT_LANG": "en",
            "QUANT_PAGES_URL": f"http://127.0.0.1:{free.getsockname()[1]}",  # bound, and nothing listens there
            "QUANT_SERVE_PORT": str(free.getsockname()[1]),
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield warehouse


def _chart(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["chart", *arguments])


def test_the_page_s_address_is_printed_with_what_to_start(stored: Database) -> None:
    del stored
    told = _chart("sh600519", "--freq", "w")
    assert told.exit_code == 0, told.output
    assert "贵州茅台 600519.SH" in told.output
    assert "/k/600519.SH?freq=W" in told.output
    assert "quant-pipeline serve" in told.output


@pytest.mark.parametrize("text", ["600519", "SH600519", "600519.sh", "贵州茅台", "茅台", "gzmt", "guizhoumaotai"])
def test_a_code_a_name_and_its_pinyin_mean_the_same(stored: Database, text: str) -> None:
    done = chart_of(settings.load(), stored, text, freq="D", adjust="qfq", out=None)
    assert (done.code, done.name, done.bars, done.url[-12:]) == ("600519.SH", "贵州茅台", 30, "/k/600519.SH")


def test_the_served_page_is_told(stored: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(settings.load(), stored) as url:
        monkeypatch.setenv("QUANT_PAGES_URL", url)
        done = json.loads(_chart("600519", "--adjust", "raw", "--json").output)
        assert done["served"] == done["url"] == f"{url}/k/600519.SH?adjust=raw"
    assert json.loads(_chart("600519", "--json").output)["served"] is None


@pytest.mark.parametrize("terminal", [True, False], ids=["a terminal", "a pipe"])
def test_the_served_page_is_opened_for_who_sits_at_a_terminal(
    stored: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, terminal: bool
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("click.launch", opened.append)
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: terminal)
    with served(settings.load(), stored) as url:
        monkeypatch.setenv("QUANT_PAGES_URL", url)
        assert _chart("600519").exit_code == 0
        assert opened == [f"{url}/k/600519.SH"] * terminal
        _chart("600519", "--out", str(tmp_path / "maotai.png"))
        _chart("600519", "--json")
    _chart("600519")
    assert len(opened) == terminal, "not where a picture or JSON was asked for, nor where nothing answers"


def test_the_share_is_meant_and_the_index_of_the_same_digits_named(stored: Database) -> None:
    del stored
    told = _chart("000001")
    assert "平安银行 000001.SZ" in told.output
    assert "The same digits: 000001.SH 上证指数" in told.output
    assert "No bars of it are stored. Fetch them: quant-pipeline sync --datasets daily_kline,adj_factor" in told.output


@pytest.mark.parametrize("freq", ["D", "W", "M"])
def test_the_picture_is_written(stored: Database, tmp_path: Path, freq: str) -> None:
    del stored
    told = _chart("600519", "--freq", freq, "--out", str(tmp_path / "maotai.png"), "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.output)["out"] == str(tmp_path / "maotai.png")
    assert (tmp_path / "maotai.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["600518"], "There is no code or name 600518. The sandbox has companies of its own, "),
        (["yh"], "yh could be 000001.SZ 平安银行, 600000.SH 浦发银行: write its code"),
        (["苹果公司股份"], "There is no code or name 苹果公司股份"),
        (["600519", "--out", "maotai.jpg"], "The picture is a PNG: write --out maotai.png"),
        (["600519", "--out", "/no/such/folder/x.png"], "/no/such/folder/x.png cannot be written: No such file or directory"),
        (["600000", "--out", "x.png"], "No bars of 600000.SH are stored. Fetch them: quant-pipeline sync"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(stored: Database, arguments: list[str], words: str) -> None:
    del stored
    told = _chart(*arguments)
    assert told.exit_code == 1
    assert words in told.output
    assert len(told.output.splitlines()) == 1


def test_before_the_first_sync_it_says_what_to_run(warehouse: Database) -> None:
    with pytest.raises(ChartError, match="quant-pipeline run"):
        chart_of(settings.load(), warehouse, "茅台", freq="D", adjust="qfq", out=None)
