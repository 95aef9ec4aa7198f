"""`doctor` tells of strategy files that cannot be used, and of names that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_pipeline.console.doctor import strategies
from quant_pipeline.console.doctor.findings import Patient, State
from quant_pipeline.settings import load


def test_a_broken_file_and_a_name_of_none_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_HOME", str(tmp_path))
    monkeypatch.setenv("QUANT_SCREENS", "macd,mcad")
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "mine.py").write_text("import no_such_thing", encoding="utf-8")
    well, file, name = strategies.look(Patient(load()))
    assert (well.state, well.facts) == (State.OK, {"on": ["macd"]})
    assert (file.matter, file.state) == ("mine.py", State.WARNING)
    assert "it imports no_such_thing, which is not there" in file.words
    assert (name.state, name.words) == (State.WARNING, "QUANT_SCREENS names no strategy: mcad")
