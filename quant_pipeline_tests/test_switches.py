"""Which screens run by themselves: those that the user names, by default the first one and his own."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_pipeline.strategies.registry import BUILT_IN
from quant_pipeline.switches import screens_on

OWN = """
import polars as pl
from quant_pipeline.strategies.base import Strategy

class Mine(Strategy):
    name, zh, doc, lookback = "mine", "我的", "Mine.", 0

    def signals(self, bars):
        return bars.select("ts_code", "trade_date", buy=pl.lit(True))
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUANT_HOME", str(tmp_path))
    (tmp_path / "strategies").mkdir()
    return tmp_path


@pytest.mark.usefixtures("home")
def test_by_default_the_dual_moving_average_runs_by_itself() -> None:
    assert screens_on() == ("dual_ma",)


def test_a_strategy_of_one_s_own_runs_by_itself_too(home: Path) -> None:
    (home / "strategies" / "mine.py").write_text(OWN, encoding="utf-8")
    assert screens_on() == ("dual_ma", "mine")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("macd", ("macd",)),
        ("turtle, dual_ma", ("dual_ma", "turtle")),
        ("all", tuple(strategy.name for strategy in BUILT_IN)),
    ],
)
def test_those_that_are_named_run_and_no_others(
    written: str, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_SCREENS", written)
    assert screens_on() == expected


@pytest.mark.usefixtures("home")
def test_a_name_of_none_is_told_and_stops_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("QUANT_SCREENS", "macd,mcad")
    assert screens_on() == ("macd",)
    assert "QUANT_SCREENS: no strategy mcad; there are dual_ma, macd" in caplog.text
