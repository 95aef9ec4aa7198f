"""docs/exports.md, followed to the letter: the export of one's own, and the frames for backtrader and vectorbt."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quant_pipeline.exports import registry
from quant_pipeline.exports.contract import Origin, Written
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.warehouse.reads import read
from quant_pipeline_tests.exports.conftest import restate

TEXT = (Path(__file__).parents[2] / "docs/exports.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def _ran(holds: str) -> dict[str, Any]:
    (block,) = (each for each in BLOCKS if holds in each)
    names: dict[str, Any] = {"__name__": "documents"}
    exec(compile(block, "docs/exports.md", "exec"), names)
    return names


def test_an_export_of_one_s_own(exported: Callable[..., Written], origin: Origin) -> None:
    kind = registry._usable(_ran("class Names(Export)")["Names"])
    assert list(exported(kind).parts) == ["names.txt"]
    place = origin.settings.home / "exports/sandbox/names"
    assert (place / "names.txt").read_text().startswith("000001.SZ")
    assert not exported(kind).changed
    restate(origin, "UPDATE stock_list SET name = 'new' WHERE ts_code = '000001.SZ'")
    assert exported(kind).changed
    assert (place / "names.txt").read_text().startswith("000001.SZ new")


def test_backtrader_and_vectorbt_take_our_frames(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    bt = pytest.importorskip("backtrader", reason="no part of the tests' environment")
    pytest.importorskip("vectorbt", reason="no part of the tests' environment")
    monkeypatch.setenv("QUANT_DATABASE_URL", origin.database.url)
    monkeypatch.setenv("QUANT_HOME", str(origin.settings.home))
    names = _ran("import backtrader")
    assert list(names["portfolio"].total_return().index) == ["600000.SH", "000001.SZ"]
    closes = []

    class Seen(bt.Strategy):  # type: ignore[misc]
        def next(self) -> None:
            closes.append((self.data.datetime.date(0), self.data.close[0]))

    cerebro = bt.Cerebro()
    cerebro.adddata(names["feed"])
    cerebro.addstrategy(Seen)
    cerebro.run()
    factor = 3.0
    stored = read(origin.database, DAILY_KLINE, codes=["600000.SH"])
    assert [each for each, _ in closes] == stored["trade_date"].to_list()
    assert closes[0][1] == pytest.approx(stored["close"][0] * factor)
