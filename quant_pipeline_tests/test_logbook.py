"""The log file: a file a day for thirty days, its owner's alone, no secret in it, and its end on the screen."""

from __future__ import annotations

import datetime as dt
import json
import logging
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from quant_pipeline import logbook
from quant_pipeline.cli import main
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database

PASSWORD = "p@ss word/91"
IN_URL = "p%40ss%20word%2F91"
TOKEN = "tok-en-123456"
LOGGER = logging.getLogger("quant_pipeline.sync.engine")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("QUANT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TUSHARE_TOKEN", TOKEN)
    monkeypatch.setenv("QUANT_DATABASE_URL", f"postgresql://quant:{IN_URL}@127.0.0.1:1/quant")
    return Settings()


@pytest.fixture(autouse=True)
def _let_go() -> Iterator[None]:
    """No other test writes into these files."""
    yield
    logger = logging.getLogger("quant_pipeline")
    for handler in [each for each in logger.handlers if type(each).__module__ == logbook.__name__]:
        logger.removeHandler(handler)
        handler.close()


def files(settings: Settings) -> list[str]:
    return sorted(path.name for path in logbook.folder_of(settings).iterdir())


def log_at(moment: str, text: str) -> None:
    record = LOGGER.makeRecord(LOGGER.name, logging.INFO, "file", 1, text, (), None)
    record.created = dt.datetime.fromisoformat(moment).timestamp()
    LOGGER.handle(record)


def test_each_day_of_the_exchange_has_its_file_and_thirty_days_are_kept(settings: Settings) -> None:
    logbook.keep(settings)
    log_at("2026-10-01T10:00+08:00", "first")
    log_at("2026-10-02T10:00+08:00", "second")
    log_at("2026-10-30T15:59+00:00", "before midnight in Shanghai")
    assert files(settings) == [f"quant-pipeline-2026-10-{day}.log" for day in ("01", "02", "30")], (
        "the 30th day keeps the first"
    )
    log_at("2026-10-30T16:00+00:00", "after it")
    assert files(settings) == [f"quant-pipeline-2026-10-{day}.log" for day in ("02", "30", "31")]
    (logbook.folder_of(settings) / "notes.txt").write_text("the user's own")
    log_at("2027-10-30T16:00+00:00", "a year later")
    assert files(settings) == ["notes.txt", "quant-pipeline-2027-10-31.log"]


def test_only_its_owner_reads_it(settings: Settings) -> None:
    logbook.folder_of(settings).mkdir(parents=True, mode=0o755)
    logbook.keep(settings)
    LOGGER.info("said")
    (path,) = logbook.folder_of(settings).iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_no_secret_stands_in_it_nor_in_a_traceback(settings: Settings) -> None:
    logbook.keep(settings)
    try:
        raise ValueError(f"no connection to postgresql://quant:{IN_URL}@h, or {PASSWORD}, with {TOKEN}")
    except ValueError:
        LOGGER.exception("failed with token=%s", TOKEN)
    text = "\n".join(logbook.last_lines(settings, 100))
    assert "failed with token=***" in text
    assert "ValueError: no connection to postgresql://quant:***@h, or ***, with ***" in text
    assert not [secret for secret in (TOKEN, PASSWORD, IN_URL) if secret in text]


def test_keeping_it_twice_writes_each_line_once_and_another_home_has_its_own(settings: Settings, tmp_path: Path) -> None:
    logbook.keep(settings)
    logbook.keep(settings)
    LOGGER.info("once")
    assert len(logbook.last_lines(settings, 10)) == 1
    other = settings.model_copy(update={"home": tmp_path / "other"})
    logbook.keep(other)
    LOGGER.info("elsewhere")
    assert [line.rpartition(": ")[2] for line in logbook.last_lines(other, 10)] == ["elsewhere"]
    assert len(logbook.last_lines(settings, 10)) == 1


def test_the_last_lines_may_lie_in_several_days(settings: Settings) -> None:
    logbook.keep(settings)
    for day in (1, 2, 3):
        for number in (1, 2):
            log_at(f"2026-10-0{day}T10:00+08:00", f"{day}.{number}")
    ends = [[line.rpartition(": ")[2] for line in logbook.last_lines(settings, count)] for count in (1, 3, 99)]
    assert ends == [["3.2"], ["2.2", "3.1", "3.2"], ["1.1", "1.2", "2.1", "2.2", "3.1", "3.2"]]


def test_a_log_that_cannot_be_written_stops_nothing(settings: Settings) -> None:
    settings.home.mkdir()
    logbook.folder_of(settings).write_text("no folder")
    logbook.keep(settings)
    LOGGER.info("lost")
    logbook.folder_of(settings).unlink()
    LOGGER.info("written")
    assert len(logbook.last_lines(settings, 10)) == 1


def test_warnings_are_still_seen_at_the_terminal(settings: Settings, tmp_path: Path) -> None:
    script = (
        "import logging, sys; from quant_pipeline import logbook, settings; logbook.keep(settings.load()); "
        "logging.getLogger('quant_pipeline.x').warning('beware'); logging.getLogger('quant_pipeline.x').info('quiet')"
    )
    shown = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert shown.stderr == "beware\n"
    assert [line.rpartition(": ")[2] for line in logbook.last_lines(settings, 10)] == ["beware", "quiet"]


def test_history_shows_its_end(settings: Settings) -> None:
    logbook.keep(settings)
    for number in range(3):
        LOGGER.info("line %d [not markup]", number)
    shown = CliRunner().invoke(main, ["history", "--logs", "--lines", "2"])
    assert shown.exit_code == 0, "no database is needed for it"
    assert "line 2 [not markup]" in shown.stdout
    assert "line 0" not in shown.stdout
    facts = json.loads(CliRunner().invoke(main, ["history", "--logs", "--json"]).stdout)
    assert [line.rpartition(": ")[2] for line in facts["lines"]] == [f"line {number} [not markup]" for number in range(3)]
    assert facts["folder"] == str(logbook.folder_of(settings))


def test_a_dagster_run_writes_to_it(settings: Settings, warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_DATABASE_URL", warehouse.url)

    @dg.asset
    def speaks(warehouse: WarehouseResource) -> None:
        assert warehouse.database.name
        LOGGER.info("said in a run")

    with dg.DagsterInstance.ephemeral() as instance:  # of its own: another test's may be the current one, and gone
        assert dg.materialize([speaks], resources={"warehouse": WarehouseResource()}, instance=instance).success
    assert "said in a run" in "\n".join(logbook.last_lines(settings, 10))
