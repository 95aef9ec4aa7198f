"""What runs print lies under QUANT_HOME, and only its owner can read it."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from quant_pipeline.resources.dagster_private import handlers
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


@pytest.mark.parametrize(
    "configured", ["", "\n  dagster_handler_config: {handlers: {shown: {class: logging.NullHandler}}}"], ids=["none", "one"]
)
def test_a_run_that_begins_waits_for_no_other_that_is_writing_an_event(
    warehouse: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: str, begun: threading.Event
) -> None:
    """Else both wait for each other, as the one that writes may want the lock that the other holds meanwhile."""
    text = (ROOT / "dagster.yaml").read_text(encoding="utf-8")
    (tmp_path / "dagster.yaml").write_text(text.replace("python_log_level: INFO", f"python_log_level: INFO{configured}"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("QUANT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("QUANT_DATABASE_URL", warehouse.url)
    with dg.DagsterInstance.get() as instance:
        handlers.share_handlers(instance)
        assert len(instance.get_handlers()) == (2 if configured else 1), "the event log's, and what is configured"
        writing = logging.StreamHandler()
        writing.acquire()
        try:
            beginning = threading.Thread(target=lambda: (instance.get_handlers(), begun.set()), daemon=True)
            beginning.start()
            assert begun.wait(20), "the run that begins waits"
        finally:
            writing.release()
            beginning.join()


@pytest.fixture
def begun() -> Iterator[threading.Event]:
    """Set once the run has begun; no handler that was made here is taken by another test."""
    handlers._made.clear()
    yield threading.Event()
    handlers._made.clear()
