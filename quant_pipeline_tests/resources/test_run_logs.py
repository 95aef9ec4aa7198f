"""What runs print lies under QUANT_HOME, and only its owner can read it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import dagster as dg
import pytest

from quant_pipeline.warehouse.database import Database

ROOT = Path(__file__).parents[2]


@dg.op
def speak() -> None:
    print("a word for the log", flush=True)


@dg.job(executor_def=dg.in_process_executor)
def speaking() -> None:
    speak()


def test_run_logs_lie_under_the_home_and_are_the_owners_alone(
    warehouse: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = tmp_path / "home" / "dagster"
    former.mkdir(parents=True, mode=0o755)
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("QUANT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("QUANT_DATABASE_URL", warehouse.url)
    monkeypatch.chdir("/")
    old = os.umask(0o022)
    try:
        with dg.DagsterInstance.get() as instance:
            assert speaking.execute_in_process(instance=instance).success
    finally:
        os.umask(old)
    written = [path for path in former.rglob("*") if path.is_file() and path.suffix in {".out", ".err"}]
    assert any("a word for the log" in path.read_text() for path in written)
    open_to_others = [path for path in (former, *written, *{path.parent for path in written}) if path.stat().st_mode & 0o077]
    assert open_to_others == []
