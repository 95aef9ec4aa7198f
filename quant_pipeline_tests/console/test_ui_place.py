"""One UI for a database: the second one is refused, and says where the first one is."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_pipeline.console import ui
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.assets.platform import Platform
from quant_pipeline_tests.console.commanded import checkout, started


def test_a_second_ui_is_refused_with_the_address_of_the_first(platform: Platform, tmp_path: Path) -> None:
    first = ui._claim(platform.database, "http://127.0.0.1:3911")
    try:
        with checkout(tmp_path):
            second = started("ui", "--port", "3912")
            output, error = second.communicate(timeout=120)
        assert second.returncode == 2
        (line,) = error.splitlines()
        assert line.startswith("quant-pipeline: the UI of this database runs already, at http://127.0.0.1:3911: ")
        assert output == ""
    finally:
        first.close()
    ui._claim(platform.database, "http://127.0.0.1:3912").close()


def test_it_keeps_its_place_when_the_server_was_away(platform: Platform) -> None:
    first = ui._claim(platform.database, "http://127.0.0.1:3911")
    assert ui._kept(first, platform.database, "http://127.0.0.1:3911") is first
    platform.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()")
    kept = ui._kept(first, platform.database, "http://127.0.0.1:3911")
    try:
        assert kept is not first
        with pytest.raises(ui.UiRunning, match="3911"):
            ui._claim(platform.database, "http://127.0.0.1:3912")
        assert Presence(platform.database.connect()).shown_at(ui.UI_PLACE) == "http://127.0.0.1:3911"
    finally:
        kept.close()
