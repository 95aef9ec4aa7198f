"""The registry, with packages that are really installed: a folder on the path with its entry points."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_pipeline.strategies.dual_ma import DualMovingAverage
from quant_pipeline.strategies.registry import BUILT_IN, GROUP, registered

MODULE = '''
import polars as pl
from quant_pipeline.strategies.base import Strategy
from quant_pipeline.strategies.dual_ma import DualMovingAverage, DualMovingAverageParameters

class Mine(DualMovingAverage):
    name = "mine"

class Impostor(DualMovingAverage):
    """With the built-in's name."""

class Shouting(DualMovingAverage):
    name = "My Strategy!"

class Unfinished(Strategy):
    name, zh, doc, Parameters = "unfinished", "x", "x", DualMovingAverageParameters

class Nameless(Strategy):
    lookback, figures = 1, ()
    def signals(self, bars): return bars

class Demanding(DualMovingAverage):
    name = "demanding"
    class Parameters(DualMovingAverageParameters):
        must: int

class Choosing(DualMovingAverage):
    name = "choosing"
    class Parameters(DualMovingAverageParameters):
        universe: str = "all"

not_a_class = 5
'''


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plugged.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "burst.py").write_text("raise RuntimeError('no licence')", encoding="utf-8")
    info = tmp_path / "plugged-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.0\n", encoding="utf-8")
    names = "Mine Impostor Shouting Unfinished Nameless Demanding Choosing not_a_class absent".split()
    points = [f"{name.lower()} = plugged:{name}" for name in names] + ["burst = burst:X", "gone = no_such_module:X"]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *points]), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


def test_ours_are_there_without_any_plug_in() -> None:
    found = registered()
    assert found.strategies["dual_ma"] is DualMovingAverage
    assert found.broken == {}


@pytest.mark.usefixtures("install")
def test_plug_ins_join_and_the_broken_ones_are_named_with_their_reason(caplog: pytest.LogCaptureFixture) -> None:
    found = registered()
    assert list(found.strategies) == [*(strategy.name for strategy in BUILT_IN), "mine"]
    assert found.own == {"mine"}
    assert found.strategies["dual_ma"] is DualMovingAverage, "ours cannot be replaced"
    reasons = {
        "impostor": "another one with the name",
        "shouting": "My Strategy!",
        "unfinished": "signals",
        "nameless": "name, zh, doc",
        "demanding": "must",
        "choosing": "parameter universe",
        "not_a_class": "no subclass",
        "absent": "absent",
        "burst": "no licence",
        "gone": "no_such_module",
    }
    assert set(found.broken) == set(reasons)
    for name, reason in reasons.items():
        assert reason in found.broken[name]
        assert name in caplog.text
