"""docs/notebook.ipynb runs from top to bottom, in a kernel of its own, as a reader runs it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import polars as pl
import pytest
from nbclient import NotebookClient

from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_BASIC, DAILY_KLINE, INDEX_DAILY, STOCK_LIST
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import LISTED, bars, sessions, store

DOCUMENT = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
CODES = {"600000.SH": "浦发银行", "000001.SZ": "平安银行"}


@pytest.fixture
def market(empty: Database) -> Database:
    """What the document's cells ask for."""
    rows = bars(list(CODES), sessions(110))
    listed = [{"ts_code": code, "name": name, "list_status": "L", "list_date": LISTED} for code, name in CODES.items()]
    store(empty, STOCK_LIST, listed)
    store(empty, DAILY_KLINE, rows)
    store(empty, ADJ_FACTOR, rows.with_columns(adj_factor=pl.lit(1.0)))
    store(empty, DAILY_BASIC, rows.with_columns(pe_ttm=pl.col("close"), turnover_rate=pl.lit(1.0)))
    store(empty, INDEX_DAILY, bars(["000300.SH"], sessions(110)))
    return empty


@pytest.mark.usefixtures("market")
def test_the_document_s_notebook_runs_to_its_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    notebook = nbformat.read(DOCUMENT, as_version=4)
    executed = NotebookClient(notebook, timeout=200, kernel_name="python3").execute(cwd=str(tmp_path))
    said = [
        output["text"]
        for cell in executed.cells
        for output in cell.get("outputs", [])
        if output["output_type"] == "stream" and output["name"] == "stderr"
    ]
    assert said == ["SANDBOX: simulated market, these numbers are made up.\n"]


def test_what_is_delivered_was_executed_and_is_told_in_both_languages() -> None:
    notebook = nbformat.read(DOCUMENT, as_version=4)
    numbers = [cell["execution_count"] for cell in notebook.cells if cell["cell_type"] == "code"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [output for cell in notebook.cells for output in cell.get("outputs", []) if output["output_type"] == "error"] == []
    for cell in notebook.cells:
        if cell["cell_type"] == "markdown":
            assert any("\u4e00" <= sign <= "\u9fff" for sign in cell["source"]), cell["source"]
